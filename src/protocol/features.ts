import type { JsonObject } from '../core/exchange.ts'

/** Capabilities of a client that servers may make use of through the gateway. */
const FEATURES = ['elicitation', 'roots', 'sampling'] as const

/** Extensions the gateway understands well enough to pass: no methods or result types of theirs need its help. */
export const EXTENSIONS: readonly string[] = ['io.modelcontextprotocol/ui']

/**
 * Raw JSON of what a client declares and the gateway can relay, `''` when there is nothing. In a fixed order, so that clients that
 * declare the same have the same text.
 */
export function featuresOf(capabilities: JsonObject): string {
  const parts: string[] = []
  for (const key of FEATURES) {
    const value = capabilities[key]
    if (typeof value === 'object' && value !== null) parts.push(`"${key}":${JSON.stringify(value)}`)
  }
  const extensions = allowedExtensions(capabilities.extensions)
  if (extensions) parts.push(`"extensions":${JSON.stringify(extensions)}`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

/** The part of an `extensions` capability that is on the list, `undefined` when nothing is. */
export function allowedExtensions(extensions: unknown): JsonObject | undefined {
  if (typeof extensions !== 'object' || extensions === null) return undefined
  const allowed: JsonObject = {}
  for (const key of EXTENSIONS) if (key in extensions) allowed[key] = (extensions as JsonObject)[key]
  return Object.keys(allowed).length === 0 ? undefined : allowed
}
