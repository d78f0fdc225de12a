/**
 * What an authorization server says of itself (RFC 8414, OpenID Connect Discovery), as far as the gateway reads it. All
 * endpoints are URLs of the schemes http and https.
 */
export interface AuthorizationServerMetadata {
  readonly issuer: string
  readonly authorization_endpoint?: string
  readonly token_endpoint?: string
  readonly registration_endpoint?: string
  readonly revocation_endpoint?: string
  readonly device_authorization_endpoint?: string
  readonly scopes_supported?: readonly string[]
  readonly grant_types_supported?: readonly string[]
  readonly token_endpoint_auth_methods_supported?: readonly string[]
  readonly token_endpoint_auth_signing_alg_values_supported?: readonly string[]
  readonly code_challenge_methods_supported?: readonly string[]
  readonly dpop_signing_alg_values_supported?: readonly string[]
  readonly client_id_metadata_document_supported?: boolean
  readonly authorization_response_iss_parameter_supported?: boolean
}

/** What a server says of itself as a resource (RFC 9728), as far as the gateway reads it. */
export interface ResourceMetadata {
  readonly resource?: string
  readonly authorization_servers?: readonly string[]
  readonly scopes_supported?: readonly string[]
  readonly dpop_bound_access_tokens_required?: boolean
}
