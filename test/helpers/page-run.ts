import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { markOf, ROOT, textOfPage, type Block } from './documents.ts'
import type { DocumentHome } from './document-home.ts'

/**
 * Runs the blocks of a page, each where the one before has left off, and compares what is printed with the block of the language `text` that follows.
 * In front of a block, comments say what differs:
 *
 * - `<!-- file: servers.json -->`: the block is a file, which is written.
 * - `<!-- not run: needs docker -->`: the reason for which it is not run.
 * - `<!-- ends with: 2 -->`: its exit code.
 * - `<!-- at a terminal: y y -->`: it is run at a terminal of 100 columns, with these answers.
 *
 * In what is printed, `…` stands for any text, alone in a line for any lines. Durations and moments may differ.
 */
export async function runPage(page: string, blocks: readonly Block[], home: DocumentHome): Promise<void> {
  let text = textOfPage(page)
  let shift = 0
  for (const [at, block] of blocks.entries()) {
    const file = markOf(block, 'file')
    if (file !== undefined) home.write(`project/${file}`, block.text)
    if (block.language !== 'sh' || markOf(block, 'not run') !== undefined) continue
    const atTerminal = block.marks.find(mark => mark.startsWith('at a terminal'))
    const { code, printed } =
      atTerminal === undefined
        ? await home.run(block.text)
        : await home.runAtTerminal(block.text, (atTerminal.split(':')[1] ?? '').split(' ').filter(Boolean))
    const where = `${page}:${block.line}`
    const expected = Number(markOf(block, 'ends with') ?? 0)
    expect(code, `exit code of ${where}, which printed:\n${printed}`).toBe(expected)
    const output = blocks[at + 1]
    if (output?.language !== 'text' || !output.followsBlock) continue
    if (says(output.text, printed)) continue
    if (process.env['WRITE_OUTPUTS'] === '1' && !/^…$/m.test(output.text)) {
      const said = `${withoutNotes(printed).trimEnd()}\n`
      text = text.slice(0, output.from + shift) + said + text.slice(output.to + shift)
      shift += said.length - output.text.length
    } else
      expect(withoutNotes(printed), `output of ${where}; npm run docs:outputs writes it anew`).toBe(
        output.text,
      )
  }
  if (shift !== 0 || text !== textOfPage(page)) writeFileSync(join(ROOT, page), text)
}

/** Whether a page says what was printed. */
export function says(page: string, printed: string): boolean {
  const pattern = steady(page)
    .split('\n')
    .map(line => (line === '…' ? '(?:[^\\n]*\\n)*?' : `${line.split('…').map(escaped).join('.*')}\\n`))
    .join('')
  return new RegExp(`^${pattern}$`).test(`${steady(withoutNotes(printed))}\n`)
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')

/** Without what differs from run to run, and without the widths that follow from it. */
function steady(text: string): string {
  return text
    .trimEnd()
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, 'TIME')
    .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d\b/g, 'TIME')
    .replace(/\b\d+(?:\.\d+)? ?(?:ms|s)(?!\w)/g, 'DURATION')
    .replace(/\b(Gateway) \d+/g, '$1 PID')
    .replace(/[^\S\n]+/g, ' ')
    .replace(/ +$/gm, '')
}

/** Without the notes that are shown while something takes longer than a second, and without records of the log. */
function withoutNotes(printed: string): string {
  return printed.replace(/^(?:[A-Z][^\n]* …|\{"time":[^\n]*)\n/gm, '')
}
