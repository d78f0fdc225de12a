/**
 * Dates, times, durations, ids, temporary folders, addresses and process numbers vary between occurrences and carry no
 * information.
 */
const VARYING = new RegExp(
  [
    String.raw`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`,
    String.raw`\d+(?:[-:T_/]\d+){2,}(?:[.,]\d+)?Z?`,
    String.raw`\b\d+(?:\.\d+)?\s?(?:m?s|(?:milli)?seconds?|minutes?)\b`,
    String.raw`/(?:tmp|var/folders)/[^\s'":]+`,
    String.raw`[0-9a-f]{8,}`,
    String.raw`\bpid[ =:]{0,2}\d+`,
    String.raw`[[(]\d+[\])]`,
    String.raw`\d{4,}`,
  ].join('|'),
  'gi',
)

/** A text without its varying parts, for comparison: two occurrences of the same message are equal. */
export function sameness(text: string, maxChars: number): string {
  return text.slice(0, maxChars).replace(VARYING, '#')
}
