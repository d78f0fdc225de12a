import { isAt, startsThisGateway, type ListenAddress } from '../config/validate/self-reference.ts'
import type { JsonObject } from '../core/exchange.ts'

/**
 * Whether an entry, in the form of the gateway, starts or names a gateway of this program, whatever configuration it
 * has.
 */
export function isOwnEntry(entry: JsonObject, address: ListenAddress): boolean {
  const { command, args, url } = entry as { command?: string; args?: readonly string[]; url?: string }
  if (url !== undefined) return isAt({ url }, address)
  if (command === undefined) return false
  const words = [command, ...(args ?? [])]
  // `cmd /c npx …` on Windows, and `node …/npx-cli.js …` where a desktop has no npx on its PATH.
  if (/(?:^|[\\/])cmd(?:\.exe)?$/i.test(command) && /^\/c$/i.test(words[1] ?? '')) words.splice(0, 2)
  else if (/[\\/]npx-cli\.js$/.test(words[1] ?? '')) words.splice(0, 2, 'npx')
  const config = configAt(words)
  if (config > 0) words.splice(config, words[config]?.includes('=') ? 1 : 2)
  return startsThisGateway({ command: words[0] ?? '', args: words.slice(1) }, undefined, '/')
}

/** The configuration that an entry of the gateway names, as it is written; `undefined`: none. */
export function configOfEntry({ args }: JsonObject): string | undefined {
  const words = (args ?? []) as readonly string[]
  const at = configAt(words)
  if (at < 0) return undefined
  const word = words[at]
  return word?.includes('=') ? word.slice(word.indexOf('=') + 1) : words[at + 1]
}

function configAt(words: readonly string[]): number {
  return words.findIndex(word => /^(?:-c|--config)(?:=|$)/.test(word))
}
