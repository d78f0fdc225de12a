import { createKey, keyDigestOf, idOf, readAllKeys, removeKey, storeKey } from '../auth/key-records.ts'
import { loadConfigFile } from '../config/load/load.ts'
import { parseDuration } from '../config/options/units.ts'
import { GatewayError } from '../core/errors.ts'
import type { CommonOptions } from './common-options.ts'
import { assertClient } from './clients.ts'
import { alignColumns } from './table.ts'
import { typed } from './this-program.ts'
import { withStore } from './with-store.ts'

/** What a gateway that runs does with a changed configuration. */
const TAKEN_OVER =
  'A running gateway reads a changed configuration by itself, or, with "gateway.watch": false, on "mcp-manifold reload".'

interface KeysOptions extends CommonOptions {
  readonly json?: boolean
}

export interface CreateOptions extends KeysOptions {
  readonly expires?: string
  readonly note?: string
}

const MIN_MS = 60_000
const MAX_MS = 10 * 365 * 24 * 60 * 60_000
const MAX_NOTE_CHARS = 200

/** `keys create`: writes only the key to stdout, so that it can be piped, or JSON with it. It is shown only once. */
export async function createClientKey(client: string, options: CreateOptions): Promise<void> {
  const { config: file, log, expires, note, json } = options
  const config = await loadConfigFile({ file })
  assertClient(client, config)
  const lifeMs = expires === undefined ? undefined : parseDuration(expires)
  if (expires !== undefined && (lifeMs === undefined || lifeMs < MIN_MS || lifeMs > MAX_MS))
    throw new GatewayError('config', '--expires must be a duration from 1m to 3650d, such as 90d.')
  if (note !== undefined && (note.length > MAX_NOTE_CHARS || /\p{Cc}/u.test(note)))
    throw new GatewayError('config', `--note must be one line of at most ${MAX_NOTE_CHARS} characters.`)
  const key = createKey()
  const digest = keyDigestOf(key)
  const created = Date.now()
  const isStored = await withStore(
    config,
    async store => {
      const expires = lifeMs === undefined ? undefined : created + lifeMs
      await storeKey(store, { digest, client, created, expires, note })
      return true
    },
    ({ name }) => {
      if (lifeMs === undefined) return false
      throw new GatewayError(
        'config',
        `With "state": "${name}" keys stand in the configuration, where they have no expiry. Leave out --expires, or keep state in a directory.`,
      )
    },
    log,
  )
  if (isStored) {
    const until = lifeMs === undefined ? 'until it is revoked' : `until ${day(created + lifeMs)}`
    say(
      `A gateway that runs accepts it at once if it has read "${client}" in its configuration. ${TAKEN_OVER}`,
      `Key ${idOf(digest)} of client "${client}" counts ${until}. It is shown this once:`,
    )
  } else
    say(
      `A running gateway has its state for itself: add this line to "keys" of clients.${client}. ${TAKEN_OVER}`,
      `  "sha256:${digest}"`,
    )
  const ends = lifeMs === undefined ? undefined : created + lifeMs
  const made = {
    key,
    id: idOf(digest),
    client,
    created,
    expires: ends,
    note,
    stored: isStored,
    digest: `sha256:${digest}`,
  }
  process.stdout.write(json ? `${JSON.stringify(made, undefined, 2)}\n` : `${key}\n`)
}

/** `keys list`: shows the metadata of each key, without the key. */
export async function listKeys(
  client: string | undefined,
  { config: file, log, json }: KeysOptions,
): Promise<void> {
  const config = await loadConfigFile({ file })
  if (client !== undefined) assertClient(client, config)
  const names = new Set(config.clients.map(({ name }) => name))
  const stored = await withStore(config, readAllKeys, () => [], log)
  const keys: ListedKey[] = [
    ...config.clients.flatMap(({ name, keys: digests }) =>
      digests.map(digest => ({ id: idOf(digest), client: name, configured: true, refused: false })),
    ),
    ...stored
      .sort((a, b) => a.created - b.created)
      .map(key => ({
        id: idOf(key.digest),
        client: key.client,
        configured: false,
        refused: !names.has(key.client),
        created: key.created,
        expires: key.expires,
        note: key.note,
      })),
  ].filter(key => client === undefined || key.client === client)
  if (json) return void process.stdout.write(`${JSON.stringify(keys, undefined, 2)}\n`)
  const rows = keys.map(rowOf)
  if (rows.length === 0) say(`There are no keys. Make one: ${typed('keys create <client>', config.file)}`)
  else {
    const lines = alignColumns([['id', 'client', 'created', 'expires', 'note'], ...rows])
    process.stdout.write(`${lines.join('\n')}\n`)
  }
}

/** A key as it is listed. Times are Unix milliseconds. */
interface ListedKey {
  readonly id: string
  readonly client: string
  /** It stands in the configuration, and not in the state. */
  readonly configured: boolean
  /** There is no such client any more. */
  readonly refused: boolean
  readonly created?: number
  readonly expires?: number | undefined
  readonly note?: string | undefined
}

function rowOf({ id, client, configured, refused, created, expires, note }: ListedKey): string[] {
  if (configured || created === undefined) return [id, client, '-', '-', 'in the configuration']
  const about = [...(refused ? ['refused: no such client'] : []), ...(note === undefined ? [] : [note])].join(
    ' ',
  )
  return [id, client, day(created), expires === undefined ? 'never' : day(expires), about]
}

/** `keys revoke`: running gateways that share the store refuse the key within seconds. */
export async function revokeKey(id: string, { config: file, log, json }: KeysOptions): Promise<void> {
  const config = await loadConfigFile({ file })
  const owner = config.clients.find(({ keys }) => keys.some(digest => idOf(digest) === id))
  if (owner)
    throw new GatewayError(
      'config',
      `The key ${id} stands in the configuration: remove its line from "keys" of clients.${owner.name}. ${TAKEN_OVER}`,
    )
  const revoked = await withStore(
    config,
    async store => {
      const key = (await readAllKeys(store)).find(({ digest }) => idOf(digest) === id)
      if (key) await removeKey(store, key.digest)
      return key
    },
    () => undefined,
    log,
  )
  if (!revoked) throw unknown(id)
  if (json) process.stdout.write(`${JSON.stringify({ id, client: revoked.client, revoked: true })}\n`)
  else say(`Key ${id} of client "${revoked.client}" is revoked.`)
}

function unknown(id: string): GatewayError {
  return new GatewayError('config', `There is no key ${id.slice(0, 40)}. See: mcp-manifold keys list`)
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 16).replace('T', ' ')
}

function say(...lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`)
}
