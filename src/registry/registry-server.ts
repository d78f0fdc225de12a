import { isJsonObject } from '../core/json-object.ts'
import { hasTls } from './registry-address.ts'
import type { JsonObject } from '../core/exchange.ts'

/** A server as a registry describes it. Everything in it is foreign: texts are bounded, and of the form they need. */
export interface RegistryServer {
  readonly name: string
  readonly description: string
  readonly version: string
  readonly packages: readonly RegistryPackage[]
  readonly remotes: readonly RegistryRemote[]
  /** What it offers and cannot be used, each as a sentence with the reason. */
  readonly skipped: readonly string[]
  readonly status: RegistryStatus
}

/** What the registry says of a server that is published there. */
export interface RegistryStatus {
  readonly kind: 'active' | 'deprecated' | 'deleted'
  /** Why, in words of the publisher; may be empty. */
  readonly message: string
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

/** The public registries, which `npx`, `uvx` and `docker` ask where nothing else is configured. */
const PUBLIC: Readonly<Record<RegistryPackage['type'], readonly string[]>> = {
  npm: ['registry.npmjs.org'],
  pypi: ['pypi.org'],
  oci: ['docker.io', 'index.docker.io', 'registry-1.docker.io'],
}
const OFFICIAL_META = 'io.modelcontextprotocol.registry/official'

/** Something usable, or the sentence that says why it is none. */
type Read<T> = T | string

/**
 * Reads a description; `undefined` for one without a usable name. Parts that cannot be used are left out.
 * @param meta what the registry says of it
 */
export function registryServer(value: unknown, meta?: unknown): RegistryServer | undefined {
  if (!isJsonObject(value)) return undefined
  const name = textIn(value, 'name')
  if (name === undefined || !/^[\w.-]{1,200}\/[\w.-]{1,200}$/.test(name)) return undefined
  const packages = listIn(value, 'packages').map(packageOf)
  const remotes = listIn(value, 'remotes').map(remoteOf)
  return {
    name,
    description: textIn(value, 'description') ?? '',
    version: textIn(value, 'version') ?? '',
    packages: packages.filter(found => typeof found !== 'string'),
    remotes: remotes.filter(found => typeof found !== 'string'),
    skipped: [...packages, ...remotes].filter(found => typeof found === 'string'),
    status: statusOf(value, meta),
  }
}

function statusOf(value: JsonObject, meta: unknown): RegistryStatus {
  const official = isJsonObject(meta) ? meta[OFFICIAL_META] : undefined
  const { status, statusMessage } = isJsonObject(official) ? official : value
  return {
    kind: status === 'deleted' || status === 'deprecated' ? status : 'active',
    message: textIn({ statusMessage }, 'statusMessage') ?? '',
  }
}

function packageOf(value: JsonObject): Read<RegistryPackage> {
  const type = textIn(value, 'registryType') ?? textIn(value, 'registry_type')
  const identifier = textIn(value, 'identifier')
  const version = textIn(value, 'version')
  const skip = (why: string): string => `The package ${quoted(identifier)} is left out: ${why}.`
  if (type === 'mcpb') return skip('it is a bundle. Download it, and add the file')
  if (type !== 'npm' && type !== 'pypi' && type !== 'oci')
    return skip(`packages of the type ${quoted(type)} are not known here`)
  if (identifier === undefined || !IDENTIFIERS[type].test(identifier))
    return skip(`this is no name of a package of the type ${type}`)
  if (version !== undefined && !VERSION.test(version)) return skip(`${quoted(version)} is no version`)
  const { transport } = value
  // One that is no program on stdio would have to be started, and reached, in ways of its own.
  if (isJsonObject(transport) && transport['type'] !== 'stdio')
    return skip(`it does not speak on stdio, but ${quoted(transport['type'])}`)
  const base = value['registryBaseUrl'] ?? value['registry_base_url']
  if (base !== undefined && !isPublic(type, identifier, base))
    return skip(`it is in the registry ${quoted(base)}, and would be taken from the public one`)
  return {
    type,
    identifier,
    version,
    runtimeArguments: listIn(value, 'runtimeArguments').flatMap(argumentOf),
    packageArguments: listIn(value, 'packageArguments').flatMap(argumentOf),
    variables: listIn(value, 'environmentVariables').flatMap(namedInputOf),
  }
}

/** Whether a package comes from where its runner looks for it. An image may name its registry itself. */
function isPublic(type: RegistryPackage['type'], identifier: string, base: unknown): boolean {
  if (typeof base !== 'string' || base.length > MAX_CHARS || !URL.canParse(base)) return false
  const { protocol, host, pathname, search, username } = new URL(base)
  if (protocol !== 'https:' || pathname !== '/' || search !== '' || username !== '') return false
  return PUBLIC[type].includes(host) || (type === 'oci' && identifier.startsWith(`${host}/`))
}

function remoteOf(value: JsonObject): Read<RegistryRemote> {
  const type = textIn(value, 'type')
  const url = textIn(value, 'url')
  const skip = (why: string): string => `The address ${quoted(url)} is left out: ${why}.`
  if (type !== 'streamable-http' && type !== 'sse') return skip(`${quoted(type)} is no transport known here`)
  // `{name}` stands for a variable, and may be the host.
  const plain = url?.replace(/\{\w+\}/g, 'x') ?? ''
  if (url === undefined || !URL.canParse(plain)) return skip('this is no address')
  if (!isSafe(new URL(plain))) return skip('it has no TLS, or a user name')
  const { variables } = value
  return {
    type: type === 'sse' ? 'sse' : 'http',
    url,
    headers: listIn(value, 'headers')
      .flatMap(namedInputOf)
      .filter(({ name }) => /^[\w-]{1,100}$/.test(name)),
    variables: variablesOf(variables),
  }
}

/** Foreign text within a sentence. */
function quoted(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 200)) : 'without a name'
}

function isSafe(url: URL): boolean {
  return url.username === '' && hasTls(url)
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
