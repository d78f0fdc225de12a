/**
 * Tags of the results of one tool, and of the content of one resource, for invalidation. Configured tags have no colon.
 */

export function toolTag(tool: string): string {
  return `tool:${tool}`
}

export function uriTag(uri: string): string {
  return `uri:${uri}`
}
