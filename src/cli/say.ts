import { seenText } from '../core/seen-text.ts'
import { endWaitingLine } from './waiting.ts'

/** Writes lines for the person that runs a command. What they quote of others cannot control the terminal. */
export function say(...lines: readonly string[]): void {
  endWaitingLine()
  process.stderr.write(seenText(`${lines.join('\n')}\n`))
}

/** Writes lines of the output. What they quote of others cannot control the terminal. */
export function print(...lines: readonly string[]): void {
  process.stdout.write(seenText(`${lines.join('\n')}\n`))
}

/** Writes one of several values of the output for programs. */
export function printJsonLine(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`)
}

/** Writes a value of the output for programs. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, undefined, 2)}\n`)
}
