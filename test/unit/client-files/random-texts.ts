import type { EntrySection } from '../../../src/client-files/formats/format.ts'

/** Random client files of three formats, with comments, blank lines, line ends, indents and orders of any kind. */

export interface RandomText {
  readonly text: string
  readonly section: EntrySection
  readonly names: readonly string[]
  /** Each entry with the comments that belong to it: the one beside it, and those directly above it. */
  readonly pieces: readonly Piece[]
}

/** A part of a text that belongs to an entry; one entry of TOML may have several. */
export interface Piece {
  readonly name: string
  readonly from: number
  readonly to: number
}

/** Around the text of an entry, until the text is finished. */
const OPEN = '\uE000'
const CLOSE = '\uE001'

const WORDS = [
  'alpha',
  'b c',
  'über',
  'd.e',
  '"q"',
  '#x',
  '//y',
  "it's",
  'C:\\d',
  '${E}',
  'true',
  '1',
  '',
  '{}',
  '[z]',
]

/** What makes a text, with the dice. */
export class Writer {
  readonly random: () => number
  readonly eol: string
  readonly unit: string
  #comments = 0

  constructor(random: () => number) {
    this.random = random
    this.eol = random() < 0.3 ? '\r\n' : '\n'
    this.unit = this.pick(['  ', '    ', '\t', ' '])
  }

  pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.random() * items.length)] as T
  }

  maybe(chance: number, text: () => string): string {
    return this.random() < chance ? text() : ''
  }

  word(): string {
    return this.pick(WORDS)
  }

  /** A comment that is there once. */
  comment(): string {
    return `comment ${this.#comments++} ${this.pick(['{', '}', '[mcp]', 'a: b', '"', "'", ',', '—', 'x = 1'])}`
  }

  names(): string[] {
    const all = ['a', 'b', 'with space', 'ünï', 'd-e_f', 'g.h'].filter(() => this.random() < 0.5)
    return all.sort(() => this.random() - 0.5)
  }

  /** The text of an entry, with what belongs to it. */
  owned(at: number, text: string): string {
    return OPEN + String.fromCharCode(0xe100 + at) + text + CLOSE
  }

  finished(marked: string, section: EntrySection, names: readonly string[]): RandomText {
    const ended = this.random() < 0.2 ? marked.replace(/(?:\r?\n)+(\uE001?)$/, '$1') : marked
    let text = this.random() < 0.2 ? '\uFEFF' : ''
    const pieces: Piece[] = []
    for (const part of ended.split(/(\uE000[^\uE001]*\uE001)/)) {
      const from = text.length
      if (!part.startsWith(OPEN)) {
        text += part
        continue
      }
      text += part.slice(2, -1)
      pieces.push({ name: names[part.charCodeAt(1) - 0xe100] as string, from, to: text.length })
    }
    return { text, section, names, pieces }
  }
}

export function randomJsonc(random: () => number): RandomText {
  const w = new Writer(random)
  const isLine = random() < 0.1
  const blank = (): string => (isLine ? '' : w.maybe(0.15, () => w.eol))
  const note = (): string =>
    isLine ? w.maybe(0.1, () => ` /* ${w.comment()} */`) : w.maybe(0.25, () => ` // ${w.comment()}`)
  const value = (depth: number, indent: string): string => {
    const kind = depth > 2 ? 0 : Math.floor(random() * 4)
    if (kind < 2) return w.pick([JSON.stringify(w.word()), '1', '-1.5e3', 'true', 'null', '{}', '[]'])
    const members = Array.from({ length: 1 + Math.floor(random() * 3) }, (_, at) => `k${at}`)
    return kind === 2
      ? object(
          members.map(name => [name, value(depth + 1, indent + w.unit)]),
          indent,
        )
      : `[${members.map(() => value(depth + 1, indent + w.unit)).join(', ')}]`
  }
  const object = (
    members: readonly (readonly [string, string])[],
    indent: string,
    isSection = false,
  ): string => {
    const short = isLine || random() < 0.15
    const inner = indent + w.unit
    const start = short ? '' : w.eol + inner
    const remark = (): string =>
      short
        ? ''
        : w.maybe(0.25, () => {
            const both = `/* ${w.comment()}${w.eol}${inner}   ${w.comment()} */`
            return `${start}${w.pick([`// ${w.comment()}`, `/* ${w.comment()} */`, both])}`
          })
    const lines = members.map(([name, text], at) => {
      const comma = at < members.length - 1 ? ',' : w.maybe(0.2, () => ',')
      // Over a blank line, a comment belongs to no entry; nor does a server that is a comment.
      const banner = short ? '' : w.maybe(0.2, () => `${blank()}${remark()}${remark()}${w.eol}`)
      const off = short ? '' : w.maybe(0.15, () => `${start}// "off": { "x": "${w.comment()}" },${w.eol}`)
      const own = `${remark()}${remark()}${start}${JSON.stringify(name)}:${w.pick([' ', '', '  '])}${text}${comma}${short ? '' : note()}`
      return banner + off + blank() + (isSection ? w.owned(at, own) : own)
    })
    const foot = short ? '' : w.maybe(0.15, () => `${w.eol}${inner}// ${w.comment()}`)
    return `{${short ? '' : note()}${lines.join(short ? ' ' : '')}${foot}${short ? '' : w.eol + indent}}`
  }
  const names = w.names()
  const path = w.pick([
    ['mcpServers'],
    ['mcp', 'servers'],
    ['projects', '/home/a b', 'mcpServers'],
    ['amp.mcpServers'],
  ])
  const entries = names.map(name => [name, value(1, w.unit.repeat(path.length + 1))] as const)
  const isThere = names.length > 0 || random() < 0.5
  let text = object(entries, w.unit.repeat(path.length), true)
  for (const [depth, key] of path.slice(1).toReversed().entries())
    text = object([[key, text]], w.unit.repeat(path.length - depth - 1))
  const others = ['theme', 'z', 'font size']
    .filter(() => random() < 0.4)
    .map(name => [name, value(1, w.unit)] as const)
  const members = [...others, ...(isThere ? [[path[0] as string, text] as const] : [])].sort(
    () => random() - 0.5,
  )
  const head = isLine ? '' : w.maybe(0.3, () => `// ${w.comment()}${w.eol}`)
  const whole =
    !isThere && others.length === 0 && random() < 0.5
      ? head
      : `${head}${object(members, '')}${isLine ? '' : w.eol}`
  return w.finished(whole, { path, kind: 'table' }, names)
}

export function randomToml(random: () => number): RandomText {
  const w = new Writer(random)
  const note = (): string => w.maybe(0.3, () => ` # ${w.comment()}`)
  const above = (): string => w.maybe(0.3, () => `# ${w.comment()}${w.eol}`)
  const blank = (): string => w.maybe(0.5, () => w.eol.repeat(1 + Math.floor(random() * 2)))
  /** Over a blank line, a comment belongs to no entry. */
  const banner = (): string => w.maybe(0.2, () => `# ${w.comment()}${w.eol}${w.eol}`)
  const key = (name: string): string =>
    /^[\w-]+$/.test(name) && random() < 0.8 ? name : JSON.stringify(name)
  const scalar = (): string =>
    w.pick([
      JSON.stringify(w.word()),
      `'lit # ${w.pick(['a', '\\'])}'`,
      '1',
      '0x1F',
      'true',
      '1979-05-27',
      `"""m${w.eol}n"""`,
    ])
  const list = (): string =>
    w.pick([`[${scalar()}, 1]`, `[${w.eol}  ${scalar()}, # ${w.comment()}${w.eol}]`, '[]'])
  const pairs = (): string =>
    ['command', 'args', 'n']
      .filter(() => random() < 0.7)
      .map(
        name =>
          `${w.maybe(0.1, () => w.unit)}${above()}${name} = ${w.pick([scalar, list])()}${note()}${w.eol}`,
      )
      .join('')
  const inline = (): string => `{ ${['x', 'y'].map(name => `${name} = "${name}"`).join(', ')} }`
  const names = w.names()
  const style = w.pick(['tables', 'tables', 'tables', 'one table', 'inline', 'dotted'])
  const section = 'mcp_servers'
  const top: string[] = [`model = ${scalar()}${note()}${w.eol}`]
  const tables: string[] = []
  if (style === 'inline') {
    if (names.length > 0 || random() < 0.5)
      top.push(
        `${section} = {${names.map((name, at) => w.owned(at, ` ${key(name)} = ${inline()}`)).join(',')} }${note()}${w.eol}`,
      )
  } else if (style === 'dotted')
    for (const [at, name] of names.entries())
      top.push(
        banner() + w.owned(at, `${above()}${section}.${key(name)}.command = ${scalar()}${note()}${w.eol}`),
      )
  else if (style === 'one table') {
    if (names.length > 0 || random() < 0.5)
      tables.push(
        `${above()}[${section}]${note()}${w.eol}${names.map((name, at) => banner() + w.owned(at, `${above()}${key(name)} = ${inline()}${note()}${w.eol}`)).join('')}`,
      )
  } else
    for (const [at, name] of names.entries()) {
      tables.push(banner() + w.owned(at, `${above()}[${section}.${key(name)}]${note()}${w.eol}${pairs()}`))
      if (random() < 0.3)
        tables.push(w.owned(at, `[${section}.${key(name)}.env]${w.eol}X = "1"${note()}${w.eol}`))
    }
  for (const name of ['tui', 'profiles.x'])
    if (random() < 0.5) tables.push(`${above()}[${name}]${note()}${w.eol}${pairs()}`)
  if (random() < 0.3) tables.push(`[[hooks]]${w.eol}${pairs()}`)
  const parts = [...top.sort(() => random() - 0.5), ...tables.sort(() => random() - 0.5)]
  const whole =
    random() < 0.05 && names.length === 0 ? '' : parts.map(part => blank() + part).join('') + above()
  return w.finished(whole, { path: [section], kind: 'table' }, names)
}

export function randomYaml(random: () => number): RandomText {
  const w = new Writer(random)
  const unit = w.pick(['  ', '    ', ' '])
  const note = (): string => w.maybe(0.25, () => ` # ${w.comment()}`)
  const above = (indent: string): string => w.maybe(0.25, () => `${indent}# ${w.comment()}${w.eol}`)
  const blank = (): string => w.maybe(0.2, () => w.eol)
  const key = (name: string): string =>
    /^[a-z-]+$/.test(name) && random() < 0.8 ? name : JSON.stringify(name)
  const scalar = (): string =>
    w.pick([
      JSON.stringify(w.word()),
      'plain text',
      '1',
      'true',
      '~',
      "'it''s # x'",
      '{ f: [1, "2"] }',
      '[a, b]',
    ])
  const block = (indent: string): string =>
    `${w.pick(['|', '>', '|-', '>+'])}${w.eol}${indent}one # no comment${w.eol}${w.maybe(0.3, () => w.eol)}${indent}two${w.eol}`
  const pairs = (indent: string): string =>
    ['cmd', 'args', 'text', 'n']
      .filter((_, at) => at === 0 || random() < 0.6)
      .map(name => {
        const head = `${above(indent)}${indent}${name}:`
        if (random() < 0.15) return `${head} ${block(indent + unit)}`
        if (random() < 0.2)
          return `${head}${note()}${w.eol}${indent}${w.pick(['', unit])}- ${scalar()}${note()}${w.eol}`
        return `${head} ${scalar()}${note()}${w.eol}`
      })
      .join('')
  const names = w.names()
  const kind = w.pick(['table', 'table', 'list'] as const)
  const section = kind === 'table' ? 'extensions' : 'mcpServers'
  const isFlow = random() < 0.15
  const flowItems = names.map((name, at) =>
    w.owned(
      at,
      kind === 'table' ? `${JSON.stringify(name)}: { cmd: x }` : `{ name: ${JSON.stringify(name)}, cmd: x }`,
    ),
  )
  const [open, close] = kind === 'table' ? ['{', '}'] : ['[', ']']
  const space = w.pick([' ', ''])
  let own = ''
  if (isFlow) own = `${section}: ${open}${space}${flowItems.join(', ')}${space}${close}${note()}${w.eol}`
  else if (names.length > 0) {
    const indent = kind === 'list' ? w.pick(['', unit]) : unit
    own = `${section}:${note()}${w.eol}${names
      .map((name, at) => {
        const head = kind === 'table' ? `${key(name)}:` : `- name: ${JSON.stringify(name)}`
        const body = pairs(kind === 'table' ? indent + unit : `${indent}  `)
        // Over a blank line, a comment belongs to no entry.
        const banner = w.maybe(0.2, () => `${indent}# ${w.comment()}${w.eol}${w.eol}`)
        return blank() + banner + w.owned(at, `${above(indent)}${indent}${head}${note()}${w.eol}${body}`)
      })
      .join('')}`
  } else if (random() < 0.3) own = `${section}:${note()}${w.eol}`
  const others = ['GOOSE_MODEL', 'rules', 'x-y']
    .filter(() => random() < 0.5)
    .map(name => `${above('')}${name}: ${scalar()}${note()}${w.eol}`)
  if (random() < 0.2) others.push(`doc: ${block('  ')}`)
  const parts = [...others, own].sort(() => random() - 0.5)
  const head = w.maybe(0.15, () => `---${w.eol}`)
  const whole = head + parts.map(part => (part === '' ? '' : blank() + part)).join('')
  return w.finished(whole, { path: [section], kind }, names)
}
