import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'

/** Looks for secrets in what was written, in each spelling that they may have there. */

/** Every spelling of a secret in which it may be written. In base64 it may start at any of three places. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const shifted = [0, 1, 2].flatMap(by => {
    const whole = Buffer.concat([Buffer.alloc(by), bytes])
    return (['base64', 'base64url'] as const).map(encoding =>
      whole
        .toString(encoding)
        .replace(/=+$/, '')
        .slice(by === 0 ? 0 : by + 1, -2),
    )
  })
  const percent = encodeURIComponent(secret)
  return [
    ...new Set([
      secret,
      JSON.stringify(secret).slice(1, -1),
      percent,
      percent.toLowerCase(),
      bytes.toString('hex'),
      bytes.toString('hex').toUpperCase(),
      ...shifted,
    ]),
  ]
}

/** Where a secret stands: the names of texts and of secrets. */
export function found(
  secrets: ReadonlyMap<string, string>,
  written: ReadonlyMap<string, string>,
): readonly string[] {
  return [...secrets].flatMap(([name, secret]) =>
    spellings(secret).flatMap(spelling =>
      [...written].filter(([, text]) => text.includes(spelling)).map(([where]) => `${name} in ${where}`),
    ),
  )
}

/** Every file below a folder, as bytes. */
export const filesIn = (folder: string): readonly (readonly [string, string])[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile())
    .map(path => [path, readFileSync(path, 'latin1')] as const)
