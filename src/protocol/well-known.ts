/** RFC 9728, section 3: where the metadata of a protected resource is, before the path of the resource. */
export const RESOURCE_METADATA = '/.well-known/oauth-protected-resource'
