import { describe, expect, it } from 'vitest'
import {
  conditionCompiler,
  MAX_CONDITION_CHARS,
  type Condition,
  type Facts,
} from '../../../src/policy/condition.ts'
import { cpuMs } from '../../helpers/running-time.ts'

const compile = await conditionCompiler()

function compiled(text: string): Condition {
  const result = compile(text)
  if ('problem' in result) throw new Error(result.problem.cause)
  return result.condition
}

const facts = (changes: Partial<Facts> = {}): Facts => ({
  args: {},
  tool: { server: 's', name: 't', kind: 'tool', title: '', annotations: {} },
  principal: { id: 'client:ci', name: 'ci', client: 'ci', roles: ['reader'] },
  now: new Date('2026-03-04T05:06:07Z'),
  ...changes,
})

describe('a condition', () => {
  it.each([
    ['args.n == 1', { n: 1 }, true],
    ['args.n == 1.5', { n: 1.5 }, true],
    ['args.n > 1 && args.n <= 3', { n: 2 }, true],
    ['args.n in [1, 2]', { n: 2 }, true],
    ['int(args.n) % 2 == 0', { n: 4 }, true],
    ['has(args.x)', {}, false],
    ['has(args.x) && args.x == "a"', {}, false],
    ['!has(args.x) || args.x.startsWith("/srv/")', { x: '/srv/a' }, true],
    ['args.a.b[1].c == null', { a: { b: [0, { c: null }] } }, true],
    ['args.path.like("/etc/*.conf")', { path: '/etc/a/b.conf' }, true],
    ['args.list.all(x, x != "bad")', { list: ['good', 'bad'] }, false],
    ['args.list.filter(x, x > 1).exists(x, x == 3)', { list: [1, 2, 3] }, true],
    ['"k" in args', { k: 1 }, true],
    // Not what objects inherit.
    ['"toString" in args', {}, false],
    ['has(args.constructor)', {}, false],
    // Beyond 2^53 a number is the nearest double, on both sides.
    ['args.n == 9007199254740992', { n: JSON.parse('9007199254740993') as number }, true],
  ])('%s of %o is %s', (text, args, expected) => {
    expect(compiled(text).holds(facts({ args }))).toBe(expected)
  })

  it('has the tool, the caller and the time', () => {
    const all =
      'tool.server == "s" && tool.name == "t" && tool.kind == "tool" && principal.client == "ci" && "reader" in principal.roles && now.getHours() == 5 && now > timestamp("2026-01-01T00:00:00Z")'
    expect(compiled(all).holds(facts())).toBe(true)
  })

  it.each([
    ['true', false, false],
    ['tool.name == "t"', false, false],
    ['principal.name == "ci"', false, true],
    ['args.x == 1', true, false],
    ['now.getHours() < 5', true, false],
    ['true || args.x == 1', true, false],
    ['tool.name == "t" ? principal.id == "x" : now > now', true, true],
    ['[1, 2].exists(args, args == 1)', false, false],
    ['principal.roles.exists(r, r == args.r)', true, true],
  ])('%s is evaluated with each call: %s, for each caller: %s', (text, perCall, asksPrincipal) => {
    expect(compiled(text)).toMatchObject({ perCall, asksPrincipal })
  })
})

describe('a text that does not compile', () => {
  it.each([
    ['args.x +', 1, 9, 'Unexpected token: EOF'],
    ['args.x ==\n  foo', 2, 3, 'Unknown variable: foo'],
    ['"a" + 1 == "b"', 1, 1, 'no such overload: string + int'],
    ['1 + 1', 1, 1, 'it gives int, not true or false'],
    ['nothing(args.x)', 1, 1, ''],
    ['args.x.matches("(a+)+$")', 1, 1, '"matches" is not available'],
    ['true && args.x.matches(args.p)', 1, 9, '"matches" is not available'],
    ['args.l.all(x, args.l.all(y, x != y))', 1, 15, 'a loop within a loop'],
    ['', 1, 1, ''],
  ])('%o: line %i, column %i: %s', (text, line, column, cause) => {
    expect(compile(text)).toEqual({
      problem: { cause: expect.stringContaining(cause) as string, line, column },
    })
  })

  it.each([
    ['long', `"${'x'.repeat(MAX_CONDITION_CHARS)}" == ""`],
    ['deep', `${'('.repeat(1000)}true${')'.repeat(1000)}`],
    ['full of negations', `${'!'.repeat(3000)}true`],
    ['wide', `true${'||true'.repeat(600)}`],
    ['nested lists', `${'['.repeat(500)}${']'.repeat(500)} == []`],
  ])('because it is too %s is refused at once', (_, text) => {
    const started = cpuMs()
    expect(compile(text)).toHaveProperty('problem')
    expect(cpuMs() - started).toBeLessThan(5000)
  })
})

describe('a condition that cannot be evaluated', () => {
  it.each([
    ['args.x == 1', {}],
    ['args.n + 1 == 2', { n: 1 }],
    ['args.x', { x: 'text' }],
    ['args.x.y == 1', { x: 1 }],
    ['args.x.like(args.y)', { x: 'a', y: 1 }],
    ['args.list.all(x, true)', { list: Array.from({ length: 5000 }, () => 1) }],
    ['args.text.split("").all(x, x != "b")', { text: 'a'.repeat(100_000) }],
  ])('throws: %s', (text, args) => {
    expect(() => compiled(text).holds(facts({ args }))).toThrow()
  })
})
