import { VERSION } from '../version.ts'
import { causesOf, GatewayError } from '../core/errors.ts'
import { runGateway } from './run.ts'
import { print, printJsonLine } from './say.ts'
import { reportStart, startJson, startLines, type StartReport } from './start-report.ts'
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
  readonly json?: boolean
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
    json = false,
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
    await reportStart(gateway, json ? jsonReport(url, config) : textReport(url, config))
    await new Promise(() => {})
  })
}

type Served = Pick<Config, 'file' | 'clients'>

/** The report after the start: the state of each server and what to paste into a client. */
function textReport(url: string, config: Served): StartReport {
  print(`mcp-manifold ${VERSION} listens on ${url}`)
  return {
    all: servers => print(...pasted(startLines(servers), url, config)),
    late: server => print(...startLines([server])),
  }
}

/** The same as a JSON object a line. */
function jsonReport(url: string, config: Served): StartReport {
  printJsonLine({ event: 'listening', version: VERSION, url })
  return {
    all: servers =>
      printJsonLine({ event: 'started', servers: servers.map(startJson), entries: entriesFor(url, config) }),
    late: server => printJsonLine({ event: 'server', ...startJson(server) }),
  }
}

/** Entries of the gateway for clients that speak HTTP, and for those that start programs. */
function entriesFor(url: string, { file, clients }: Served): { http: object; stdio: object } {
  const key = clients.length > 0 ? { headers: { Authorization: 'Bearer <key>' } } : {}
  const { command, args } = thisProgram()
  const options = file === undefined ? [] : ['--config', file]
  return { http: { type: 'http', url, ...key }, stdio: { command, args: [...args, ...options] } }
}

function pasted(rows: readonly string[], url: string, config: Served): string[] {
  const { http, stdio } = entriesFor(url, config)
  const { file, clients } = config
  return [
    '',
    ...(rows.length > 0 ? rows : ['  no servers']),
    '',
    'In the configuration of a client that speaks HTTP:',
    `  ${JSON.stringify({ mcpServers: { gw: http } })}`,
    ...(clients.length > 0 ? [`with a key made by: ${typed('keys create <client>', file)}`] : []),
    'or of one that starts programs, without this process:',
    `  ${JSON.stringify({ mcpServers: { gw: stdio } })}`,
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
