import { PassThrough } from 'node:stream'
import { setTimeout } from 'node:timers/promises'
import { Namespaces } from '../catalog/names.ts'
import { loadWithSource, type Loaded } from '../config/load/load.ts'
import { knownValid } from '../config/source/known-valid.ts'
import { monotonicNow } from '../core/clock.ts'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { shellWord } from '../core/shell-word.ts'
import { Cancelled, LocalClient, type Hearing } from './local-client.ts'
import { notThere } from './not-there.ts'
import { say } from './say.ts'
import { Stopped } from './stopped.ts'
import {
  answeringGateways,
  converseWith,
  statusNow,
  type AnsweringGateway,
  type ConversationAs,
  type ShownServer,
} from './running-gateways.ts'
import type { CommonOptions } from './common-options.ts'
import type { Config } from '../config/types.ts'
import type { RunningGateway } from '../gateway/gateway.ts'

export interface ReachOptions extends CommonOptions {
  /** The client of the configuration that the command is; the local user when left out. */
  readonly client?: string
}

/** What a command asks for. */
export interface Wanted {
  /** Serves it as this server, under its own names; `undefined`: as the whole gateway. */
  readonly server: string | undefined
  /** The only server that it needs, where that is known. */
  readonly only?: string | undefined
  readonly hearing: Hearing
}

/** A conversation that a command has. */
export interface Reached {
  readonly client: LocalClient
  /** Aborted by Ctrl+C. */
  readonly cancelled: AbortSignal
}

/** The configuration that the commands of one gateway read. @throws GatewayError `config` */
export async function loadForCommand({ config: file }: CommonOptions): Promise<Loaded> {
  return await loadWithSource({ file, looksForSecrets: false, ...knownValid() })
}

/**
 * Reaches the gateway of a configuration, passes the conversation to `use`, and ends it: a running one if there is one
 * of this user, else one in this process, which starts only what is needed. Ctrl+C cancels what is asked, and once more
 * ends the process.
 * @throws GatewayError
 */
export async function withGateway<T>(
  { config }: Loaded,
  options: ReachOptions,
  { server, only = server, hearing }: Wanted,
  use: (reached: Reached) => Promise<T>,
): Promise<T> {
  const as = { endpoint: options.profile ?? server, client: options.client }
  const abort = new AbortController()
  const heard: Hearing = {
    ...hearing,
    elicit: async params => {
      const answer = await hearing.elicit(params)
      // Ctrl+C at a question is meant for the call: the server could ask again.
      if (answer['action'] === 'cancel') abort.abort()
      return answer
    },
  }
  const onSignal = (): void => {
    if (abort.signal.aborted) process.exit(130)
    abort.abort()
  }
  process.on('SIGINT', onSignal)
  try {
    const running = config.file === undefined ? [] : await answeringGateways(config.file)
    const [youngest] = running
    const cancelled = abort.signal
    const converse = (client: LocalClient): Promise<T> => use({ client, cancelled })
    if (!youngest)
      return await withOwnGateway(config, options, { as, only, hearing: heard, cancelled }, converse)
    const connection = await converseWith(youngest, as)
    try {
      const client = new LocalClient(connection, connection, heard)
      await client.open()
      await listedBeside(youngest, only, cancelled)
      return await converse(client)
    } finally {
      connection.destroy()
    }
  } catch (error) {
    if (!(error instanceof Cancelled)) throw error
    throw new Stopped('Cancelled.')
  } finally {
    process.off('SIGINT', onSignal)
  }
}

interface Own extends Pick<Wanted, 'only' | 'hearing'>, Pick<Reached, 'cancelled'> {
  readonly as: ConversationAs
}

/** A server that is new here may have to be downloaded before it starts. */
const MAX_FIRST_START_MS = 120_000
const LOOK_RUNNING_MS = 300

/**
 * Opens the session, and waits until each server is listed or has failed, which clients do for seconds only. Says which
 * have failed.
 */
async function listedOnce(
  gateway: RunningGateway,
  client: LocalClient,
  cancelled: AbortSignal,
): Promise<void> {
  await client.open()
  const over = new AbortController()
  const end = (): void => over.abort()
  cancelled.addEventListener('abort', end)
  // Also those that earlier runs waited for in vain.
  void gateway.warmUp().then(end, end)
  if (!cancelled.aborted)
    await setTimeout(MAX_FIRST_START_MS, undefined, { signal: over.signal }).catch(() => {})
  cancelled.removeEventListener('abort', end)
  for (const { name, error, errorInFull } of gateway.status())
    if (error !== undefined) say(namingServer(name, errorInFull ?? error))
}

/** Waits until a running gateway has listed the servers that it starts at the moment. Says which have failed. */
async function listedBeside(
  running: AnsweringGateway,
  only: string | undefined,
  cancelled: AbortSignal,
): Promise<void> {
  const isWanted = ({ name }: ShownServer): boolean => only === undefined || name === only
  const isAwaited = (server: ShownServer): boolean =>
    isWanted(server) && !server.listed && server.error === undefined && server.state === 'starting'
  const until = monotonicNow() + MAX_FIRST_START_MS
  let { servers } = running.status
  while (servers.some(isAwaited) && monotonicNow() < until && !cancelled.aborted) {
    await setTimeout(LOOK_RUNNING_MS)
    servers = (await statusNow(running))?.servers ?? []
  }
  for (const { name, error, listed } of servers.filter(isWanted))
    if (error !== undefined && !listed) say(namingServer(name, error))
}

/** Some errors are about a program, and do not say of which server. */
function namingServer(name: string, error: string): string {
  return error.includes(JSON.stringify(name)) ? error : `Server ${JSON.stringify(name)}: ${error}`
}

async function withOwnGateway<T>(
  given: Config,
  options: ReachOptions,
  { as, only, hearing, cancelled }: Own,
  use: (client: LocalClient) => Promise<T>,
): Promise<T> {
  const [{ buildGateway }, { createLogger }, { openStore }] = await Promise.all([
    import('../gateway/gateway.ts'),
    import('../observe/logger.ts'),
    import('../state/open.ts'),
  ])
  // Secrets are looked for where something starts.
  const { config: whole } = await loadWithSource({ file: given.file, ...knownValid() })
  const config =
    only === undefined ? whole : { ...whole, servers: whole.servers.filter(({ name }) => name === only) }
  const logger = createLogger({ level: options.log ?? 'error', stream: process.stderr, format: 'text' })
  const store = await openStore(config.gateway.state, logger)
  try {
    const gateway = await buildGateway(config, { logger, store })
    const [input, output] = [new PassThrough(), new PassThrough()]
    const served = gateway.serveStdio(input, output, as)
    try {
      const refused = served.then(() => new Promise<never>(() => {}))
      const client = new LocalClient(output, input, hearing)
      await Promise.race([listedOnce(gateway, client, cancelled), refused])
      return await Promise.race([use(client), refused])
    } finally {
      input.end()
      await gateway.close()
      await served.catch(() => {})
    }
  } finally {
    await store.close()
    await logger.flush()
  }
}

/** Something of one server, or of the whole gateway under the name that clients see. */
export interface NamedThing {
  /** As in `Wanted`. */
  readonly server: string | undefined
  readonly only: string | undefined
  readonly name: string
}

/**
 * Reads `server.name` or `server/name`, where the first part is a server of the configuration, or else a name that
 * clients see. With a profile, names are always those that its clients see.
 * @throws GatewayError `config` for a server that is disabled
 */
export function namedThing(given: string, { config, raw }: Loaded, profile: string | undefined): NamedThing {
  const { servers } = config
  const asSeen = { server: undefined, only: new Namespaces(servers).ownerOf(given), name: given }
  if (profile !== undefined) return asSeen
  const owners = servers
    .map(({ name }) => name)
    .filter(name => given.startsWith(`${name}.`) || given.startsWith(`${name}/`))
    // Names of servers may contain dots and slashes.
    .sort((a, b) => b.length - a.length)
  const [server] = owners
  const off = server === undefined ? disabledIn(raw).find(name => given.startsWith(`${name}.`)) : undefined
  if (off !== undefined) throw isDisabled(off)
  return server === undefined ? asSeen : { server, only: server, name: given.slice(server.length + 1) }
}

function isDisabled(server: string): GatewayError {
  return new GatewayError(
    'config',
    `The server ${JSON.stringify(server)} is disabled. Enable it with: mcp-manifold enable ${shellWord(server)}`,
  )
}

/** Names of the servers of a file that are disabled there. */
function disabledIn(raw: unknown): string[] {
  const { mcpServers, servers } = isJsonObject(raw) ? raw : {}
  return [mcpServers, servers].flatMap(table =>
    isJsonObject(table)
      ? Object.entries(table).flatMap(([name, entry]) =>
          isJsonObject(entry) && entry['disabled'] === true ? [name] : [],
        )
      : [],
  )
}

/** @throws GatewayError `config` for a server that is not in the configuration, or is disabled there */
export function assertServer(
  server: string,
  { config: { servers, file }, raw }: Pick<Loaded, 'config' | 'raw'>,
): void {
  const names = servers.map(({ name }) => name)
  if (disabledIn(raw).includes(server)) throw isDisabled(server)
  if (!names.includes(server))
    throw notThere(
      quoted => `There is no server ${quoted} in ${file ?? 'the configuration'}`,
      server,
      names,
      'There are none. Add one with: mcp-manifold add <name> -- <command>',
    )
}
