/** The end of the help of a command: how it is typed. */
export function example(...typed: readonly string[]): string {
  const lines = typed.map(line => `  mcp-manifold ${line}`)
  return `\n${lines.length === 1 ? 'Example:' : 'Examples:'}\n${lines.join('\n')}`
}
