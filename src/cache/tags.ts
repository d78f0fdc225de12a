/** By which the results of one tool, and the content of one resource, are forgotten. Configured tags have no colon. */

export function toolTag(tool: string): string {
  return `tool:${tool}`
}

export function uriTag(uri: string): string {
  return `uri:${uri}`
}
