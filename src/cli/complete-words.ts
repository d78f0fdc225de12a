import { isJsonObject } from '../core/json-object.ts'
import { entryNames } from './entry-to-edit.ts'
import { keptLists, type KeptItem, type KeptLists } from './kept-lists.ts'
import { loadForCommand } from './reach.ts'
import type { Argument, Command, Option } from 'commander'
import type { Config } from '../config/types.ts'

export interface CompletionOptions {
  readonly next?: boolean
}

const MAX_WORDS = 2000
/** What every shell takes as one plain word. Other names are not offered. */
const PLAIN = /^[\w.@/:+=-]{1,200}$/

/**
 * `complete-words`: what may stand in place of the last word, from the declarations of the commands, the configuration
 * and the lists that earlier runs have kept. Starts nothing. Prints nothing where it cannot know.
 */
export async function runCompleteWords(
  program: Command,
  words: readonly string[],
  { next = false }: CompletionOptions,
): Promise<void> {
  const given = next ? [...words, ''] : words
  try {
    const found = await wordsFor(program, given)
    const current = given.at(-1) ?? ''
    const shown = [...new Set(found)].filter(word => word.startsWith(current) && PLAIN.test(word))
    if (shown.length > 0) process.stdout.write(`${shown.slice(0, MAX_WORDS).join('\n')}\n`)
  } catch {
    // A shell shows nothing of it, and completes names of files.
  }
}

/** Where the last word stands. */
interface Place {
  readonly command: Command
  /** The option whose value it is. */
  readonly option: Option | undefined
  /** Words before it that belong to no option. */
  readonly operands: readonly string[]
  /** The value of --config so far. */
  readonly config: string | undefined
}

function placeOf(program: Command, words: readonly string[]): Place {
  let command = program
  let option: Option | undefined
  let config: string | undefined
  const operands: string[] = []
  for (const word of words.slice(0, -1)) {
    if (option) {
      if (option.long === '--config') config = word
      option = undefined
      continue
    }
    const found = optionOf(command, word) ?? optionOf(program, word)
    if (found && (found.required || found.optional) && !word.includes('=')) option = found
    const child = word.startsWith('-') ? undefined : childOf(command, word)
    if (child && operands.length === 0) command = child
    else if (!word.startsWith('-')) operands.push(word)
  }
  return { command, option, operands, config }
}

function optionOf({ options }: Command, word: string): Option | undefined {
  const [flag] = word.split('=', 1)
  return options.find(({ long, short }) => flag !== '' && (flag === long || flag === short))
}

function childOf({ commands }: Command, word: string): Command | undefined {
  return commands.find(child => child.name() === word || child.aliases().includes(word))
}

async function wordsFor(program: Command, words: readonly string[]): Promise<readonly string[]> {
  const place = placeOf(program, words)
  const { command, option, operands } = place
  const current = words.at(-1) ?? ''
  if (option) return option.argChoices ?? (await namesFor(kindOfOption(option), place))
  if (current.startsWith('-'))
    return [...command.options, ...program.options].flatMap(({ long, hidden }) =>
      hidden ? [] : (long ?? []),
    )
  const help = command.createHelp()
  const children = operands.length === 0 ? help.visibleCommands(command).map(child => child.name()) : []
  if (children.length > 0) return children
  const { registeredArguments } = command
  const argument = registeredArguments[operands.length] ?? registeredArguments.at(-1)
  if (!argument || (operands.length >= registeredArguments.length && !argument.variadic)) return []
  return argument.argChoices ?? (await namesFor(kindOfArgument(command, argument), place))
}

type Kind = 'server' | 'written' | 'client' | 'profile' | 'tool' | 'prompt' | 'arguments'

function kindOfOption({ long }: Option): Kind | undefined {
  if (long === '--server') return 'server'
  if (long === '--client') return 'client'
  return long === '--profile' ? 'profile' : undefined
}

function kindOfArgument(command: Command, argument: Argument): Kind | undefined {
  switch (argument.name()) {
    case 'server':
      // One that is switched off can be switched on, or removed.
      return ['enable', 'disable', 'remove'].includes(command.name()) ? 'written' : 'server'
    case 'tool':
      return 'tool'
    case 'prompt':
    case 'ref':
      return 'prompt'
    case 'client':
      return 'client'
    case 'arguments':
      return 'arguments'
    default:
      return undefined
  }
}

async function namesFor(
  kind: Kind | undefined,
  { command, operands, config: file }: Place,
): Promise<string[]> {
  if (kind === undefined) return []
  const { config } = await loadForCommand({ ...(file !== undefined && { config: file }) })
  switch (kind) {
    case 'server':
      return config.servers.map(({ name }) => name)
    case 'written':
      return await entryNames(config.file ?? '')
    case 'client':
      return config.clients.map(({ name }) => name)
    case 'profile':
      return config.profiles.map(({ name }) => name)
    case 'tool':
      return qualified(config, await keptLists(config, true), 'tools').map(({ name }) => name)
    case 'prompt':
      return qualified(config, await keptLists(config, true), 'prompts').map(({ name }) => name)
    case 'arguments': {
      const list = command.name() === 'prompt' ? 'prompts' : 'tools'
      const items = qualified(config, await keptLists(config, true), list)
      const item = items.find(({ name }) => name === operands[0])
      return item ? argumentsOf(item).map(name => `${name}=`) : []
    }
  }
}

/** What the servers have, as `server.name`. */
function qualified(
  { servers }: Config,
  kept: ReadonlyMap<string, KeptLists>,
  list: 'tools' | 'prompts',
): KeptItem[] {
  return servers.flatMap(({ name: server }) =>
    (kept.get(server)?.[list] ?? []).map(({ name, definition }) => ({
      name: `${server}.${name}`,
      definition,
    })),
  )
}

/** Names of the arguments of a tool or a prompt. */
function argumentsOf({ definition }: KeptItem): string[] {
  const value: unknown = JSON.parse(definition)
  const { inputSchema, arguments: list } = isJsonObject(value) ? value : {}
  if (Array.isArray(list)) return list.filter(isJsonObject).map(({ name }) => String(name))
  const { properties } = isJsonObject(inputSchema) ? inputSchema : {}
  return isJsonObject(properties) ? Object.keys(properties) : []
}
