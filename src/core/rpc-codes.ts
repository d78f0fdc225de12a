/** JSON-RPC error codes, each with its source. */

/** JSON-RPC 2.0, section 5.1. */
export const PARSE_ERROR = -32700
export const INVALID_REQUEST = -32600
export const METHOD_NOT_FOUND = -32601
export const INVALID_PARAMS = -32602
export const INTERNAL_ERROR = -32603

/**
 * MCP 2026-07-28, schema: `HeaderMismatchError`, `MissingRequiredClientCapabilityError`,
 * `UnsupportedProtocolVersionError`.
 */
export const HEADER_MISMATCH = -32020
export const MISSING_CAPABILITY = -32021
export const UNSUPPORTED_VERSION = -32022

/**
 * MCP 2025-11-25, schema: `URLElicitationRequiredError`. The client has to visit a URL first. Removed in 2026-07-28.
 */
export const URL_ELICITATION_REQUIRED = -32042

/** MCP up to 2025-11-25, resources, "Error Handling". Replaced by `INVALID_PARAMS` in 2026-07-28. */
export const LEGACY_RESOURCE_NOT_FOUND = -32002

/** Not specified: the official SDKs use these codes for refused HTTP requests, the first one for an unknown session. */
export const SESSION_NOT_FOUND = -32001
export const SERVER_ERROR = -32000
