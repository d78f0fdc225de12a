import { GatewayError } from '../core/errors.ts'
import type { CallRequest, JsonObject } from '../core/exchange.ts'
import { likePair } from '../core/fold-case.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { ArgumentReads } from '../core/route.ts'
import { inexactNumber } from '../protocol/inexact-number.ts'
import { find, members, repeatedKey } from '../protocol/json-text.ts'
import { ambiguous } from '../protocol/member-names.ts'

/**
 * The `args` of conditions: the arguments of a tool or prompt, or those known so far during a completion. The server
 * gets the text, so arguments that it could read differently than a condition are refused.
 * @throws GatewayError `invalid_request`, `invalid_params`
 */
export function argumentsOf(request: CallRequest, reads: ArgumentReads | undefined): JsonObject {
  const { method, params } = request
  if (!params) return {}
  const twice = repeatedKey(params.text)
  if (twice !== undefined)
    throw new GatewayError('invalid_request', `Member ${JSON.stringify(twice)} stands twice in one object.`)
  if (method !== 'completion/complete') {
    const args = objectIn(params.value, 'arguments', reads)
    if (reads) {
      checkNames(args, reads)
      const text = find(members(params.text), 'arguments')
      if (text && isJsonObject(params.value.arguments)) checkNumbers(params.text, text.start, reads)
    }
    return args
  }
  const known = objectIn(objectIn(params.value, 'context', reads), 'arguments', reads)
  const { name, value } = objectIn(params.value, 'argument', reads)
  const args = typeof name === 'string' ? { ...known, [name]: value } : known
  if (reads) checkNames(args, reads)
  return args
}

/** A member that has to be an object. `null` and absence mean the same to every reader. */
function objectIn(holder: JsonObject, key: string, reads: ArgumentReads | undefined): JsonObject {
  const value = holder[key]
  if (isJsonObject(value)) return value
  if (reads && value !== undefined && value !== null)
    throw new GatewayError(
      'invalid_params',
      `"${key}" must be an object: a rule decides on what is in it. Send the arguments by their names.`,
    )
  return {}
}

/** Whether a condition reads an argument, under its name or a name that a server could take for it. */
function isRead(key: string, { members: read }: ArgumentReads): boolean {
  return !read || read.resembles(key)
}

/** @throws GatewayError `invalid_request`, `invalid_params` */
function checkNames(args: JsonObject, reads: ArgumentReads): void {
  const keys = Object.keys(args).filter(key => isRead(key, reads))
  const open: unknown[] = []
  const enter = (object: JsonObject, names: readonly string[]): void => {
    for (const key of names) {
      const known = reads.names.variantOf(key)
      if (known !== undefined) throw ambiguous(known, key)
      open.push(object[key])
    }
    const pair = likePair(names)
    if (pair) throw ambiguous(...pair)
  }
  enter(args, keys)
  // An explicit stack in place of recursion, because arguments may have any depth.
  while (open.length > 0) {
    const value = open.pop()
    if (typeof value === 'number') checkNumber(value)
    else if (Array.isArray(value)) for (const item of value as unknown[]) open.push(item)
    else if (isJsonObject(value)) enter(value, Object.keys(value))
  }
}

function checkNumber(value: number): void {
  if (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))
    throw inexact(String(value))
}

/** Refuses long numbers that parsing would change. */
function checkNumbers(text: string, start: number, reads: ArgumentReads): void {
  for (const member of members(text, start)) {
    if (!isRead(member.key, reads)) continue
    const number = inexactNumber(text, member.start, member.end)
    if (number !== undefined) throw inexact(number)
  }
}

function inexact(number: string): GatewayError {
  return new GatewayError(
    'invalid_params',
    `The number ${number.slice(0, 40)} in the arguments is not exact as a double, and a rule decides on it. Integers go up to 2^53; send a longer one as a text.`,
  )
}
