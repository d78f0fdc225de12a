import { InvalidArgumentError } from 'commander'
import { HTTP } from '../config/options/gateway.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'

/** An argument that is a JSON object. */
export function toObject(text: string): JsonObject {
  try {
    const value: unknown = JSON.parse(text)
    if (isJsonObject(value)) return value
  } catch {
    // Reported below.
  }
  throw new InvalidArgumentError('Expected a JSON object such as {"path":"a.txt"}.')
}

/** An argument that is a port. */
export function toPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new InvalidArgumentError(`Expected a number from ${HTTP.options.port.bounds}.`)
  }
  return port
}

/** An option that may be repeated. */
export function collected(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, text]
}
