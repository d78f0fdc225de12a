import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The pages that are read by persons, and what is in them. */

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

const pagesIn = (folder: string): string[] =>
  readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
    .map(file => `${folder}/${file.replaceAll('\\', '/')}`)
    .filter(file => file.endsWith('.md') && !file.includes('node_modules'))
    .sort()

/** Every page, from the root. */
export const PAGES: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...pagesIn('docs'),
  ...pagesIn('examples'),
]

export const textOfPage = (page: string): string => readFileSync(join(ROOT, page), 'utf8')

/** A block of code with a language. */
export interface Block {
  readonly language: string
  readonly text: string
  /** Line of the page at which the block begins, from 1. */
  readonly line: number
  /** Where its text begins and ends in the page. */
  readonly from: number
  readonly to: number
  /** The comments directly above it. */
  readonly marks: readonly string[]
  /** Whether nothing but white space is between the block before and this one. */
  readonly followsBlock: boolean
}

/** The blocks of a page, in their order. */
export function blocksOf(text: string): Block[] {
  const found: Block[] = []
  let [end, line, counted] = [0, 1, 0]
  for (const { 0: whole, 1: marks = '', 2: language = '', 3: body = '', index } of text.matchAll(
    /^((?:<!--(?:(?!-->)[^])*-->\s*\n)*)```(\w*)\n([^]*?)^```$/gm,
  )) {
    const from = index + marks.length + 3 + language.length + 1
    line += text.slice(counted, index + marks.length).split('\n').length - 1
    counted = index + marks.length
    found.push({
      language,
      text: body,
      line,
      from,
      to: from + body.length,
      marks: [...marks.matchAll(/<!--\s*((?:(?!-->)[^])*?)\s*-->/g)].map(([, mark]) => mark as string),
      followsBlock: found.length > 0 && text.slice(end, index).trim() === '',
    })
    end = index + whole.length
  }
  return found
}

/** What a comment above a block says under this name, as in `<!-- not run: needs docker -->`. */
export function markOf(block: Block, name: string): string | undefined {
  for (const mark of block.marks) if (mark.startsWith(`${name}: `)) return mark.slice(name.length + 2).trim()
  return undefined
}

/** Anchors of the headings, as GitHub makes them: a heading that comes again has a number. */
export function anchorsOf(text: string): string[] {
  const times = new Map<string, number>()
  return [...text.replace(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) => {
    const anchor = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_\- ]/gu, '')
      .replaceAll(' ', '-')
    const before = times.get(anchor) ?? 0
    times.set(anchor, before + 1)
    return before === 0 ? anchor : `${anchor}-${before}`
  })
}
