import { expect, test } from 'vitest'
import { conditionCompiler } from '../../../src/policy/condition.ts'

const compile = await conditionCompiler()

test.each([
  ['args.path == "x"', ['path', 'x'], ['path']],
  ['has(args.path) && args["mode"].a.b == 1', ['path', 'mode', 'a', 'b'], ['path', 'mode']],
  ['"k" in args', ['k'], ['k']],
  ['args.l.exists(e, e.q == "z")', ['l', 'q', 'z'], ['l']],
  ['args.exists(k, k == "path")', ['path'], undefined],
  ['args[tool.name] == 1', ['name'], undefined],
  ['args == {"a": 1}', ['a'], undefined],
  ['size(args) > 2', [], undefined],
  ['args.a == args[args.b]', ['a', 'b'], undefined],
])('%s looks for %j, in %j', (text, names, members) => {
  const result = compile(text)
  if ('problem' in result) throw new Error(result.problem.cause)
  const { reads } = result.condition
  expect([...(reads?.names ?? [])].sort()).toEqual([...names].sort())
  expect(reads?.members && [...reads.members].sort()).toEqual(members && [...members].sort())
})

test.each(['tool.name == "t"', 'now.getHours() < 5', 'principal.name == "x"'])(
  '%s does not look at arguments',
  text => {
    expect(compile(text)).toHaveProperty('condition.reads', undefined)
  },
)
