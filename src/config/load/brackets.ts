import { createScanner } from 'jsonc-parser'
import type { Position } from './positions.ts'
import type { Problem } from '../problem.ts'

const CLOSING: Readonly<Record<string, string>> = { '{': '}', '[': ']' }

interface Bracket {
  readonly text: string
  readonly at: Position
  /** Indentation of its line. */
  readonly indent: number
}

/** The first unmatched bracket; in an indented text, the bracket that was most likely forgotten. */
export function wrongBracket(text: string): Pick<Problem, 'cause' | 'fix'> | undefined {
  const scanner = createScanner(text, true)
  const open: Bracket[] = []
  /**
   * A bracket closed by one that is indented less than its own line, so that the closing one belongs to another
   * bracket.
   */
  let suspect: Bracket | undefined
  let lineStart = -1
  let indent = 0
  for (scanner.scan(); scanner.getTokenOffset() < text.length; scanner.scan()) {
    const bracket = text.charAt(scanner.getTokenOffset())
    if (scanner.getTokenLength() !== 1 || !'{}[]'.includes(bracket)) continue
    const at = { line: scanner.getTokenStartLine() + 1, column: scanner.getTokenStartCharacter() + 1 }
    const start = scanner.getTokenOffset() - at.column + 1
    if (start !== lineStart) {
      lineStart = start
      indent = /^[ \t]*/.exec(text.slice(start))?.[0].length ?? 0
    }
    if (bracket in CLOSING) open.push({ text: bracket, at, indent })
    else {
      const opened = open.pop()
      if (!opened)
        return { cause: `has ${place(bracket, at)} too much`, fix: 'Remove it, or add what it closes.' }
      if (CLOSING[opened.text] !== bracket) return unclosed(suspect ?? opened, place(bracket, at))
      if (at.column === indent + 1 && indent < opened.indent) suspect ??= opened
    }
  }
  const last = open.at(-1)
  return last && unclosed(suspect ?? last, 'the end of the file')
}

function unclosed({ text, at }: Bracket, before: string): Pick<Problem, 'cause' | 'fix'> {
  return {
    cause: `is not JSON: ${place(text, at)} is not closed before ${before}`,
    fix: `Add the missing "${CLOSING[text]}".`,
  }
}

function place(bracket: string, { line, column }: Position): string {
  return `the "${bracket}" at line ${line}, column ${column}`
}
