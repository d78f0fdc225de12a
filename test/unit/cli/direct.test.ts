import { expect, test } from 'vitest'
import { parseDirect } from '../../../src/cli/direct.ts'

test.each([
  [[], {}],
  [['--config', 'a.json'], { config: 'a.json' }],
  [['--config=a=b.json'], { config: 'a=b.json' }],
  [['-c', 'a.json', '--log', 'debug'], { config: 'a.json', log: 'debug' }],
  [['--log=error'], { log: 'error' }],
  [['--profile', 'coding'], { profile: 'coding' }],
  [['--config=a.json', '--profile=coding'], { config: 'a.json', profile: 'coding' }],
  [['--client', 'ci', '--config=a.json'], { client: 'ci', config: 'a.json' }],
  [['--client=two words'], { client: 'two words' }],
])('%o starts on stdio at once', (args, options) => {
  expect(parseDirect(args)).toEqual(options)
})

test.each([
  [['serve']],
  [['check', 'a.json']],
  [['--help']],
  [['--config']],
  [['--config=']],
  [['--client']],
  [['--client', 'ci', 'serve']],
  [['--config', '--log', 'debug']],
  [['--log', 'loud']],
  [['--profile']],
  [['--config', 'a.json', 'serve']],
  [['-ca.json']],
])('%o is left to the command line library', args => {
  expect(parseDirect(args)).toBeUndefined()
})
