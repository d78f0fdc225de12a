import { hash } from 'node:crypto'
import { promisify } from 'node:util'
import { brotliCompress, brotliDecompress, constants } from 'node:zlib'
import { isJsonObject } from '../../core/json-object.ts'
import type { TierEntry } from '../tier.ts'

/**
 * Format of an entry in the store: one line of JSON that describes it, then the result, compressed if that saves space.
 * A version and a checksum precede it, so that an entry that is damaged, of another version or copied to another key is
 * not used.
 */
const VERSION = '1'
const CHECKSUM_CHARS = 22

/** No larger entry is ever written. */
const MAX_BYTES = 64 * 1024 * 1024

const compress = promisify(brotliCompress)
const decompress = promisify(brotliDecompress)
/** Nearly as small as with the best quality, in a tenth of the time. */
const QUALITY = 4

interface Description {
  /** Name of the key under which it was written. */
  readonly key: string
  readonly stamp: string
  readonly encoding: 'plain' | 'br'
  /** Size of the result, in bytes of UTF-8. */
  readonly bytes: number
  readonly modern: boolean
  readonly storedAt: number
  readonly upstreamMs: number
  readonly tags: readonly string[]
}

/** Beginning of the names of a server's entries. */
export function entryPrefixOf(server: string): string {
  return `cache/${server.replaceAll('%', '%25').replaceAll('/', '%2F')}/`
}

/** Name of an entry. It reveals nothing about the arguments. */
export function nameOf(server: string, key: string): string {
  return entryPrefixOf(server) + hash('sha256', key, 'base64url')
}

/** `stamp`: the epochs that must be unchanged for the entry to be valid. */
export async function encode(
  name: string,
  { text, modern, storedAt, upstreamMs, tags }: TierEntry,
  stamp: string,
  compressOverBytes: number,
): Promise<string> {
  const bytes = Buffer.byteLength(text)
  let encoding: Description['encoding'] = 'plain'
  let body = text
  if (bytes > compressOverBytes) {
    const params = {
      [constants.BROTLI_PARAM_QUALITY]: QUALITY,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes,
    }
    const small = (await compress(text, { params })).toString('base64')
    // A body that compression does not shrink, such as an image, stays uncompressed.
    if (small.length < bytes) [encoding, body] = ['br', small]
  }
  const description: Description = {
    key: name,
    stamp,
    encoding,
    bytes,
    modern,
    storedAt,
    upstreamMs,
    tags,
  }
  const rest = `${JSON.stringify(description)}\n${body}`
  return VERSION + checksum(rest) + rest
}

/** The description of an entry. `undefined`: it is no entry of this version and key, or is damaged. */
export function describe(name: string, value: string): (Description & { readonly body: string }) | undefined {
  const at = VERSION.length + CHECKSUM_CHARS
  const rest = value.slice(at)
  if (!value.startsWith(VERSION) || value.slice(VERSION.length, at) !== checksum(rest)) return undefined
  const end = rest.indexOf('\n')
  try {
    const description: unknown = JSON.parse(rest.slice(0, end))
    return isDescription(description) && description.key === name
      ? { ...description, body: rest.slice(end + 1) }
      : undefined
  } catch {
    return undefined
  }
}

/** The checksum shows that the value is not damaged, but not that a gateway wrote it. */
function isDescription(value: unknown): value is Description {
  if (!isJsonObject(value)) return false
  const { stamp, bytes, storedAt, upstreamMs, tags } = value
  return (
    typeof stamp === 'string' &&
    [bytes, storedAt, upstreamMs].every(number => typeof number === 'number' && number >= 0) &&
    Array.isArray(tags) &&
    tags.every(tag => typeof tag === 'string')
  )
}

/** Decodes the entry in a value. `undefined` as for `describe`. */
export async function decode(
  name: string,
  value: string,
): Promise<{ readonly entry: TierEntry; readonly stamp: string } | undefined> {
  try {
    const found = describe(name, value)
    if (!found) return undefined
    const { body, encoding, bytes, stamp, modern, storedAt, upstreamMs, tags } = found
    const maxOutputLength = Math.min(bytes, MAX_BYTES)
    const text =
      encoding === 'plain'
        ? body
        : (await decompress(Buffer.from(body, 'base64'), { maxOutputLength })).toString()
    return { entry: { text, modern, storedAt, upstreamMs, tags }, stamp }
  } catch {
    return undefined
  }
}

function checksum(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, CHECKSUM_CHARS)
}
