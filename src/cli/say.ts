import { seenText } from '../core/seen-text.ts'

/** Writes lines for the person that runs a command. What they quote of others cannot control the terminal. */
export function say(...lines: readonly string[]): void {
  process.stderr.write(seenText(`${lines.join('\n')}\n`))
}
