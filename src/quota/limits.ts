import { createHash } from 'node:crypto'
import type { BudgetConfig, Measure, Period, QuotaConfig } from '../config/types.ts'

/** Owner of limits: `id` is part of the key in the store, `label` is used in messages. */
export interface Owner {
  /** Id of a principal, or `server:<name>`, or `tool:<server>/<glob>`. */
  readonly id: string
  readonly label: string
  /** The limited part, as a pattern. */
  readonly part?: string
}

interface Common {
  /** Key in the store, the same in every process: `quota/<owner>/<name>`, and `/<part>`. */
  readonly key: string
  /** Short and unique to the owner, such as `rate/minute` or `calls/day`, followed by the part. */
  readonly name: string
  readonly limit: number
  readonly owner: Owner
  /** Such as `60 requests per minute`. */
  readonly text: string
}

export interface RateLimit extends Common {
  readonly kind: 'rate'
  readonly periodMs: number
}
export interface ConcurrencyLimit extends Common {
  readonly kind: 'concurrency'
}
export interface BudgetLimit extends Common {
  readonly kind: 'budget'
  readonly measure: Measure
  readonly period: Period
}
export type Limit = RateLimit | ConcurrencyLimit | BudgetLimit

export const QUOTA_KEY_PREFIX = 'quota/'
/** Longer ids, such as subjects of unusual issuers, become digests, because keys are bounded. */
const LONGEST_ID = 300

export const SPANS: Readonly<Record<string, number>> = { second: 1e3, minute: 60e3, hour: 3_600e3 }

/** The limits of a quota of this owner. Of two over the same period the smaller applies. */
export function limitsOf(owner: Owner, quota: QuotaConfig): Limit[] {
  const limits = new Map<string, Limit>()
  const add = (limit: Limit): void => {
    const other = limits.get(limit.key)
    if (!other || other.limit > limit.limit) limits.set(limit.key, limit)
  }
  const { rate, concurrency, budgets } = quota
  if (rate) {
    const span = Object.keys(SPANS).find(name => SPANS[name] === rate.periodMs) ?? `${rate.periodMs}ms`
    add({
      ...named(owner, `rate/${span}`),
      kind: 'rate',
      limit: rate.count,
      periodMs: rate.periodMs,
      text: `${count(rate.count, 'request')} per ${span}`,
    })
  }
  if (concurrency !== undefined)
    add({
      ...named(owner, 'concurrency'),
      kind: 'concurrency',
      limit: concurrency,
      text: `${count(concurrency, 'call')} at once`,
    })
  for (const budget of budgets) {
    const { measure, amount, period } = budget
    const text = `${amountText(budget)} per ${period}`
    add({ ...named(owner, `${measure}/${period}`), kind: 'budget', limit: amount, measure, period, text })
  }
  return [...limits.values()]
}

function named(owner: Owner, what: string): Pick<Common, 'key' | 'name' | 'owner'> {
  const { id, part } = owner
  const key = `${QUOTA_KEY_PREFIX}${segment(id)}/${what}`
  return part === undefined
    ? { key, name: what, owner }
    : { key: `${key}/${segment(part)}`, name: `${what} ${part}`, owner }
}

/** Escapes characters that would end the segment. */
function segment(text: string): string {
  if (Buffer.byteLength(text) > LONGEST_ID) return `sha256:${createHash('sha256').update(text).digest('hex')}`
  return text.replace(/[%/]/g, char => (char === '/' ? '%2F' : '%25'))
}

/** Parses a key. `undefined`: it is not that of a limit. */
export function parseKey(key: string): { id: string; name: string } | undefined {
  const [, id, first, second, part] =
    /^quota\/([^/]+)\/(concurrency|[a-z]+)(?:\/([a-z]+))?(?:\/([^/]+))?$/.exec(key) ?? []
  if (id === undefined || first === undefined) return undefined
  // `concurrency` has no period, so its part is at the position of a period.
  const what = first === 'concurrency' || second === undefined ? first : `${first}/${second}`
  const plain = (text: string): string => text.replaceAll('%2F', '/').replaceAll('%25', '%')
  const rest = first === 'concurrency' ? (second ?? part) : part
  return { id: plain(id), name: rest === undefined ? what : `${what} ${plain(rest)}` }
}

function amountText({ measure, amount }: BudgetConfig): string {
  switch (measure) {
    case 'calls':
      return count(amount, 'call')
    case 'cost':
      return count(amount, 'cost unit')
    case 'compute':
      return `${amount % 1000 === 0 ? `${amount / 1000} s` : `${amount} ms`} of server time`
    case 'bytes':
      return `${amount} bytes of results`
  }
}

function count(amount: number, thing: string): string {
  return `${amount} ${thing}${amount === 1 ? '' : 's'}`
}
