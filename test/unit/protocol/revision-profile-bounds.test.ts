import { expect, test } from 'vitest'
import type { Json } from '../../../src/core/exchange.ts'
import {
  elicitationAt,
  revisionProfile,
  resultAt,
  samplingAt,
  type RevisionProfile,
} from '../../../src/protocol/revision-profile.ts'

/** What is written anew for an older client is bounded, whatever a server says. */

const level = (revision: string): RevisionProfile => revisionProfile(revision) as RevisionProfile
const jsonOf = (text: string): Json => ({ text, value: JSON.parse(text) as unknown })
const list = (count: number, item: string): string => `[${Array<string>(count).fill(item).join(',')}]`
const TEXT = '{"type":"text","text":"a"}'

interface Block {
  readonly type: string
  readonly text?: string
}

test('many small blocks that a client does not have are left out after the first 10,000, and a last one says so', () => {
  const count = 300_000
  const text = `{"content":[${TEXT},${list(count, `{"type":"x"}, ${TEXT}`).slice(1, -1)}],"n":1.0}`
  const shown = resultAt(level('2025-06-18'), 'tools/call', jsonOf(text))
  const { content, n } = JSON.parse(shown) as { content: Block[]; n: number }
  expect(n).toBe(1)
  expect(content.filter(block => block.text === 'a')).toHaveLength(count + 1)
  expect(content.filter(block => block.text?.startsWith('[Content of type'))).toHaveLength(10_000)
  expect(content).toHaveLength(count + 10_002)
  expect(content.at(-1)?.text).toBe(
    '[290000 more parts were left out: revision 2025-06-18 of MCP does not have them here.]',
  )
  expect(shown.length).toBeLessThan(text.length)
})

test('nothing is left out of 10,000 blocks', () => {
  const shown = resultAt(
    level('2024-11-05'),
    'tools/call',
    jsonOf(`{"content":${list(10_000, '{"type":"x"}')}}`),
  )
  expect((JSON.parse(shown) as { content: Block[] }).content).toHaveLength(10_000)
  expect(shown).not.toContain('left out')
})

test('many messages of a prompt that a client does not have are left out likewise', () => {
  const text = `{"messages":${list(20_000, '{"role":"user","content":{"type":"x"}}')}}`
  const shown = resultAt(level('2024-11-05'), 'prompts/get', jsonOf(text))
  const { messages } = JSON.parse(shown) as { messages: { role: string; content: Block }[] }
  expect(messages).toHaveLength(10_001)
  expect(messages.at(-1)).toMatchObject({ role: 'user', content: { type: 'text' } })
})

test('a link of many icons keeps none of them for a client that reads their sizes differently', () => {
  const link = `{"type":"resource_link","uri":"a:b","name":"n","icons":${list(17, '{"src":"s","sizes":["1x1"]}')}}`
  const shown = resultAt(level('2025-06-18'), 'tools/call', jsonOf(`{"content":[${link}]}`))
  expect(JSON.parse(shown)).toEqual({ content: [{ type: 'resource_link', uri: 'a:b', name: 'n' }] })
})

test('what a question repeats is bounded over all of its messages', () => {
  const message = `{"role":"user","x":"${'y'.repeat(2000)}","content":${list(20, TEXT)}}`
  const ask = (count: number): string =>
    samplingAt(level('2025-06-18'), jsonOf(`{"messages":${list(count, message)}}`), 'srv')
  expect((JSON.parse(ask(20)) as { messages: unknown[] }).messages).toHaveLength(400)
  expect(() => ask(40)).toThrow(/Server "srv" asks .* more than 1048576 characters/)
})

test.each([
  ['messages', list(10_001, '{"role":"user","content":[]}')],
  ['parts of a message', `[{"role":"user","content":${list(10_001, TEXT)}}]`],
])('a question of more than 10,000 %s is refused', (_, messages) => {
  expect(() => samplingAt(level('2025-06-18'), jsonOf(`{"messages":${messages}}`), 'srv')).toThrow(
    'Server "srv" asks to sample from more than 10000 messages and parts of messages.',
  )
})

test('a form of more than 10,000 fields and choices is refused', () => {
  const choices = list(10_000, '{"const":"a","title":"b"}')
  const text = `{"requestedSchema":{"properties":{"a":{"oneOf":${choices}}}}}`
  expect(() => elicitationAt(jsonOf(text), 'srv')).toThrow('more than 10000 fields and choices')
})
