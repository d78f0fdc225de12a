import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Command } from 'commander'
import { ALL_CODES } from '../doctor/codes.ts'
import { notThere } from './not-there.ts'

/**
 * `help`: prints the help of a command, or the page of a code.
 * @throws GatewayError `config` when there is neither
 */
export async function runHelp([topic, ...rest]: readonly string[], program: Command): Promise<void> {
  if (topic === undefined) return program.outputHelp()
  const isCode = (ALL_CODES as readonly string[]).includes(topic)
  if (isCode && rest.length === 0) {
    process.stdout.write((await pageOf(topic)).replace(MARKS, ''))
    return
  }
  commandOf(program, [topic, ...rest]).outputHelp()
}

/** Comments that say how a test runs the block below them. */
const MARKS = /^<!--.*-->\n+/gm

/** The shipped page of a code. */
async function pageOf(code: string): Promise<string> {
  const root = dirname(dirname(createRequire(import.meta.url).resolve('#program')))
  return await readFile(join(root, 'docs', 'errors', `${code}.md`), 'utf8')
}

function commandOf(program: Command, words: readonly string[]): Command {
  let at = program
  for (const word of words) {
    const next = at.commands.find(command => command.name() === word || command.aliases().includes(word))
    if (!next) throw unknownTopic(at, word, at === program)
    at = next
  }
  return at
}

function unknownTopic(at: Command, word: string, isFirst: boolean): Error {
  const names = at.commands.map(command => command.name())
  const codes: readonly string[] = isFirst ? ALL_CODES : []
  const kind = isFirst ? 'command or code' : `command of ${at.name()}`
  return notThere(quoted => `There is no ${kind} ${quoted}`, word, [...names, ...codes])
}
