import { isJsonObject } from '../../core/json-object.ts'
import type { JsonObject } from '../../core/exchange.ts'
import type { ReadEntry } from './application.ts'

/** How an application writes variables in the texts of an entry. */
export type VariableStyle = 'none' | 'shell' | 'dollar' | 'editor' | 'gateway'

/** The entry stays with its application. `message` says why. */
class Left extends Error {}

/** Keys of all clients that mean the same, and keys that only concern the client itself. */
const OF_CLIENT = new Set(
  (
    'name description disabled enabled autoApprove alwaysAllow alwaysLoad trust icon gallery version dev source ' +
    'watchPaths bundled display_name available_tools'
  ).split(' '),
)
const TAKEN = new Set(
  'type command args env envFile cwd url serverUrl httpUrl headers headersHelper oauth'.split(' '),
)

/** An entry with `command` or `url`, as most clients write it. */
export function readEntry(value: unknown, variables: VariableStyle): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  try {
    const entry = converted(value, text => translated(text, variables))
    const dropped = Object.keys(value).filter(key => !OF_CLIENT.has(key) && !TAKEN.has(key))
    return { entry, dropped }
  } catch (error) {
    if (error instanceof Left) return { left: error.message }
    throw error
  }
}

function converted(value: JsonObject, text: (written: string) => string): JsonObject {
  const { type, command, cwd, envFile } = value
  const url = value['url'] ?? value['serverUrl'] ?? value['httpUrl']
  const isOff = value['disabled'] === true || value['enabled'] === false
  const off = isOff ? { disabled: true } : {}
  if (typeof command === 'string' && command !== '') {
    const args = listOf(value['args'], 'args', text)
    const env = textsOf(value['env'], 'env', text)
    return {
      command: text(command),
      ...(args.length > 0 && { args }),
      ...(Object.keys(env).length > 0 && { env }),
      ...(typeof cwd === 'string' && { cwd: text(cwd) }),
      ...(typeof envFile === 'string' && { envFile: text(envFile) }),
      ...off,
    }
  }
  if (typeof url !== 'string' || url === '') throw new Left('it has neither a command nor a url')
  const address = text(url)
  if (!/^https?:\/\//i.test(address) && !address.startsWith('${'))
    throw new Left('the gateway knows http and https addresses only')
  const headers = textsOf(value['headers'], 'headers', text)
  const { headersHelper, oauth } = value
  return {
    ...typeOf(type),
    url: address,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(typeof headersHelper === 'string' && { headersHelper }),
    ...(isJsonObject(oauth) && { oauth }),
    ...off,
  }
}

/** Without a type, the gateway finds out what a server speaks. */
function typeOf(type: unknown): JsonObject {
  if (type === undefined || type === null) return {}
  const word = String(type).toLowerCase().replace(/[-_]/g, '')
  if (word === 'sse') return { type: 'sse' }
  if (word === 'http' || word === 'streamablehttp') return {}
  throw new Left(`the gateway has no transport ${JSON.stringify(String(type).slice(0, 40))}`)
}

function listOf(value: unknown, key: string, text: (written: string) => string): string[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value) || !value.every(item => typeof item === 'string' || typeof item === 'number'))
    throw new Left(`its ${key} is not a list of texts`)
  return value.map(item => text(String(item)))
}

function textsOf(value: unknown, key: string, text: (written: string) => string): Record<string, string> {
  if (value === undefined || value === null) return {}
  const isText = (item: unknown): boolean => ['string', 'number', 'boolean'].includes(typeof item)
  if (!isJsonObject(value) || !Object.values(value).every(isText))
    throw new Left(`its ${key} is not an object of texts`)
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, text(String(item))]))
}

/** What only the client itself can fill in. */
const OF_PROJECT = /^(?:workspaceFolder|workspaceFolderBasename|workspaceRoot|CLAUDE_PROJECT_DIR)\b/
const OF_EDITOR = /^(?:input|command|config|promptString):/
const NAME = /^[A-Za-z_]\w*$/

/** A text with the variables of the gateway in place of those of a client. */
function translated(written: string, variables: VariableStyle): string {
  if (!written.includes('$') || variables === 'gateway') return written
  if (variables === 'none') return written.replaceAll('${', () => '$${')
  if (/\$\{\{/.test(written)) throw new Left('its secrets are kept by the client')
  return written.replace(/\$\{([^}]*)\}|\$([A-Za-z_]\w*)/g, (whole: string, body?: string, bare?: string) => {
    if (bare !== undefined) return variables === 'dollar' ? `\${${bare}}` : whole
    const name = body ?? ''
    if (OF_PROJECT.test(name)) throw new Left(`its \${${name}} is another folder in each project`)
    if (OF_EDITOR.test(name)) throw new Left(`only the client can fill in its \${${name.slice(0, 60)}}`)
    if (variables === 'editor') {
      if (name.startsWith('env:') && NAME.test(name.slice(4))) return `\${${name.slice(4)}}`
      return /^(?:userHome|pathSeparator|\/|file:.*)$/.test(name) ? whole : `$${whole}`
    }
    return /^[A-Za-z_]\w*(?::-[^$]*)?$/.test(name) ? whole : `$${whole}`
  })
}
