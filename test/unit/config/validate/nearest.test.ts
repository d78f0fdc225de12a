import { expect, test } from 'vitest'
import { nearest } from '../../../../src/config/validate/nearest.ts'

const KEYS = ['command', 'args', 'env', 'url', 'headers', 'timeout', 'startTimeout', 'mcpServers', 'servers']

test.each([
  ['comand', 'command'],
  ['hedaers', 'headers'],
  ['Timeout', 'timeout'],
  ['start_timeout', 'startTimeout'],
  ['mcp-servers', 'mcpServers'],
  ['argz', 'args'],
  ['cmd', 'command'],
  ['uri', 'url'],
])('%s was meant to be %s', (word, key) => {
  expect(nearest(word, KEYS)).toBe(key)
})

test.each(['zzzz', 'description', 'x', ''])('nothing is near to "%s"', word => {
  expect(nearest(word, KEYS)).toBeUndefined()
})

test('an alias that is no candidate does not count', () => {
  expect(nearest('cmd', ['args'])).toBeUndefined()
})
