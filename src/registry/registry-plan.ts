import { GatewayError } from '../core/errors.ts'
import { isSecretName } from '../observe/redact.ts'
import { joinedText, literal, type AddPlan, type AskedValue } from './plan.ts'
import { isVariableName, variableNote } from './variable-names.ts'
import type { JsonObject } from '../core/exchange.ts'
import type {
  NamedInput,
  RegistryArgument,
  RegistryInput,
  RegistryPackage,
  RegistryRemote,
  RegistryServer,
} from './registry-server.ts'

/** Where a server of a registry can come from. */
export type PackageKind = RegistryPackage['type'] | 'remote'
const PACKAGE_KINDS: readonly PackageKind[] = ['npm', 'pypi', 'oci', 'remote']

/** The program that runs a package. */
const RUNNERS: Readonly<Record<RegistryPackage['type'], string>> = { npm: 'npx', pypi: 'uvx', oci: 'docker' }

/**
 * Chooses how a server runs here: the first package whose runner is found, else its remote address.
 * @param isThere whether a program is found here
 * @param wanted the only kind that may be chosen
 * @throws GatewayError `config` that says what would be needed
 */
export function planOf(
  server: RegistryServer,
  isThere: (program: string) => boolean,
  wanted?: PackageKind,
): AddPlan {
  const notes = [...statusNotes(server), ...server.skipped]
  const absent = new Set<string>()
  for (const kind of PACKAGE_KINDS.filter(one => wanted === undefined || one === wanted)) {
    if (kind === 'remote') {
      const [remote] = server.remotes
      if (remote) return remotePlan(server, remote, [...notes, ...absent])
      continue
    }
    const found = server.packages.find(({ type }) => type === kind)
    if (!found) continue
    if (wanted !== undefined || isThere(RUNNERS[kind]))
      return packagePlan(server, found, [...notes, ...absent])
    absent.add(`Its ${kind} package is not taken: ${RUNNERS[kind]} is not on PATH here.`)
  }
  const why = [...server.skipped, ...absent]
  const reason =
    why.length > 0
      ? why.join(' ')
      : `It offers nothing ${wanted === undefined ? 'that this version can use' : `of the kind ${wanted}`}.`
  throw new GatewayError('config', `The server ${server.name} cannot be added. ${reason}`)
}

/** @throws GatewayError `config` for a server that was withdrawn */
function statusNotes({ name, status: { kind, message } }: RegistryServer): string[] {
  const why = message === '' ? '' : ` (${message})`
  if (kind === 'deleted')
    throw new GatewayError('config', `The registry has withdrawn ${name}${why}. Nothing was added.`)
  return kind === 'deprecated' ? [`The registry calls ${name} deprecated${why}.`] : []
}

/** The last part of the name in the registry, as the name of the server. */
function shortName({ name }: RegistryServer): string {
  return name.slice(name.indexOf('/') + 1)
}

/** Collects what has to be asked for, and gives the text of each input once it was. */
class Inputs {
  readonly asked: AskedValue[] = []

  /** Declares an input; the returned function gives its text, `undefined` when it was left out. */
  add(
    key: string,
    label: string,
    input: RegistryInput,
  ): (valueOf: (key: string) => string | undefined) => string | undefined {
    const { value, variables } = input
    if (value === undefined) {
      this.#ask(key, label, input)
      return valueOf => valueOf(key)
    }
    const used = variables.filter(({ name }) => value.includes(`{${name}}`))
    for (const variable of used) {
      const isSecret = variable.isSecret || input.isSecret || isSecretLabel(label, variable)
      this.#ask(`${key}.${variable.name}`, variable.name, { ...variable, isSecret })
    }
    return valueOf => filled(value, used, name => valueOf(`${key}.${name}`))
  }

  #ask(key: string, label: string, input: RegistryInput): void {
    const { description, isRequired, otherwise, choices } = input
    const isSecret = input.isSecret || isSecretLabel(label, input)
    this.asked.push({ key, label, description, isRequired, isSecret, otherwise, choices })
  }
}

/** Whether a value without a default or a choice is a secret by its name alone. */
function isSecretLabel(label: string, { otherwise, choices }: RegistryInput): boolean {
  return otherwise === undefined && choices.length === 0 && isSecretName(label)
}

/** A text with `{name}` replaced; `undefined` when a variable was left out. */
function filled(
  text: string,
  variables: readonly NamedInput[],
  valueOf: (name: string) => string | undefined,
): string | undefined {
  const parts: string[] = []
  let rest = text
  for (;;) {
    const [next] = variables
      .map(({ name }) => ({ name, at: rest.indexOf(`{${name}}`) }))
      .filter(({ at }) => at >= 0)
      .sort((a, b) => a.at - b.at)
    if (!next) return joinedText([...parts, literal(rest)])
    const value = valueOf(next.name)
    if (value === undefined) return undefined
    parts.push(literal(rest.slice(0, next.at)), value)
    rest = rest.slice(next.at + next.name.length + 2)
  }
}

type Words = (valueOf: (key: string) => string | undefined) => string[]

function wordsOf(inputs: Inputs, prefix: string, list: readonly RegistryArgument[]): Words {
  const made = list.map((argument, at) => {
    const { name, hint, value, otherwise, isRequired } = argument
    // An option without a value, such as --verbose.
    if (
      name !== undefined &&
      value === undefined &&
      otherwise === undefined &&
      !isRequired &&
      hint === name.replace(/^-+/, '')
    )
      return () => [] as string[]
    const text = inputs.add(`${prefix}.${at}`, hint, argument)
    return (valueOf: (key: string) => string | undefined): string[] => {
      const given = text(valueOf)
      if (given === undefined || (given === '' && name === undefined)) return []
      if (name === undefined) return [given]
      if (given === '') return [literal(name)]
      return name.endsWith('=') ? [joinedText([literal(name), given])] : [literal(name), given]
    }
  })
  return valueOf => made.flatMap(word => word(valueOf))
}

function packagePlan(server: RegistryServer, found: RegistryPackage, notes: readonly string[]): AddPlan {
  const { type, identifier, version, runtimeArguments, packageArguments, variables } = found
  const inputs = new Inputs()
  const runtime = wordsOf(inputs, 'runtime', runtimeArguments)
  const own = wordsOf(inputs, 'package', packageArguments)
  const named = variables
    .filter(({ name }) => isVariableName(name))
    .map(input => ({ name: input.name, text: inputs.add(`env.${input.name}`, input.name, input) }))
  const words: Words = valueOf => {
    const given = runtime(valueOf)
    const after = own(valueOf)
    if (type === 'npm')
      return [
        '-y',
        ...given.filter(word => word !== '-y' && word !== '--yes'),
        pinned(identifier, version),
        ...after,
      ]
    if (type === 'pypi') return [...given, pinned(identifier, version), ...after]
    const passed = named.filter(({ text }) => text(valueOf) !== undefined).flatMap(({ name }) => ['-e', name])
    const started = ['run', '-i', '--rm']
    return [
      ...started,
      ...passed,
      ...given.filter(word => !started.includes(word)),
      image(identifier, version),
      ...after,
    ]
  }
  const bad = variables.filter(({ name }) => !isVariableName(name))
  return {
    name: shortName(server),
    description: server.description,
    notes: [...notes, ...bad.map(({ name }) => variableNote(name))],
    asked: inputs.asked,
    entry: valueOf => {
      const env = named.flatMap(({ name, text }) => {
        const value = text(valueOf)
        return value === undefined ? [] : [[name, value] as const]
      })
      return {
        command: RUNNERS[type],
        args: words(valueOf),
        ...(env.length > 0 && { env: Object.fromEntries(env) }),
      }
    },
  }
}

function pinned(identifier: string, version: string | undefined): string {
  return version === undefined ? identifier : `${identifier}@${version}`
}

function image(identifier: string, version: string | undefined): string {
  const hasTag = /[:@]/.test(identifier.slice(identifier.lastIndexOf('/') + 1))
  return hasTag || version === undefined ? identifier : `${identifier}:${version}`
}

function remotePlan(
  server: RegistryServer,
  { type, url, headers, variables }: RegistryRemote,
  notes: readonly string[],
): AddPlan {
  const inputs = new Inputs()
  const address = inputs.add('url', 'url', {
    description: '',
    isRequired: true,
    isSecret: false,
    value: url,
    otherwise: undefined,
    choices: [],
    variables,
  })
  const named = headers.map(input => ({
    name: input.name,
    text: inputs.add(`header.${input.name}`, input.name, input),
  }))
  return {
    name: shortName(server),
    description: server.description,
    notes,
    asked: inputs.asked,
    entry: valueOf => {
      const given = named.flatMap(({ name, text }): JsonObject[string][][] => {
        const value = text(valueOf)
        return value === undefined ? [] : [[name, value]]
      })
      const entry: JsonObject = { ...(type === 'sse' && { type: 'sse' }), url: address(valueOf) ?? '' }
      return given.length > 0 ? { ...entry, headers: Object.fromEntries(given) as JsonObject } : entry
    },
  }
}
