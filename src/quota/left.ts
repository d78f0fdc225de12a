import type { Budgeted, Rated } from './gate.ts'

/** Raw JSON of what a caller has left, a list of `{name, left, limit, resetsAt}`. What other processes use shows a moment later. */
export function leftText(limits: readonly (Rated | Budgeted)[]): string {
  let text = '['
  for (const { limit, lease } of limits) {
    if (text !== '[') text += ','
    text += `{"name":${JSON.stringify(limit.name)},"left":${lease.left},"limit":${limit.limit}`
    const { resetsAt } = lease
    text += resetsAt === undefined ? '}' : `,"resetsAt":"${new Date(resetsAt).toISOString()}"}`
  }
  return `${text}]`
}
