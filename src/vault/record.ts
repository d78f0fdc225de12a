import { createHash } from 'node:crypto'
import { isJsonObject } from '../core/json-object.ts'
import { keyIdOf, type KeyRing } from '../state/key-ring.ts'
import type { RecordKind, RecordName, VaultRecord } from './vault.ts'
import { vaultFailure } from './failures.ts'

/** Records in the store: under keys that tell nothing, with name and issuer in clear and the value sealed. */

/** The largest value, as JSON. Tokens of some servers hold a list of all groups of a person. */
export const MAX_RECORD_BYTES = 64 * 1024
/** Of name and issuer together. */
const MAX_NAME_BYTES = 16 * 1024
const RECORDS = 'vault/record/'
const KINDS: readonly string[] = ['tokens', 'registration', 'login'] satisfies RecordKind[]

/** A record of the store that was not opened. */
export interface SealedRecord extends RecordName {
  readonly issuer: string
  /** Unix milliseconds, for a record with a time to live. */
  readonly until: number | undefined
  readonly sealed: Buffer
}

/** Names of servers and clients have any characters and length, so the key of a record has their digest. */
export function digestOfName({ kind, server, owner }: RecordName): string {
  return createHash('sha256')
    .update(JSON.stringify([kind, server, owner]))
    .digest('base64url')
}

export function recordKey(name: RecordName): string {
  return recordPrefix(name.kind) + digestOfName(name)
}

/** Without a kind, of all records. */
export function recordPrefix(kind?: RecordKind): string {
  return kind === undefined ? RECORDS : `${RECORDS}${kind}/`
}

/** Text of the store. @throws GatewayError for a value or a name beyond the bounds */
export function sealRecord(
  ring: KeyRing,
  name: RecordName,
  { issuer, value }: VaultRecord<unknown>,
  until: number | undefined,
): string {
  const { kind, server, owner } = name
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw vaultFailure(server, 'they are no JSON. This is a defect of the gateway.')
  const bytes = Buffer.byteLength(text)
  if (bytes > MAX_RECORD_BYTES)
    throw vaultFailure(
      server,
      `they have ${bytes} bytes, and at most ${MAX_RECORD_BYTES} are kept. Fix: ask for fewer scopes, or let the authorization server put less into its tokens.`,
    )
  const context = contextOf(name, issuer)
  if (Buffer.byteLength(context) > MAX_NAME_BYTES)
    throw vaultFailure(server, `the names of client and issuer have more than ${MAX_NAME_BYTES} bytes.`)
  const sealed = ring.seal(context, text).toString('base64')
  return JSON.stringify({ v: 1, kind, server, owner, issuer, until, sealed })
}

/** `undefined` for a text that is no record. */
export function toSealedRecord(text: string): SealedRecord | undefined {
  try {
    const found = JSON.parse(text) as unknown
    if (!isJsonObject(found)) return undefined
    const { v, kind, server, owner, issuer, until, sealed } = found
    const texts = [kind, server, owner, issuer, sealed].every(part => typeof part === 'string')
    if (v !== 1 || !texts || !KINDS.includes(kind as string)) return undefined
    const name = { kind: kind as RecordKind, server: server as string, owner: owner as string }
    return {
      ...name,
      issuer: issuer as string,
      until: typeof until === 'number' ? until : undefined,
      sealed: Buffer.from(sealed as string, 'base64'),
    }
  } catch {
    return undefined
  }
}

/** Opens it as the record of this name, whatever name it claims; `undefined` for another one or another key. */
export function openRecord(
  ring: KeyRing,
  name: RecordName,
  { issuer, sealed }: SealedRecord,
): VaultRecord<unknown> | undefined {
  const text = ring.open(contextOf(name, issuer), sealed)
  return text === undefined ? undefined : { issuer, value: JSON.parse(text) as unknown }
}

export function sealedBy({ sealed }: SealedRecord): string {
  return keyIdOf(sealed)
}

function contextOf({ kind, server, owner }: RecordName, issuer: string): string {
  return JSON.stringify([kind, issuer, server, owner])
}
