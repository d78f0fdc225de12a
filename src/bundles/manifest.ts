import { GatewayError } from '../core/errors.ts'
import { isJsonObject, jsonObjectIn } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'
import type { BundleFiles } from './archive.ts'

/** What the manifest of a bundle says, as far as it is used here. Everything in it is foreign. */
export interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly kind: 'node' | 'python' | 'binary' | 'uv'
  readonly entryPoint: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly userConfig: Readonly<Record<string, UserValue>>
}

/** A value that the user gives. */
export interface UserValue {
  readonly title: string
  readonly description: string
  readonly isRequired: boolean
  readonly isSensitive: boolean
  /** Several values, each a word of its own. */
  readonly isMultiple: boolean
  readonly otherwise: readonly string[]
}

const MAX_BYTES = 1024 * 1024
const MAX_CHARS = 4000
const MAX_ITEMS = 100

/** @throws GatewayError `config` for a bundle without a manifest that can be used */
export function manifestOf(files: BundleFiles, path: string): Manifest {
  const bytes = files.get('manifest.json')
  if (!bytes) throw refused(path, 'has no manifest.json')
  if (bytes.length > MAX_BYTES) throw refused(path, `has a manifest.json of more than ${MAX_BYTES} bytes`)
  const text = Buffer.from(bytes).toString('utf8')
  const value = jsonObjectIn(text.replace(/^\uFEFF/, ''))
  if (!value) throw refused(path, 'has a manifest.json that is no JSON object')
  const { server, user_config: userConfig } = value
  if (!isJsonObject(server)) throw refused(path, 'has a manifest without a server')
  const { type: kind, mcp_config: config } = server
  if (kind !== 'node' && kind !== 'python' && kind !== 'binary' && kind !== 'uv')
    throw refused(path, 'has a server of a type that is not known here')
  const own = isJsonObject(config) ? ofPlatform(config) : {}
  const name = textOf(value['name'])
  if (name === undefined || !/^[\w@](?:[\w.@/ -]{0,198}[\w.-])?$/.test(name))
    throw refused(path, 'has a manifest without a usable name')
  const entryPoint = textOf(server['entry_point']) ?? ''
  const started = {
    node: { command: 'node', args: [`\${__dirname}/${entryPoint}`] },
    python: { command: 'python3', args: [`\${__dirname}/${entryPoint}`] },
    binary: { command: `\${__dirname}/${entryPoint}`, args: [] },
    uv: { command: 'uv', args: ['run', '--directory', '${__dirname}', entryPoint] },
  }[kind]
  return {
    name,
    version: textOf(value['version']) ?? '',
    description: textOf(value['description']) ?? '',
    kind,
    entryPoint,
    command: textOf(own['command']) ?? started.command,
    args: Array.isArray(own['args']) ? textsOf(own['args'], path) : started.args,
    env: envOf(own['env'], path),
    userConfig: isJsonObject(userConfig) ? userValues(userConfig) : {},
  }
}

function ofPlatform(config: JsonObject): JsonObject {
  const { platform_overrides: overrides, ...own } = config
  const here = isJsonObject(overrides) ? overrides[process.platform] : undefined
  return isJsonObject(here) ? { ...own, ...here } : own
}

function envOf(env: unknown, path: string): Record<string, string> {
  if (!isJsonObject(env)) return {}
  const entries = Object.entries(env).slice(0, MAX_ITEMS)
  return Object.fromEntries(entries.map(([name, value]) => [name, textsOf([value], path)[0] ?? '']))
}

function userValues(values: JsonObject): Record<string, UserValue> {
  const found: Record<string, UserValue> = {}
  for (const [key, value] of Object.entries(values).slice(0, MAX_ITEMS)) {
    if (!/^\w{1,100}$/.test(key) || key === '__proto__' || !isJsonObject(value)) continue
    const { default: otherwise } = value
    found[key] = {
      title: textOf(value['title']) ?? key,
      description: textOf(value['description']) ?? '',
      isRequired: value['required'] === true,
      isSensitive: value['sensitive'] === true,
      isMultiple: value['multiple'] === true,
      otherwise: defaultsOf(otherwise),
    }
  }
  return found
}

/** Short texts, and numbers and booleans as such. A default that is none is left out. */
function defaultsOf(value: unknown): string[] {
  return [value ?? []]
    .flat()
    .slice(0, MAX_ITEMS)
    .flatMap(
      item => textOf(typeof item === 'number' || typeof item === 'boolean' ? String(item) : item) ?? [],
    )
}

function textsOf(list: readonly unknown[], path: string): string[] {
  return list.slice(0, MAX_ITEMS).map(item => {
    const text = textOf(item)
    if (text === undefined) throw refused(path, 'has a manifest with an argument that is no short text')
    return text
  })
}

function textOf(value: unknown): string | undefined {
  // oxlint-disable-next-line no-control-regex
  return typeof value === 'string' && value.length <= MAX_CHARS && !/[\0-\x1f\x7f]/.test(value)
    ? value
    : undefined
}

function refused(path: string, why: string): GatewayError {
  return new GatewayError('config', `The bundle ${path} ${why}. Nothing was added.`)
}
