import { GatewayError } from '../core/errors.ts'
import type { JsonObject } from '../core/exchange.ts'
import { KnownNames, likePair } from '../core/fold-case.ts'
import { isJsonObject } from '../core/json-object.ts'
import { RELATED_TASK } from './related-task.ts'
import { META } from './revisions.ts'

/**
 * Members of requests on which the gateway bases decisions. JSON parsers of some languages match names
 * case-insensitively: where the gateway reads `name`, a server might read `Name`. So a member that could be confused
 * with another one is refused.
 */

/** Members of an object, and of the objects in them. */
class Members {
  /** `null` for a member whose content is not inspected. */
  readonly #inner: ReadonlyMap<string, Members | null>
  readonly #known: KnownNames

  constructor(names: readonly string[], inner: Readonly<Record<string, Members>> = {}) {
    this.#inner = new Map([...names.map(name => [name, null] as const), ...Object.entries(inner)])
    this.#known = new KnownNames(this.#inner.keys())
  }

  /** @throws GatewayError `invalid_request` for a member that a parser could confuse with another one */
  check(object: JsonObject): void {
    let others: string[] | undefined
    for (const key in object) {
      const inner = this.#inner.get(key)
      if (inner === null) continue
      if (inner === undefined) {
        ;(others ??= []).push(key)
        continue
      }
      const value = object[key]
      if (isJsonObject(value)) inner.check(value)
    }
    if (others) this.#checkOthers(others)
  }

  #checkOthers(keys: readonly string[]): void {
    for (const key of keys) {
      const known = this.#known.variantOf(key)
      if (known !== undefined) throw ambiguous(known, key)
    }
    const pair = likePair(keys)
    if (pair) throw ambiguous(...pair)
  }
}

/** The refusal of a member `key` that some parsers read as `other`. */
export function ambiguous(other: string, key: string): GatewayError {
  const [is, like] = [key, other].map(name => JSON.stringify(name.slice(0, 100)))
  return new GatewayError(
    'invalid_request',
    `Member ${is} differs from ${like} in case only, and some servers read one for the other. Send one of them, as it is defined.`,
  )
}

const NAMED = new Members(['type', 'name', 'uri', 'value'])
const PARAMS = new Members(
  [
    'name',
    'arguments',
    'uri',
    'cursor',
    'taskId',
    'requestState',
    'inputResponses',
    'requestId',
    'reason',
    'level',
    'protocolVersion',
    'capabilities',
    'clientInfo',
  ],
  {
    ref: NAMED,
    argument: NAMED,
    context: new Members(['arguments']),
    task: new Members(['taskId', 'ttl']),
    notifications: new Members([
      'toolsListChanged',
      'resourcesListChanged',
      'promptsListChanged',
      'resourceSubscriptions',
      'taskIds',
    ]),
    _meta: new Members(['progressToken', RELATED_TASK, ...Object.values(META)]),
  },
)
const MESSAGE = new Members(['jsonrpc', 'id', 'method', 'result', 'error'], { params: PARAMS })

/** @throws GatewayError `invalid_request` for a message with a member that some servers would read as another one */
export function refuseVariants(message: JsonObject): void {
  MESSAGE.check(message)
}
