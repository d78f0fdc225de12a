import { LOCATION_KEYS } from '../config/options/endpoint.ts'
import { keysOf } from '../config/options/keys.ts'
import { formatPath, maskArgs, maskText, type Path } from '../config/problem.ts'
import { isJsonObject } from '../core/json-object.ts'
import { isSecretName, redact } from '../observe/redact.ts'
import { isMoved } from './addresses.ts'

/** Masks the secrets of a configuration file for the admin API, and restores them in a changed one. */

/** Replaces a secret. */
const MASK = '***'
/**
 * A variable without a default, alone or after an authentication scheme: it refers to a secret but does not contain it.
 */
const REFERENCE = /^(?:(?:bearer|basic|token) +)?\$\{(?:[A-Za-z_]\w*|(?:env|input|file|keyring):[^{}]+)\}$/i

/** A value of a configuration file without the secrets written in it. */
export function masked(value: unknown, path: Path = []): unknown {
  if (Array.isArray(value)) {
    const texts = path.at(-1) === 'args' ? maskArgs(value.map(String)) : undefined
    return value.map((item: unknown, at) =>
      texts && typeof item === 'string' && !REFERENCE.test(item)
        ? redact(texts[at] ?? MASK)
        : masked(item, [...path, at]),
    )
  }
  if (isJsonObject(value))
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [key, masked(child, [...path, key])]),
    )
  if (typeof value === 'number') return isHidden(path) ? MASK : value
  if (typeof value !== 'string' || REFERENCE.test(value)) return value
  return isHidden(path) ? MASK : redact(maskText(value))
}

/** Whether the value at a location is secret, regardless of its content. */
function isHidden(path: Path): boolean {
  const keys = keysOf(path)
  if (keys.includes('env') || keys.includes('headers')) return true
  if (path[0] === 'clients' && path[2] === 'values') return true
  if (path[0] === 'inputs' && path.at(-1) === 'default') return true
  if (path[0] === 'gateway' && path[1] === 'vault' && path[2] === 'keys') return true
  // The path of a key file is not secret.
  if (path[0] === 'gateway' && path.at(-2) === 'tls') return false
  const name = path.findLast(part => typeof part === 'string')
  return typeof name === 'string' && isSecretName(name)
}

export interface Unmasked {
  readonly value: unknown
  /** Locations of masks that correspond to no secret. */
  readonly unknown: readonly string[]
  /** Locations of masks that a secret has replaced. */
  readonly restored: readonly Path[]
}

/** Replaces the masks in `sent` by the secrets of `current`. */
export function unmasked(sent: unknown, current: unknown): Unmasked {
  const unknown: string[] = []
  const restored: Path[] = []
  const visit = (value: unknown, known: unknown, shown: unknown, path: Path): unknown => {
    if (typeof value === 'string') {
      if (value === shown && (typeof known === 'string' || typeof known === 'number')) {
        if (value !== known) restored.push(path)
        return known
      }
      if (value.includes(MASK) && value !== known) unknown.push(formatPath(path))
      return value
    }
    if (Array.isArray(value)) {
      const [list, shownList] = [asList(known), asList(shown)]
      return value.map((item: unknown, at) => {
        const partner = partnerOf(value, at, shownList)
        return visit(item, list[partner], shownList[partner], [...path, at])
      })
    }
    if (!isJsonObject(value)) return value
    const [object, shownObject] = [asObject(known), asObject(shown)]
    return Object.fromEntries(
      Object.entries(value).map(([key, child]) => [
        key,
        visit(child, own(object, key), own(shownObject, key), [...path, key]),
      ]),
    )
  }
  return { value: visit(sent, current, masked(current), []), unknown, restored }
}

/** Keys that identify the items of a list. */
const IDENTITY = ['name', 'id', 'issuer', ...LOCATION_KEYS]

/** Index in the displayed list of the item that corresponds to `list[at]`; -1 when that is uncertain. */
function partnerOf(list: readonly unknown[], at: number, shown: readonly unknown[]): number {
  const item = list[at]
  if (!isJsonObject(item)) {
    // The meaning of a text depends on the texts before it.
    const isPrefix = list.slice(0, at).every((other, index) => other === shown[index])
    return isPrefix ? at : -1
  }
  const identity = identityOf(item)
  const same = shown.flatMap((other, index) => (identityOf(other) === identity ? [index] : []))
  const single = same.length === 1 ? same[0] : undefined
  if (single !== undefined) return single
  return same.includes(at) && list.length === shown.length ? at : -1
}

function identityOf(item: unknown): string {
  const object = asObject(item)
  return JSON.stringify(IDENTITY.map(key => own(object, key) ?? null))
}

function own(object: Readonly<Record<string, unknown>>, key: string): unknown {
  return Object.hasOwn(object, key) ? object[key] : undefined
}

function asList(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : []
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isJsonObject(value) ? value : {}
}

/** Servers whose address changes while a mask keeps a secret of theirs, by name. */
export function movedSecrets(before: unknown, after: unknown, restored: readonly Path[]): string[] {
  const places = new Map<string, Path>()
  for (const [section, name] of restored)
    if (section === 'mcpServers' || section === 'servers')
      places.set(JSON.stringify([section, name]), [section, name as string])
  return [...places.values()].flatMap(([section = '', name = '']) => {
    const [known, entry] = [before, after].map(config => asObject(asObject(config)[section])[name])
    return isMoved(known, entry) ? [String(name)] : []
  })
}
