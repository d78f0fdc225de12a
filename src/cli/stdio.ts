import { assertClient } from './clients.ts'
import { runGateway } from './run.ts'
import type { StdioArguments } from './direct.ts'

/** The default command: MCP on stdin and stdout, until the client closes them. All other output goes to stderr. */
export async function runStdio({ config, log, profile, client }: StdioArguments): Promise<void> {
  // Any other line on stdout, such as one of a library, would break the protocol.
  console.log = console.info = console.debug = console.error
  if (process.stdin.isTTY) {
    console.error(
      'Speaking MCP on stdin and stdout, as clients expect it. For people there is: mcp-manifold --help',
    )
  }
  await runGateway({ file: config, overrides: { log } }, async (gateway, loaded) => {
    if (client !== undefined) assertClient(client, loaded.config)
    const clientGone = new Promise<void>(resolve => process.stdout.once('error', () => resolve()))
    const serving = gateway.serveStdio(process.stdin, process.stdout, { endpoint: profile, client })
    await Promise.race([serving, clientGone])
  })
}
