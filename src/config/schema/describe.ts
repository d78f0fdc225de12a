import type { Option } from '../options/option.ts'

/** Meaning, default, bounds, and what an editor cannot know: sentences for editors. */
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
