import { loadWithSource, type Loaded } from '../config/load/load.ts'
import { locationsOf, type LocationKey } from '../config/options/endpoint.ts'
import { GatewayError } from '../core/errors.ts'
import { maskArgs, maskText, renderWarnings } from '../config/problem.ts'
import { clientRows } from './check-clients.ts'
import { alignColumns } from './table.ts'

interface RawEntry extends Partial<Readonly<Record<LocationKey, string>>> {
  readonly args?: readonly string[]
  readonly replicas?: readonly RawEntry[]
  readonly disabled?: boolean
}

/**
 * `check`, `validate`: shows the effect of a configuration file, or its errors. Starts nothing and writes nothing.
 * @throws GatewayError `config`
 */
export async function runCheck(file: string | undefined, json = false): Promise<void> {
  if (json) return await checkAsJson(file)
  const { config, raw, problems } = await load(file)
  if (problems !== undefined) {
    const left = 'A start leaves these servers out and runs the others.'
    throw new GatewayError('config', [problems, left, ...renderWarnings(config.warnings)].join('\n'))
  }
  const { mcpServers, servers } = raw as Record<
    'mcpServers' | 'servers',
    Record<string, RawEntry> | undefined
  >
  const resolved = new Map(config.servers.map(server => [server.name, server.replicas[0]?.endpoint]))
  const rows = Object.entries({ ...mcpServers, ...servers }).map(([name, entry]) => {
    const endpoint = resolved.get(name)
    if (!endpoint) return [name, entry.disabled ? 'disabled' : 'left out', '']
    return [name, endpoint.kind, describe(entry)]
  })
  const { gateway } = config
  const lines = [
    `${config.file ?? 'The configuration'} is valid.`,
    '',
    ...(rows.length > 0 ? ['Servers', ...alignColumns(rows)] : ['No servers']),
    '',
    'Clients',
    ...alignColumns(clientRows(config)),
    '',
    'Gateway',
    ...alignColumns([
      ['http', `${gateway.http.host}:${gateway.http.port}`],
      ['state', maskText(gateway.state)],
      ['log', gateway.log],
    ]),
    ...renderWarnings(config.warnings),
  ]
  process.stdout.write(`${lines.join('\n')}\n`)
}

function load(file: string | undefined): Promise<Loaded> {
  return loadWithSource({ file, looksForCommands: true, looksForSecrets: false })
}

/** Prints whether the file is valid, and its problems or what is in effect. Exit code 1 when it is not. */
async function checkAsJson(file: string | undefined): Promise<void> {
  const answer = await load(file).then(
    ({ config, problems }) => ({
      valid: problems === undefined,
      file: config.file,
      problems: problems?.split('\n') ?? [],
      warnings: config.warnings,
      servers: config.servers.map(({ name, replicas, problem }) => ({
        name,
        transport: replicas[0]?.endpoint.kind,
        usable: problem === undefined,
      })),
    }),
    (error: unknown) => {
      if (!(error instanceof GatewayError)) throw error
      return { valid: false, file, problems: error.message.split('\n'), warnings: [], servers: [] }
    },
  )
  if (!answer.valid) process.exitCode = 1
  process.stdout.write(`${JSON.stringify(answer, undefined, 2)}\n`)
}

/** The entry as written: values of variables are not shown. */
function describe(entry: RawEntry): string {
  const { args = [], replicas } = entry
  if (replicas) return replicas.map(describe).join(', ')
  const [key] = locationsOf(entry)
  const location = maskText((key && entry[key]) ?? '')
  if (key !== 'command') return location
  return [location, ...maskArgs(args).map(arg => (/^[^\s"']+$/.test(arg) ? arg : JSON.stringify(arg)))].join(
    ' ',
  )
}
