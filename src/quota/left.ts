import type { Budgeted, Rated } from './gate.ts'
import type { Limit } from './limits.ts'

/** What does not change of each. */
const heads = new WeakMap<Limit, string>()

/** Raw JSON of what a caller has left, a list of `{name, limit, left, resetsAt}`. What other processes use shows a moment later. */
export function leftText(limits: readonly (Rated | Budgeted)[]): string {
  let text = '['
  for (const { limit, lease } of limits) {
    if (text !== '[') text += ','
    let head = heads.get(limit)
    if (head === undefined)
      heads.set(limit, (head = `{"name":${JSON.stringify(limit.name)},"limit":${limit.limit},"left":`))
    const { left, resetsAt } = lease
    text += resetsAt === undefined ? `${head}${left}}` : `${head}${left},"resetsAt":"${resetsAt}"}`
  }
  return `${text}]`
}
