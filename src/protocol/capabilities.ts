import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withMembers } from './json-text.ts'
import { isModernVersion, type Era } from './revisions.ts'

/** Capabilities of a client that servers may use through the gateway. */
const FEATURES = ['elicitation', 'roots', 'sampling'] as const

/** Extension of revision 2026-07-28 whose ids the gateway wraps. */
export const TASKS = 'io.modelcontextprotocol/tasks'

/** Extensions that the gateway can relay, by era of the client. */
const EXTENSIONS: Readonly<Record<Era, readonly string[]>> = {
  legacy: ['io.modelcontextprotocol/ui'],
  modern: ['io.modelcontextprotocol/ui', TASKS],
}

/**
 * Maximum length of a client's capabilities as raw JSON, far above normal use. They are kept with sessions, links and
 * lists, and sent with requests.
 */
const MAX_CHARS = 16 * 1024
const MAX_DEPTH = 32

/**
 * Raw JSON of the declared capabilities that the gateway can relay, `''` when there are none. Declared capabilities
 * count even when the client's revision does not define them: some clients use an older revision over an older
 * transport. In a fixed order, so that equal capabilities have equal texts.
 * @throws GatewayError `too_large` for more than 16 KiB, or nesting deeper than 32
 */
export function forwardableCapabilities(capabilities: JsonObject, revision: string): string {
  const parts: string[] = []
  for (const key of FEATURES) {
    const value = capabilities[key]
    if (typeof value !== 'object' || value === null) continue
    parts.push(`"${key}":${textOf(value)}`)
  }
  const era = isModernVersion(revision) ? 'modern' : 'legacy'
  const extensions = allowedExtensions(capabilities.extensions, era)
  if (extensions) parts.push(`"extensions":${textOf(extensions)}`)
  const features = parts.length === 0 ? '' : `{${parts.join(',')}}`
  if (features.length <= MAX_CHARS) return features
  throw tooLarge(`have ${features.length} characters; ${MAX_CHARS} is the most`)
}

function textOf(value: object): string {
  if (isDeeper(value, MAX_DEPTH)) throw tooLarge(`are nested more than ${MAX_DEPTH} deep`)
  return JSON.stringify(value)
}

function isDeeper(value: unknown, most: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return most === 0 || Object.values(value).some(member => isDeeper(member, most - 1))
}

function tooLarge(how: string): GatewayError {
  return new GatewayError('too_large', `The capabilities of the client ${how}. Fix: declare less.`)
}

/** The supported part of an `extensions` capability, `undefined` when it is empty. */
export function allowedExtensions(extensions: unknown, era: Era): JsonObject | undefined {
  if (typeof extensions !== 'object' || extensions === null) return undefined
  const allowed: JsonObject = {}
  for (const key of EXTENSIONS[era]) if (key in extensions) allowed[key] = (extensions as JsonObject)[key]
  return Object.keys(allowed).length === 0 ? undefined : allowed
}

/** Whether a server may send requests to a client with these features. */
export function canBeAsked(features: string): boolean {
  return features !== '' && FEATURES.some(feature => features.includes(`"${feature}":`))
}

/** Configured roots never change while the server runs. */
const FIXED_ROOTS = '{"listChanged":false}'

/**
 * The features of a client that a server may use. When the server's roots are configured (`roots`), the roots of the
 * client are removed, so that clients that differ only in their roots are equal.
 */
export function askable(features: string, roots: readonly unknown[] | undefined): string {
  if (!roots || !features.includes('"roots"')) return features
  const others = withMembers(features, { roots: undefined })
  return others === '{}' ? '' : others
}

/**
 * Raw JSON of the client capabilities that are declared to a server: those of the client, and the roots when they are
 * configured.
 */
export function declaredTo(features: string, roots: readonly unknown[] | undefined): string {
  const others = askable(features, roots) || '{}'
  return roots?.length ? withMembers(others, { roots: FIXED_ROOTS }) : others
}

/** Whether these features include the tasks extension. */
export function knowsTasks(features: string): boolean {
  return features.includes(`"${TASKS}"`)
}

/** The same features with the tasks extension. */
export function withTasks(features: string): string {
  const value = (features === '' ? {} : JSON.parse(features)) as JsonObject
  const extensions = { ...(value.extensions as JsonObject | undefined), [TASKS]: {} }
  return JSON.stringify({ ...value, extensions })
}

/** Whether a server with these capabilities runs tools as tasks of revision 2025-11-25. */
export function runsTasks(capabilities: JsonObject | undefined): boolean {
  const tasks = capabilities?.tasks as
    { requests?: { tools?: { call?: unknown } | null } | null } | null | undefined
  return isJsonObject(tasks?.requests?.tools?.call)
}
