import { parse, type ParseError } from 'jsonc-parser'
import { describe, expect, test } from 'vitest'
import { editText } from '../../../../src/config/edit/edit-text.ts'
import { rng } from '../../../helpers/rng.ts'

/** A text of JSON with comments is changed in place: what does not change stays as it is written. */

const FILE = `// The servers of the team.
{
  // Files of the project.
  "mcpServers": {
    // Search.
    "search": {
      "url": "https://search.example/mcp", // The new one.
      "timeout": "60s", // Slow at night.
      /* Written by hand. */
      "headers": { "x-team": "a" }
    },
    "files": { "command": "files", "args": ["-v", "."] } // Local.
  },
  "clients": {},
  "gateway": {
    "log": "info",
    // The last one.
    "http": { "port": 3333 }
  }
}
`

const read = (text: string): unknown => {
  const errors: ParseError[] = []
  const value: unknown = parse(text, errors, { allowTrailingComma: true })
  expect(errors, text).toEqual([])
  return value
}
// eslint-disable-next-line
const changed = (text: string, change: (value: any) => void): string => {
  const value = parse(text, [], { allowTrailingComma: true }) as unknown
  change(value)
  return editText(text, value)
}
/** Lines of one text that the other does not have. */
const diff = (a: string, b: string): string[] => [
  ...a
    .split('\n')
    .filter(line => !b.split('\n').includes(line))
    .map(line => `- ${line.trim()}`),
  ...b
    .split('\n')
    .filter(line => !a.split('\n').includes(line))
    .map(line => `+ ${line.trim()}`),
]

describe('of a file with comments', () => {
  test('nothing changes where nothing is different', () => {
    expect(changed(FILE, () => {})).toBe(FILE)
  })

  test('a value is replaced, and the comment beside it stays', () => {
    expect(
      diff(
        FILE,
        changed(FILE, v => (v.mcpServers.search.timeout = '5s')),
      ),
    ).toEqual(['- "timeout": "60s", // Slow at night.', '+ "timeout": "5s", // Slow at night.'])
  })

  test('a member is added after the last one, with its indent', () => {
    const edited = changed(FILE, v => (v.mcpServers.search.retry = true))
    expect(edited).toContain('      "headers": { "x-team": "a" },\n      "retry": true\n    },\n')
    expect(diff(FILE, edited)).toHaveLength(3)
  })

  test('a member is added after a last one that has a comment beside it', () => {
    const edited = changed(FILE, v => (v.mcpServers.more = { url: 'https://more.example' }))
    expect(edited).toContain(
      '"args": ["-v", "."] }, // Local.\n    "more": {\n      "url": "https://more.example"\n    }\n  },',
    )
  })

  test('a member goes with the comment above it and beside it, and no other comment does', () => {
    const edited = changed(FILE, v => delete v.mcpServers.search.timeout)
    expect(diff(FILE, edited)).toEqual(['- "timeout": "60s", // Slow at night.'])
    expect(
      diff(
        FILE,
        changed(FILE, v => delete v.mcpServers.search.headers),
      ),
    ).toEqual([
      '- "timeout": "60s", // Slow at night.',
      '- /* Written by hand. */',
      '- "headers": { "x-team": "a" }',
      '+ "timeout": "60s" // Slow at night.',
    ])
  })

  test('a member in one line stays in one line', () => {
    expect(changed(FILE, v => (v.mcpServers.search.headers['x-b'] = 'c'))).toContain(
      '"headers": { "x-team": "a", "x-b": "c" }',
    )
    expect(changed(FILE, v => v.mcpServers.files.args.push('x'))).toContain('["-v", ".", "x"]')
    expect(changed(FILE, v => v.mcpServers.files.args.unshift('x'))).toContain('"args": ["x", "-v", "."]')
  })

  test('an empty object gets its first member, and a full one loses its last', () => {
    expect(changed(FILE, v => (v.clients.ci = {}))).toContain('"clients": {\n    "ci": {}\n  },')
    const empty = changed(FILE, v => (v.gateway = {}))
    expect(parse(empty)).toMatchObject({ gateway: {} })
    expect(empty).not.toContain('The last one.')
  })

  test('line ends, tabs and a comma at the end are kept', () => {
    const text = '{\r\n\t"a": 1,\r\n\t"b": [\r\n\t\t1, // one\r\n\t\t2,\r\n\t],\r\n}\r\n'
    const edited = changed(text, v => {
      v.c = { d: 1 }
      v.b.push(3)
    })
    expect(edited).toBe(
      '{\r\n\t"a": 1,\r\n\t"b": [\r\n\t\t1, // one\r\n\t\t2,\r\n\t\t3,\r\n\t],\r\n\t"c": {\r\n\t\t"d": 1\r\n\t},\r\n}\r\n',
    )
  })

  test('an item in the middle of a list comes or goes without the others', () => {
    const text =
      '{\n  "rules": [\n    // one\n    { "a": 1 },\n    // two\n    { "a": 2 }, // second\n    // three\n    { "a": 3 }\n  ]\n}\n'
    expect(
      diff(
        text,
        changed(text, v => v.rules.splice(1, 1)),
      ),
    ).toEqual(['- // two', '- { "a": 2 }, // second'])
    const added = changed(text, v => v.rules.splice(1, 0, { a: 4 }))
    expect(parse(added)).toEqual({ rules: [{ a: 1 }, { a: 4 }, { a: 2 }, { a: 3 }] })
    for (const comment of ['// one', '// two', '// second', '// three']) expect(added).toContain(comment)
  })

  test('a key that is there twice is refused', () => {
    expect(() => changed('{"a": {"b": 1}, "a": {"b": 2, "c": 3}}', v => delete v.a)).not.toThrow()
    expect(() => editText('{"a": 1, "a": {"x": 2}, "b": 1}', { a: { x: 3 }, b: 2 })).not.toThrow()
    expect(() => editText('{"__proto__": {"x": 1}, "b": 1}', { b: 2, c: 1, x: 3 })).not.toThrow()
  })
})

/** Texts that are written in any way say afterwards what they are to say, and no comment of what stays is lost. */
test.each(Array.from({ length: 30 }, (_, seed) => seed))('whatever changes, seed %i', seed => {
  const random = rng(seed)
  const pick = (n: number): number => Math.floor(random() * n)
  let comments = 0
  const make = (depth: number): { text: string; value: unknown } => {
    const kind = depth > 3 ? 2 : pick(3)
    if (kind === 2) {
      const value = [1, 'a // b', null, true, '}', '/* x'][pick(6)]
      return { text: JSON.stringify(value), value }
    }
    const isList = kind === 0
    const values: [string, unknown][] = []
    const isLine = random() < 0.3
    let text = isList ? '[' : '{'
    const count = pick(5)
    for (let at = 0; at < count; at++) {
      const item = make(depth + 1)
      values.push([`k${at}`, item.value])
      if (!isLine && random() < 0.4) text += `\n// above ${comments++}`
      text += `${isLine ? ' ' : '\n  '}${isList ? '' : `"k${at}": `}${item.text}`
      if (random() < 0.2) text += ` /* after ${comments++} */`
      if (at < count - 1 || random() < 0.3) text += ','
      if (!isLine && random() < 0.3) text += ` // beside ${comments++}`
      if (!isLine && text.endsWith(String(comments - 1))) text += '\n'
    }
    text += `${isLine ? ' ' : '\n'}${isList ? ']' : '}'}`
    return { text, value: isList ? values.map(([, value]) => value) : Object.fromEntries(values) }
  }
  const change = (value: unknown): unknown => {
    if (random() < 0.15) return { new: [1, { x: pick(9) }] }
    if (Array.isArray(value)) {
      const list = value.flatMap((item: unknown) =>
        random() < 0.2 ? [] : [random() < 0.3 ? change(item) : item],
      )
      if (random() < 0.4) list.splice(pick(list.length + 1), 0, pick(9))
      return list
    }
    if (typeof value !== 'object' || value === null) return random() < 0.3 ? pick(9) : value
    const entries = Object.entries(value).flatMap(([key, child]) =>
      random() < 0.2 ? [] : [[key, random() < 0.5 ? change(child) : (child as unknown)] as const],
    )
    return { ...Object.fromEntries(entries), ...(random() < 0.4 && { added: pick(9) }) }
  }
  for (let round = 0; round < 40; round++) {
    const { text, value } = make(0)
    expect(read(text)).toEqual(value)
    const after = change(value)
    const edited = editText(text, after)
    expect(read(edited)).toEqual(after)
    // Taken over as it is, everything stays.
    expect(editText(text, value)).toBe(text)
    // What is only added takes nothing away.
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const grown = editText(text, { ...value, more: { x: 1 } })
      for (const comment of text.match(/(?:above|after|beside) \d+/g) ?? []) expect(grown).toContain(comment)
    }
  }
})
