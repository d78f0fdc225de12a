import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { UNSEEN } from '../core/seen-text.ts'
import { NotAnswered } from './stopped.ts'

/** What a command shows and asks at a terminal. Everywhere else it prints plain text and asks nothing. */

/** Whether a person can answer. */
export function isPersonThere(): boolean {
  return Boolean(process.stdin.isTTY && process.stderr.isTTY)
}

export type Colour = 'red' | 'green' | 'yellow' | 'dim'

const CODES: Readonly<Record<Colour, number>> = { red: 31, green: 32, yellow: 33, dim: 2 }

/** Colours a text for the standard output, if that is a terminal and NO_COLOR is not set. */
export function painted(text: string, colour: Colour | undefined): string {
  const plain = colour === undefined || !process.stdout.isTTY || Boolean(process.env['NO_COLOR'])
  return plain ? text : `\u001b[${CODES[colour]}m${text}\u001b[0m`
}

/** Columns of the terminal; `undefined` where the standard output is none. */
export function terminalWidth(): number | undefined {
  return process.stdout.isTTY ? process.stdout.columns : undefined
}

/** A text of a server for the standard output: a terminal gets no character that controls it. */
export function shownText(text: string): string {
  if (!process.stdout.isTTY) return text
  return text.replace(UNSEEN, character => ('\n\t'.includes(character) ? character : ''))
}

/** One line of foreign text for the standard error. */
export function oneLine(text: string): string {
  return text.replace(UNSEEN, ' ').replace(/ +/g, ' ').trim()
}

export interface Asking {
  readonly isSecret?: boolean
  /** Ends the question when it is aborted. */
  readonly signal?: AbortSignal | undefined
}

/**
 * Asks at the terminal and returns the line. What is typed is not shown where it is secret.
 * @throws NotAnswered
 */
export async function askPerson(
  question: string,
  { isSecret = false, signal }: Asking = {},
): Promise<string> {
  let isHidden = false
  const output = new Writable({
    write: (chunk: Uint8Array, _encoding, done) => {
      if (!isHidden) process.stderr.write(chunk)
      done()
    },
  })
  const lines = createInterface({ input: process.stdin, output, terminal: true, ...(signal && { signal }) })
  return await new Promise<string>((resolve, reject) => {
    let isAnswered = false
    lines.on('SIGINT', () => lines.close())
    lines.on('close', () => {
      if (!isAnswered) reject(new NotAnswered())
    })
    lines.question(question, answer => {
      isAnswered = true
      lines.close()
      if (isSecret) process.stderr.write('\n')
      resolve(answer.trim())
    })
    // After the question itself, so that only what is typed is hidden.
    isHidden = isSecret
  })
}
