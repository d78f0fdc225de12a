/** Path of the metadata of a protected resource, followed by the path of the resource (RFC 9728, section 3). */
export const RESOURCE_METADATA = '/.well-known/oauth-protected-resource'
