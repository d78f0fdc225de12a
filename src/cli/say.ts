/** Writes lines for the person that runs a command. */
export function say(...lines: readonly string[]): void {
  process.stderr.write(`${lines.join('\n')}\n`)
}
