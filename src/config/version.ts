import { readFileSync } from 'node:fs'

let version: string | undefined

/** Version of this package, from its `package.json`. */
export function packageVersion(): string {
  if (version === undefined) {
    const file = new URL('../../package.json', import.meta.url)
    version = (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
  }
  return version
}
