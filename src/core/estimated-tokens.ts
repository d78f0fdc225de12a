/** What a token of a model has on average, in JSON and English. */
const CHARS_PER_TOKEN = 4.1

/** About how many tokens a text of so many characters is. */
export function estimatedTokens(chars: number): number {
  return Math.ceil(chars / CHARS_PER_TOKEN)
}
