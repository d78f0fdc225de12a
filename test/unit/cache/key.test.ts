import { describe, expect, it } from 'vitest'
import { argPaths, argumentsKey, paramsKey } from '../../../src/cache/key.ts'
import { rng } from '../../helpers/rng.ts'

const keyOf = (raw: string, ignored: readonly string[] = []): string | undefined =>
  argumentsKey(raw, JSON.parse(raw), argPaths(ignored))

/** RFC 8785 written down once more, by another way: from the tree to a list of lines that are sorted as a whole object at a time. */
function naive(value: unknown): string {
  if (value === null || typeof value === 'boolean') return `${value}`
  if (typeof value === 'number') return `${value === 0 ? 0 : value}`
  if (typeof value === 'string') {
    let out = ''
    for (const unit of value.split('')) {
      const code = unit.charCodeAt(0)
      const short = (
        { 8: 'b', 9: 't', 10: 'n', 12: 'f', 13: 'r', 34: '"', 92: '\\' } as Record<number, string>
      )[code]
      if (short !== undefined) out += `\\${short}`
      else out += code < 32 ? `\\u${code.toString(16).padStart(4, '0')}` : unit
    }
    return `"${out}"`
  }
  if (Array.isArray(value)) return `[${value.map(naive).join()}]`
  const keys: string[] = []
  for (const key of Object.keys(value as object)) {
    // Insertion by UTF-16 code units.
    let at = 0
    while (at < keys.length && compare(keys[at] as string, key) < 0) at++
    keys.splice(at, 0, key)
  }
  return `{${keys.map(key => `${naive(key)}:${naive((value as Record<string, unknown>)[key])}`).join()}}`
}

function compare(a: string, b: string): number {
  for (let at = 0; at < Math.min(a.length, b.length); at++) {
    const difference = a.charCodeAt(at) - b.charCodeAt(at)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

const SEED = Number(process.env.SEED ?? 20260728)

/** A value, and ways to write it down. */
class Maker {
  readonly #random: () => number
  constructor(seed: number) {
    this.#random = rng(seed)
  }
  below(count: number): number {
    return Math.floor(this.#random() * count)
  }
  text(): string {
    const units = [
      'a',
      'b',
      'Z',
      '1',
      '10',
      '2',
      'é',
      '€',
      '\u{1f600}',
      '\u{fb33}',
      '"',
      '\\',
      '\n',
      '\u0007',
      '/',
      ' ',
      ':',
      '{',
      '-',
    ]
    return Array.from({ length: this.below(5) }, () => units[this.below(units.length)] as string).join('')
  }
  number(): number {
    const numbers = [
      0, 1, -1, 1.5, 100, 1e21, 1e-7, 0.1, -123456.789, 4294967296, 5e-324, 1.7976931348623157e308, 0.000001,
      123456789012345,
    ]
    return numbers[this.below(numbers.length)] as number
  }
  value(depth = 0): unknown {
    const kind = this.below(depth > 3 ? 4 : 7)
    if (kind === 0) return null
    if (kind === 1) return this.below(2) === 0
    if (kind === 2) return this.number()
    if (kind === 3) return this.text()
    if (kind === 4) return Array.from({ length: this.below(4) }, () => this.value(depth + 1))
    return Object.fromEntries(
      Array.from({ length: this.below(6) }, () => [this.text(), this.value(depth + 1)]),
    )
  }
  space(): string {
    return ['', '', ' ', '\n', '\t '][this.below(5)] as string
  }
  string(value: string): string {
    const units = value.split('').map(unit => {
      if (this.below(4) > 0) return JSON.stringify(unit).slice(1, -1)
      const hex = unit.charCodeAt(0).toString(16).padStart(4, '0')
      return `\\u${this.below(2) ? hex : hex.toUpperCase()}`
    })
    return `"${units.join('')}"`
  }
  digits(value: number): string {
    const forms = [String(value), value.toExponential(), `${value.toExponential()}`.replace('e', 'E')]
    if (Number.isInteger(value) && Math.abs(value) < 1e15)
      forms.push(`${value}.0`, `${value}.000`, `${value}e0`)
    return forms[this.below(forms.length)] as string
  }
  write(value: unknown): string {
    const s = (): string => this.space()
    if (typeof value === 'string') return this.string(value)
    if (typeof value === 'number') return this.digits(value)
    if (Array.isArray(value)) return `[${s()}${value.map(item => this.write(item) + s()).join(`,${s()}`)}]`
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value)
      for (let at = entries.length - 1; at > 0; at--) {
        const other = this.below(at + 1)
        ;[entries[at], entries[other]] = [
          entries[other] as [string, unknown],
          entries[at] as [string, unknown],
        ]
      }
      return `{${s()}${entries.map(([key, item]) => `${this.string(key)}${s()}:${s()}${this.write(item)}${s()}`).join(`,${s()}`)}}`
    }
    return String(value)
  }
}

describe(`keys of arguments (seed ${SEED})`, () => {
  it('are the same for every way to write the same, and differ where the values do', () => {
    const maker = new Maker(SEED)
    const byForm = new Map<string, string>()
    const byKey = new Map<string, string>()
    for (let round = 0; round < 4000; round++) {
      const value = maker.value()
      const form = naive(value)
      for (let way = 0; way < 3; way++) {
        const raw = maker.write(value)
        expect(naive(JSON.parse(raw))).toBe(form)
        const key = keyOf(raw)
        if (form.length <= 128) expect(key, raw).toBe(`c${form}`)
        else expect(key, raw).toMatch(/^h[\w-]{43}$/)
        const known = byForm.get(form)
        if (known === undefined) byForm.set(form, key as string)
        else expect(key, raw).toBe(known)
        expect(byKey.get(key as string) ?? form).toBe(form)
        byKey.set(key as string, form)
      }
    }
    expect(byForm.size).toBeGreaterThan(1000)
  })

  it.each([
    ['a number beyond a double', '{"a":12345678901234567890}', '{"a":12345678901234567891}'],
    ['a fraction beyond a double', '{"a":0.1000000000000000055}', '{"a":0.1}'],
    ['a number that becomes nothing', '{"a":1e-400}', '{"a":0}'],
    ['a number that becomes infinite', '{"a":1e400}', '{"a":1e401}'],
    ['minus zero', '{"a":-0}', '{"a":0}'],
    ['a key that stands twice', '{"a":1,"a":2}', '{"a":2}'],
    ['a key that stands twice far inside', '{"b":[{"a":1,"\\u0061":2}]}', '{"b":[{"a":2}]}'],
  ])('take the text as it is for %s', (_, odd, other) => {
    expect(keyOf(odd)).toMatch(/^r[\w-]{43}$/)
    expect(keyOf(odd)).not.toBe(keyOf(other))
    expect(keyOf(odd)).toBe(keyOf(odd))
  })

  it('tell integers apart that only differ beyond 2^53', () => {
    expect(keyOf('{"id":9007199254740993}')).not.toBe(keyOf('{"id":9007199254740992}'))
    expect(keyOf('{"id":9007199254740992}')).toBe('c{"id":9007199254740992}')
  })

  it('take forms of numbers for the same', () => {
    expect(keyOf('{"a":1.0}')).toBe(keyOf('{ "a" : 10e-1 }'))
    expect(keyOf('{"a":0.0}')).toBe(keyOf('{"a":0}'))
    expect(keyOf('{"a":1e2}')).toBe('c{"a":100}')
  })

  it('leave out what is ignored, wherever it is named', () => {
    const ignored = ['requestId', 'trace.id', 'a.b']
    expect(keyOf('{"q":1,"requestId":"x"}', ignored)).toBe(keyOf('{"requestId":2,"q":1}', ignored))
    expect(keyOf('{"q":1,"trace":{"id":1,"x":2}}', ignored)).toBe('c{"q":1,"trace":{"x":2}}')
    expect(keyOf('{"a.b":1}', ignored)).toBe('c{}')
    expect(keyOf('{"x":{"requestId":1}}', ignored)).toBe('c{"x":{"requestId":1}}')
    expect(keyOf('{"trace":[{"id":1}]}', ignored)).toBe('c{"trace":[{"id":1}]}')
    expect(keyOf('{"__proto__":{"a":1},"requestId":1}', ignored)).toBe('c{"__proto__":{"a":1}}')
  })

  it('take deep and long arguments as they are, and none that are huge', () => {
    const deep = (depth: number, end = '1'): string => `{"a":${'['.repeat(depth)}${end}${']'.repeat(depth)}}`
    expect(keyOf(deep(90))).toMatch(/^h/)
    expect(keyOf(deep(200))).toMatch(/^r/)
    expect(keyOf(deep(200_000))).toMatch(/^r/)
    expect(keyOf(deep(200_000))).not.toBe(keyOf(deep(200_000, '2')))
    expect(keyOf(`{"a":"${'x'.repeat(70_000)}"}`)).toMatch(/^r/)
    expect(keyOf(`{"a":"${'x'.repeat(1024 * 1024)}"}`)).toBeUndefined()
  })
})

describe('keys of parameters', () => {
  const of = (text: string, target: 'name' | 'uri' = 'name'): string | undefined =>
    paramsKey({ text, value: JSON.parse(text) as Record<string, unknown> }, target)

  it('do not depend on what ends at the gateway', () => {
    const meta =
      '"_meta":{"progressToken":7,"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/logLevel":"debug","traceparent":"00-1"}'
    expect(of(`{"name":"x",${meta},"arguments":{"a":1}}`)).toBe('c{"a":1}')
    expect(of('{"arguments":{"a":1},"name":"y"}')).toBe('c{"a":1}')
    expect(of('{"name":"x"}')).toBe('-')
    expect(of('{"uri":"a://b"}', 'uri')).toBe('-')
  })

  it.each([
    '{"name":"x","task":{}}',
    '{"name":"x","inputResponses":{}}',
    '{"name":"x","requestState":"s"}',
    '{"name":"x","future":1}',
    '{"name":"x","_meta":{"tenant":"a"}}',
    '{"name":"x","_meta":{"io.modelcontextprotocol/related-task":{"taskId":"1"}}}',
    '{"name":"x","_meta":null}',
    '{"name":"x","name":"x"}',
    '{"name":"x","arguments":{},"arguments":{"a":1}}',
  ])('are none for %s', text => {
    expect(of(text)).toBeUndefined()
  })

  it('have no arguments where a resource is read', () => {
    expect(of('{"uri":"a://b","arguments":{}}', 'uri')).toBeUndefined()
  })
})
