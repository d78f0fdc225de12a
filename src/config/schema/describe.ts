import type { Option } from '../options/option.ts'

/** Meaning, default, bounds and whether it does anything yet: sentences for editors. */
export function describeOption(option: Pick<Option, 'meaning' | 'default' | 'bounds' | 'pending'>): string {
  const parts = [option.meaning]
  if (option.default !== undefined) parts.push(`Default: ${option.default}.`)
  if (option.bounds !== undefined) parts.push(`Bounds: ${option.bounds}.`)
  if (option.pending) parts.push('Accepted, but not in effect in this version yet.')
  return parts.join(' ')
}
