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
    'watchPaths bundled display_name'
  ).split(' '),
)
const TAKEN = new Set(
  (
    'type command args env envFile cwd url serverUrl httpUrl headers headersHelper oauth auth requestOptions ' +
    'disabledTools disabled_tools excludeTools enabled_tools includeTools available_tools tools'
  ).split(' '),
)
/** Credentials that only the application knows how to use. */
const OF_ITS_OWN = ['authProviderType', 'targetAudience', 'targetServiceAccount']

/** An entry with `command` or `url`, as most clients write it. */
export function readEntry(
  value: unknown,
  variables: VariableStyle,
  env?: Readonly<Record<string, string | undefined>>,
): ReadEntry {
  if (!isJsonObject(value)) return { left: 'it is not an object' }
  try {
    const own = OF_ITS_OWN.find(key => value[key] !== undefined)
    if (own !== undefined) throw new Left(`only the application knows its ${own}`)
    const isSet = (name: string): boolean => env === undefined || env[name] !== undefined
    const entry = {
      ...converted(value, text => translated(text, variables, isSet)),
      ...toolRules(value),
    }
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
  const { headersHelper, auth, requestOptions } = value
  const headers = {
    ...textsOf(isJsonObject(requestOptions) ? requestOptions['headers'] : undefined, 'headers', text),
    ...textsOf(value['headers'], 'headers', text),
  }
  const oauth = loginOf(value['oauth'])
  return {
    ...typeOf(type),
    url: address,
    ...(Object.keys(headers).length > 0 && { headers }),
    ...(typeof headersHelper === 'string' && { headersHelper }),
    ...(oauth !== undefined && { oauth }),
    ...(isJsonObject(auth) && { auth: textsOrLists(auth, text) }),
    ...off,
  }
}

/** Keys of a login that the gateway has as well. The others tell what it finds out by itself. */
const OF_LOGIN = new Set(
  'clientId client_id clientSecret scopes scope redirectUri redirect callbackPort resource issuer'.split(' '),
)

function loginOf(oauth: unknown): JsonObject | false | undefined {
  if (oauth === false || (isJsonObject(oauth) && oauth['enabled'] === false)) return false
  if (!isJsonObject(oauth)) return undefined
  return Object.fromEntries(Object.entries(oauth).filter(([key]) => OF_LOGIN.has(key)))
}

function textsOrLists(table: JsonObject, text: (written: string) => string): JsonObject {
  return Object.fromEntries(
    Object.entries(table).map(([key, value]) => [key, typeof value === 'string' ? text(value) : value]),
  )
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
function translated(written: string, variables: VariableStyle, isSet: (name: string) => boolean): string {
  if (!written.includes('$') || variables === 'gateway') return written
  if (variables === 'none') return written.replaceAll('${', () => '$${')
  if (/\$\{\{/.test(written)) throw new Left('its secrets are kept by the client')
  const pattern = /(?<before>\$?)\$(?:\{(?<body>[^}]{0,1000})\}|(?<bare>[A-Za-z_]\w*))/g
  return written.replace(pattern, (matched: string, before: string, body?: string, bare?: string) => {
    const whole = matched.slice(before.length)
    const result = variableFor(whole, body, bare)
    // The gateway takes "$${" for the characters "${".
    if (before !== '' && result.startsWith('${')) throw new Left('it has a "$" in front of a variable')
    return before + result
  })

  function variableFor(whole: string, body?: string, bare?: string): string {
    // What is not set stays as it is written, as in a password.
    if (bare !== undefined) return variables === 'dollar' && isSet(bare) ? `\${${bare}}` : whole
    const name = body ?? ''
    if (OF_PROJECT.test(name)) throw new Left(`its \${${name}} is another folder in each project`)
    if (OF_EDITOR.test(name)) throw new Left(`only the client can fill in its \${${name.slice(0, 60)}}`)
    if (variables === 'editor') {
      if (name.startsWith('env:') && NAME.test(name.slice(4))) return `\${${name.slice(4)}}`
      return /^(?:userHome|pathSeparator|\/|file:.*)$/.test(name) ? whole : `$${whole}`
    }
    return /^[A-Za-z_]\w*(?::-[^$]*)?$/.test(name) ? whole : `$${whole}`
  }
}

/** Tools that are switched off, and those that alone are on, as keys of the gateway. */
function toolRules(value: JsonObject): JsonObject {
  const off = ['disabledTools', 'disabled_tools', 'excludeTools'].flatMap(key => namesOf(value, key))
  const keys = ['enabled_tools', 'includeTools', 'available_tools', 'tools'] as const
  const on = keys.filter(key => value[key] !== undefined).flatMap(key => namesOf(value, key))
  if (on.length === 0 || on.includes('*')) return off.length > 0 ? { disabledTools: off } : {}
  const rule = (names: readonly string[], hidden: boolean): [string, JsonObject][] =>
    names.map(name => [name, { hidden }])
  return {
    tools: Object.fromEntries([
      ...rule(off, true),
      ...rule(
        on.filter(name => !off.includes(name)),
        false,
      ),
      ['*', { hidden: true }],
    ]),
  }
}

/** @throws Left for settings that the gateway has no form for */
function namesOf(value: JsonObject, key: string): string[] {
  const list = value[key]
  if (list === undefined || list === null) return []
  if (isJsonObject(list) && Object.keys(list).length === 0) return []
  if (!Array.isArray(list) || !list.every(item => typeof item === 'string'))
    throw new Left(`its ${key} is not a list of names`)
  // Gemini CLI allows a tool with some arguments as well: `name(arguments)`.
  return (list as string[]).map(name => name.replace(/\(.*$/s, ''))
}
