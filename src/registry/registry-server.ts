import { isJsonObject } from '../core/json-object.ts'
import type { JsonObject } from '../core/exchange.ts'

/** A server as a registry describes it. Everything in it is foreign: texts are bounded, and of the form they need. */
export interface RegistryServer {
  readonly name: string
  readonly description: string
  readonly version: string
  readonly packages: readonly RegistryPackage[]
  readonly remotes: readonly RegistryRemote[]
}

export interface RegistryPackage {
  readonly type: 'npm' | 'pypi' | 'oci'
  readonly identifier: string
  readonly version: string | undefined
  readonly runtimeArguments: readonly RegistryArgument[]
  readonly packageArguments: readonly RegistryArgument[]
  readonly variables: readonly NamedInput[]
}

export interface RegistryRemote {
  readonly type: 'http' | 'sse'
  readonly url: string
  readonly headers: readonly NamedInput[]
  readonly variables: readonly NamedInput[]
}

/** A value, or the question for it. */
export interface RegistryInput {
  readonly description: string
  readonly isRequired: boolean
  readonly isSecret: boolean
  /** Given by the registry; `{name}` in it stands for a variable. */
  readonly value: string | undefined
  readonly otherwise: string | undefined
  readonly choices: readonly string[]
  readonly variables: readonly NamedInput[]
}

export interface NamedInput extends RegistryInput {
  readonly name: string
}

export interface RegistryArgument extends RegistryInput {
  /** `--option`; `undefined` for one without a name. */
  readonly name: string | undefined
  /** What stands for its value in a question. */
  readonly hint: string
}

const MAX_ITEMS = 100
const MAX_CHARS = 2000

const IDENTIFIERS: Readonly<Record<RegistryPackage['type'], RegExp>> = {
  npm: /^(?:@[a-z\d][\w.-]*\/)?[a-z\d][\w.-]*$/i,
  pypi: /^[a-z\d][\w.-]*$/i,
  oci: /^[a-z\d][\w./:@-]*$/i,
}
const VERSION = /^[\da-z][\w.+-]*$/i

/** Reads a description; `undefined` for one without a usable name. Parts that cannot be used are left out. */
export function registryServer(value: unknown): RegistryServer | undefined {
  if (!isJsonObject(value)) return undefined
  const name = textIn(value, 'name')
  if (name === undefined || !/^[\w.-]{1,200}\/[\w.-]{1,200}$/.test(name)) return undefined
  return {
    name,
    description: textIn(value, 'description') ?? '',
    version: textIn(value, 'version') ?? '',
    packages: listIn(value, 'packages').flatMap(packageOf),
    remotes: listIn(value, 'remotes').flatMap(remoteOf),
  }
}

function packageOf(value: JsonObject): RegistryPackage[] {
  const type = textIn(value, 'registryType') ?? textIn(value, 'registry_type')
  const identifier = textIn(value, 'identifier')
  if ((type !== 'npm' && type !== 'pypi' && type !== 'oci') || identifier === undefined) return []
  const version = textIn(value, 'version')
  const { transport } = value
  // One that is no program on stdio would have to be started, and reached, in ways of its own.
  if (isJsonObject(transport) && transport['type'] !== 'stdio') return []
  if (!IDENTIFIERS[type].test(identifier) || (version !== undefined && !VERSION.test(version))) return []
  return [
    {
      type,
      identifier,
      version,
      runtimeArguments: listIn(value, 'runtimeArguments').flatMap(argumentOf),
      packageArguments: listIn(value, 'packageArguments').flatMap(argumentOf),
      variables: listIn(value, 'environmentVariables').flatMap(namedInputOf),
    },
  ]
}

function remoteOf(value: JsonObject): RegistryRemote[] {
  const type = textIn(value, 'type')
  const url = textIn(value, 'url')
  if (url === undefined || (type !== 'streamable-http' && type !== 'sse')) return []
  // `{name}` stands for a variable, and may be the host.
  const plain = url.replace(/\{\w+\}/g, 'x')
  if (!URL.canParse(plain) || !isSafe(new URL(plain))) return []
  const { variables } = value
  return [
    {
      type: type === 'sse' ? 'sse' : 'http',
      url,
      headers: listIn(value, 'headers')
        .flatMap(namedInputOf)
        .filter(({ name }) => /^[\w-]{1,100}$/.test(name)),
      variables: variablesOf(variables),
    },
  ]
}

/** Without TLS, only this machine. */
function isSafe({ protocol, hostname, username }: URL): boolean {
  const isLocal = /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname)
  return username === '' && (protocol === 'https:' || (protocol === 'http:' && isLocal))
}

function argumentOf(value: JsonObject): RegistryArgument[] {
  const isNamed = value['type'] === 'named'
  const name = textIn(value, 'name')
  if (isNamed && (name === undefined || !/^-{0,2}[\w.-]{1,100}=?$/.test(name))) return []
  return [
    {
      ...inputOf(value),
      name: isNamed ? name : undefined,
      hint: textIn(value, 'valueHint') ?? name?.replace(/^-+/, '') ?? 'argument',
    },
  ]
}

function namedInputOf(value: JsonObject): NamedInput[] {
  const name = textIn(value, 'name')
  return name === undefined || name === '' ? [] : [{ ...inputOf(value), name }]
}

function inputOf(value: JsonObject): RegistryInput {
  const { choices } = value
  return {
    description: textIn(value, 'description') ?? '',
    isRequired: value['isRequired'] === true,
    isSecret: value['isSecret'] === true,
    value: textIn(value, 'value'),
    otherwise: textIn(value, 'default'),
    choices: (Array.isArray(choices) ? choices : [])
      .filter(choice => typeof choice === 'string' && choice.length <= MAX_CHARS)
      .slice(0, MAX_ITEMS) as string[],
    variables: variablesOf(value['variables']),
  }
}

function variablesOf(value: unknown): NamedInput[] {
  if (!isJsonObject(value)) return []
  return Object.entries(value)
    .slice(0, MAX_ITEMS)
    .flatMap(([name, input]) =>
      /^\w{1,100}$/.test(name) && isJsonObject(input)
        ? [{ ...inputOf({ ...input, variables: undefined }), name }]
        : [],
    )
}

function listIn(value: JsonObject, key: string): JsonObject[] {
  const list = value[key]
  return Array.isArray(list) ? list.slice(0, MAX_ITEMS).filter(isJsonObject) : []
}

/** A text without controls, within its bound. */
function textIn(value: JsonObject, key: string): string | undefined {
  const text = value[key]
  // oxlint-disable-next-line no-control-regex
  return typeof text === 'string' && text.length <= MAX_CHARS && !/[\0-\x1f\x7f]/.test(text)
    ? text
    : undefined
}
