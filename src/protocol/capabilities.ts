import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { withMembers } from './json-text.ts'
import { isModernVersion, type Era } from './revisions.ts'

/** Capabilities of a client that servers may make use of through the gateway. */
const FEATURES = ['elicitation', 'roots', 'sampling'] as const

/** Extension of revision 2026-07-28 whose ids the gateway wraps. */
export const TASKS = 'io.modelcontextprotocol/tasks'

/** Extensions the gateway understands well enough to pass, by era of the client. */
export const EXTENSIONS: Readonly<Record<Era, readonly string[]>> = {
  legacy: ['io.modelcontextprotocol/ui'],
  modern: ['io.modelcontextprotocol/ui', TASKS],
}

/** Of what a client declares, as raw JSON: far more than clients need. It is kept with sessions, links and lists, and sent with requests. */
const MAX_CHARS = 16 * 1024
const MAX_DEPTH = 32

/**
 * Raw JSON of what a client declares and the gateway can relay, `''` when there is nothing. What is declared is believed, whatever the client's revision has: some
 * speak an older one over an older transport. In a fixed order, so that clients that declare the same have the same text.
 * @throws GatewayError `too_large` for more than 16 KiB, or deeper than 32
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

/** The part of an `extensions` capability that is on the list, `undefined` when nothing is. */
export function allowedExtensions(extensions: unknown, era: Era): JsonObject | undefined {
  if (typeof extensions !== 'object' || extensions === null) return undefined
  const allowed: JsonObject = {}
  for (const key of EXTENSIONS[era]) if (key in extensions) allowed[key] = (extensions as JsonObject)[key]
  return Object.keys(allowed).length === 0 ? undefined : allowed
}

/** Whether a server may ask such a client anything. */
export function canBeAsked(features: string): boolean {
  return features !== '' && FEATURES.some(feature => features.includes(`"${feature}":`))
}

/** Roots of the configuration are the same as long as the server runs. */
const FIXED_ROOTS = '{"listChanged":false}'

/**
 * What a server may ask this client. Where the server's roots are configured (`roots`), those of the client are none of its business, so that clients
 * that differ only in these are alike.
 */
export function askable(features: string, roots: readonly unknown[] | undefined): string {
  if (!roots || !features.includes('"roots"')) return features
  const others = withMembers(features, { roots: undefined })
  return others === '{}' ? '' : others
}

/** Raw JSON of the client capabilities that a server is told of: what it may ask the client, and what the configuration answers. */
export function declaredTo(features: string, roots: readonly unknown[] | undefined): string {
  const others = askable(features, roots) || '{}'
  return roots?.length ? withMembers(others, { roots: FIXED_ROOTS }) : others
}

/** Whether such features declare the tasks extension. */
export function knowsTasks(features: string): boolean {
  return features.includes(`"${TASKS}"`)
}

/** The same features with the tasks extension declared. */
export function withTasks(features: string): string {
  const value = (features === '' ? {} : JSON.parse(features)) as JsonObject
  const extensions = { ...(value.extensions as JsonObject | undefined), [TASKS]: {} }
  return JSON.stringify({ ...value, extensions })
}

/** Whether a server of these capabilities runs tools as tasks of revision 2025-11-25. */
export function runsTasks(capabilities: JsonObject | undefined): boolean {
  const tasks = capabilities?.tasks as
    { requests?: { tools?: { call?: unknown } | null } | null } | null | undefined
  return isJsonObject(tasks?.requests?.tools?.call)
}
