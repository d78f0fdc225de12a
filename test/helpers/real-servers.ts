import { fileURLToPath } from 'node:url'
import { freePort, serve } from './served.ts'
import type { Served } from './served.ts'

const program = (name: string): string =>
  fileURLToPath(new URL(`../../node_modules/.bin/${name}`, import.meta.url))

/** How a stdio server is started; also an entry of `mcpServers`. */
export interface CommandLine {
  readonly command: string
  readonly args: readonly string[]
}

/** The reference servers, as published. */
export const everything: CommandLine = {
  command: process.execPath,
  args: [program('mcp-server-everything'), 'stdio'],
}
export const memory: CommandLine = { command: process.execPath, args: [program('mcp-server-memory')] }
export const filesystem = (directory: string): CommandLine => ({
  command: process.execPath,
  args: [program('mcp-server-filesystem'), directory],
})

/** Starts server-everything as an HTTP server; `endpoint` is its MCP URL. */
export async function serveEverything(
  transport: 'streamableHttp' | 'sse',
): Promise<Served & { endpoint: string }> {
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const served = await serve([program('mcp-server-everything'), transport], {
    ready: /(?:listening|running) on port/,
    origin,
    env: { PORT: String(port) },
  })
  return Object.assign(served, { endpoint: `${origin}${transport === 'sse' ? '/sse' : '/mcp'}` })
}
