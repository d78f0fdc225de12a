import { VERSION } from '../version.ts'
import { causesOf, GatewayError } from '../core/errors.ts'
import { runGateway } from './run.ts'
import { reportStart } from './start-report.ts'
import { thisProgram, typed } from './this-program.ts'
import type { Config } from '../config/types.ts'
import type { LogLevel } from '../core/logger.ts'
import type { RunningGateway } from '../gateway/gateway.ts'

export interface ServeOptions {
  readonly config?: string
  readonly log?: LogLevel
  readonly host?: string
  readonly port?: number
  readonly allowAnonymous?: boolean
  readonly allowCommandAdmin?: boolean
}

/** `serve`: runs the HTTP endpoint until SIGINT or SIGTERM, or SIGHUP when it was started in a terminal. */
export async function runServe(options: ServeOptions): Promise<void> {
  const {
    config: file,
    log,
    host,
    port,
    allowAnonymous,
    allowCommandAdmin: allowsCommandAdmin = false,
  } = options
  // The reader of the report may close its end, as in `serve | head`.
  process.stdout.on('error', () => {})
  // A daemon receives SIGHUP when the terminal of its parent closes, or from the kernel when a stopped group is
  // orphaned. It ends the gateway only in a terminal.
  const endsOnHangup = Boolean(process.stdin.isTTY)
  const overrides = { log, host, port, allowAnonymous, serves: true }
  await runGateway({ file, overrides, endsOnHangup, allowsCommandAdmin }, async (gateway, loaded) => {
    const { config } = loaded
    const { url } = await listen(gateway, config)
    print([`mcp-manifold ${VERSION} listens on ${url}`])
    await reportStart(gateway, rows => report(rows, url, config), print)
    await new Promise(() => {})
  })
}

/** The report after the start: the state of each server and what to paste into a client. */
function report(
  rows: readonly string[],
  url: string,
  { file, clients }: Pick<Config, 'file' | 'clients'>,
): string[] {
  const key = clients.length > 0 ? { headers: { Authorization: 'Bearer <key>' } } : {}
  const remote = { mcpServers: { gw: { type: 'http', url, ...key } } }
  const { command, args } = thisProgram()
  const options = file === undefined ? [] : ['--config', file]
  const local = { mcpServers: { gw: { command, args: [...args, ...options] } } }
  return [
    '',
    ...(rows.length > 0 ? rows : ['  no servers']),
    '',
    'In the configuration of a client that speaks HTTP:',
    `  ${JSON.stringify(remote)}`,
    ...(clients.length > 0 ? [`with a key made by: ${typed('keys create <client>', file)}`] : []),
    'or of one that starts programs, without this process:',
    `  ${JSON.stringify(local)}`,
    '',
    'Ctrl+C stops it.',
  ]
}

async function listen(gateway: RunningGateway, config: Config): Promise<{ url: string }> {
  const { host, port } = config.gateway.http
  try {
    return await gateway.listen()
  } catch (error) {
    const fix = fixFor(systemCode(error), config)
    if (fix === undefined) throw error
    throw new GatewayError('config', `The gateway cannot listen on ${host}:${port}: ${fix}`, { cause: error })
  }
}

function fixFor(code: string | undefined, { file, gateway }: Config): string | undefined {
  const { host, port } = gateway.http
  switch (code) {
    case 'EADDRINUSE': {
      const another = typed(`serve --port ${port < 65_535 ? port + 1 : 3333}`, file)
      return `the port is in use. Stop the other program, or choose another port: ${another}`
    }
    case 'EACCES':
      return 'this user may not. Choose a port above 1023 with --port.'
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return `"${host}" is no address of this machine. Choose another with --host.`
    default:
      return undefined
  }
}

/** Code of a failed system call, anywhere in the chain of causes. */
function systemCode(error: unknown): string | undefined {
  for (const at of causesOf(error)) {
    const code = at instanceof Error ? (at as { code?: unknown }).code : undefined
    if (typeof code === 'string' && /^E[A-Z]+$/.test(code)) return code
  }
  return undefined
}

function print(lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
