/** Whether two texts name one authorization server: a trailing slash alone makes no other. */
export function isSameIssuer(a: string, b: string): boolean {
  return a.replace(/\/$/, '') === b.replace(/\/$/, '')
}
