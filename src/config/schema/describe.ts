import type { Option } from '../options/option.ts'

/** Descriptions for editors: meaning, default, bounds, and rules that a schema cannot express. */
export function describeOption(
  option: Pick<Option, 'meaning' | 'default' | 'bounds' | 'pending' | 'restart'>,
): string {
  const parts = [option.meaning]
  if (option.default !== undefined) parts.push(`Default: ${option.default}.`)
  if (option.bounds !== undefined) parts.push(`Bounds: ${option.bounds}.`)
  if (option.restart !== undefined) parts.push('A change takes effect at the next start.')
  if (option.pending) parts.push('Accepted, but not in effect in this version yet.')
  return parts.join(' ')
}
