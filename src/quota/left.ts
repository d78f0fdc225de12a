import type { Clock } from './clock.ts'
import type { Budgeted, Rated } from './gate.ts'
import type { Limit } from './limits.ts'

/** What does not change of each. */
const heads = new WeakMap<Limit, string>()

/** Raw JSON of what a caller has left, a list of `{name, limit, left, resetsAt}`. What other processes use shows a moment later. */
export function leftText(limits: readonly (Rated | Budgeted)[], clock: Clock): string {
  const wall = clock.wall()
  const steady = clock.steady()
  let text = ''
  for (const { limit, lease } of limits) {
    let head = heads.get(limit)
    if (head === undefined)
      heads.set(limit, (head = `{"name":${JSON.stringify(limit.name)},"limit":${limit.limit},"left":`))
    const left = lease.leftAt(wall, steady)
    const { resetsAt } = lease
    const comma = text === '' ? '' : ','
    text +=
      resetsAt === undefined ? `${comma}${head}${left}}` : `${comma}${head}${left},"resetsAt":"${resetsAt}"}`
  }
  return `[${text}]`
}
