import type { InputRequest } from '../core/exchange.ts'
import { rawAt } from '../protocol/json-text.ts'
import { OWN_META_PREFIX } from '../protocol/revisions.ts'

/** `_meta` key with which a legacy server can give a question a key for modern clients. */
const INPUT_KEY = `${OWN_META_PREFIX}inputKey`
const MAX_LENGTH = 64

/**
 * The key of a question for the client: the server's own if it gives one that is not taken. Legacy questions have no
 * key otherwise.
 */
export function inputKeyFor(request: InputRequest, number: number, taken: (key: string) => boolean): string {
  const named: unknown =
    request.params === undefined ? undefined : JSON.parse(rawAt(request.params, '_meta', INPUT_KEY) ?? 'null')
  if (typeof named === 'string' && named !== '' && named.length <= MAX_LENGTH && !taken(named)) return named
  return `${request.method.split('/')[0] as string}-${number}`
}
