import { isJsonObject } from '../core/json-object.ts'
import { UNSEEN } from '../core/seen-text.ts'
import { shellWord } from '../core/shell-word.ts'
import type { JsonObject } from '../core/exchange.ts'

/** What is shown of a secret. */
export const SHOWN_SECRET = '***'

/**
 * What an entry runs, or which address it is, with the names and values of its environment and headers. No character
 * of it is left out: those that cannot be seen are written as `\u202e`.
 */
export function entryLines({ command, args, url, type, env, headers }: JsonObject): string[] {
  const words = [command, ...(Array.isArray(args) ? args : [])]
  return [
    url === undefined
      ? words.map(word => wordOf(plain(word))).join(' ')
      : `${visible(plain(url))}${typeof type === 'string' ? ` (${type})` : ''}`,
    ...textsOf(env).map(([name, value]) => `  with the variable ${visible(name)}=${wordOf(value)}`),
    ...textsOf(headers).map(([name, value]) => `  with the header ${visible(name)}: ${visible(value)}`),
  ]
}

function textsOf(texts: unknown): [string, string][] {
  return isJsonObject(texts) ? Object.entries(texts).map(([name, value]) => [name, plain(value)]) : []
}

/** A text of a configuration as the program gets it: `$${` stands for `${`. */
function plain(text: unknown): string {
  return String(text).replaceAll('$${', () => '${')
}

function wordOf(text: string): string {
  return text === SHOWN_SECRET ? text : visible(shellWord(text))
}

function visible(text: string): string {
  return text.replace(
    UNSEEN,
    character => String.raw`\u` + (character.codePointAt(0) ?? 0).toString(16).padStart(4, '0'),
  )
}
