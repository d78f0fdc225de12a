import { isJsonObject } from '../core/json-object.ts'
import { GatewayError } from '../core/errors.ts'
import { recordKey } from './record.ts'
import type { ListedRecord, RecordKind, RecordName, Vault } from './vault.ts'

/** Records in clear, as JSON, to bring logins to another place such as a container. */

const FORMAT = 'mcp-manifold credentials'
const VERSION = 1
/** Logins that have begun end where they began. */
const KINDS: readonly RecordKind[] = ['tokens', 'registration']
/** Of an exported text. */
const MAX_EXPORT_BYTES = 16 * 1024 * 1024

interface ClearRecord extends RecordName {
  readonly issuer: string
  readonly value: unknown
}

export interface Exported {
  /** JSON with secrets in clear. */
  readonly text: string
  readonly exported: number
  /** Records that this gateway has no key for. */
  readonly unopened: readonly ListedRecord[]
}

export interface Imported {
  readonly imported: number
  /** Records that were there already and stay. */
  readonly kept: number
}

/** All logins and registrations, or those that are wanted, in clear. */
export async function exportRecords(
  vault: Vault,
  isWanted: (name: RecordName) => boolean = () => true,
): Promise<Exported> {
  const records: ClearRecord[] = []
  const unopened: ListedRecord[] = []
  const listed = (await vault.list()).filter(name => KINDS.includes(name.kind) && isWanted(name))
  for (const { kind, server, owner, ...rest } of listed) {
    const record = await vault.read<unknown>({ kind, server, owner })
    if (record) records.push({ kind, server, owner, ...record })
    // One that was removed meanwhile is not missed.
    else if (!rest.opens) unopened.push({ kind, server, owner, ...rest })
  }
  const text = `${JSON.stringify({ format: FORMAT, version: VERSION, records }, null, 2)}\n`
  return { text, exported: records.length, unopened }
}

/**
 * Takes records from an exported text. Nothing is stored when a part of the text is wrong.
 * @param replaces whether records that are there already are replaced; otherwise they stay
 * @throws GatewayError `config` for a text that is none, without its content
 */
export async function importRecords(vault: Vault, text: string, replaces: boolean): Promise<Imported> {
  const records = toRecords(text)
  // Also those that cannot be opened here.
  const there = new Set((await vault.list()).map(recordKey))
  let imported = 0
  for (const { kind, server, owner, issuer, value } of records) {
    const name = { kind, server, owner }
    imported += await vault.exclusively(name, async () => {
      if (!replaces && (there.has(recordKey(name)) || (await vault.read(name)))) return 0
      await vault.write(name, { issuer, value })
      return 1
    })
  }
  return { imported, kept: records.length - imported }
}

function toRecords(text: string): readonly ClearRecord[] {
  if (Buffer.byteLength(text) > MAX_EXPORT_BYTES) throw unusable(`has more than ${MAX_EXPORT_BYTES} bytes`)
  let found: unknown
  try {
    found = JSON.parse(text)
  } catch {
    throw unusable('is not JSON')
  }
  if (!isJsonObject(found) || found['format'] !== FORMAT) throw unusable('is no export of credentials')
  if (found['version'] !== VERSION) throw unusable('comes from another version of the gateway')
  const { records } = found
  if (!Array.isArray(records)) throw unusable('has no list "records"')
  return records.map((record: unknown, at) => {
    if (isRecord(record)) return record
    throw unusable(`has as record ${at + 1} none with kind, server, owner, issuer and value`)
  })
}

function isRecord(record: unknown): record is ClearRecord {
  if (!isJsonObject(record)) return false
  const { kind, server, owner, issuer, value } = record
  const texts = [server, owner, issuer].every(part => typeof part === 'string')
  return texts && KINDS.includes(kind as RecordKind) && value !== undefined
}

function unusable(why: string): GatewayError {
  return new GatewayError(
    'config',
    `The text ${why}. Nothing was imported. Fix: make it with "mcp-manifold credentials export".`,
  )
}
