import { describe, expect, it } from 'vitest'
import { CacheEntry } from '../../../src/cache/entry.ts'
import type { JsonObject } from '../../../src/core/exchange.ts'
import { resultFor } from '../../../src/protocol/results.ts'

const INFO = '{"name":"gateway"}'
const MARK = 'io.github.mcp-manifold/cache'
const BIG = 'ü'.repeat(20_000)

/** What a client gets without a cache. */
function uncached(text: string, modern: boolean, client: Client): JsonObject {
  const value = JSON.parse(text) as JsonObject
  const outcome = { kind: 'result', text, value, modern } as const
  return JSON.parse(resultFor(client, client.request.method, outcome, INFO)) as JsonObject
}

type Client = Parameters<CacheEntry['outcome']>[0]
const client = (modern: boolean, protocolVersion = '2025-11-25', method = 'tools/call'): Client => ({
  modern,
  protocolVersion: modern ? '2026-07-28' : protocolVersion,
  request: { method, params: undefined, progressToken: undefined },
})

function keptOf(text: string, modern: boolean, ttlMs?: number): CacheEntry {
  const entry = { text, modern, storedAt: 0, upstreamMs: 1, tags: [] }
  return new CacheEntry({
    key: 'k',
    server: 's',
    owner: 'o',
    entry,
    value: JSON.parse(text) as JsonObject,
    epoch: 0,
    ttlMs,
  })
}

function hit(kept: CacheEntry, to: Client, ageMs = 5): { text: string; body: string | Buffer } {
  const outcome = kept.outcome(to, INFO, ageMs, 'memory', false)
  if (outcome.kind !== 'cached') throw new Error(outcome.kind)
  return { text: (outcome.head ?? '') + outcome.text.toString(), body: outcome.text }
}

const TEXTS = [
  '{}',
  '{ }',
  '{"content":[]}',
  '{"content":[{"type":"text","text":"12345678901234567890 } , {"}],"structuredContent":{"n":12345678901234567890,"x":1.0}}',
  '{"_meta":{},"content":[]}',
  '{"_meta":{ },"content":[]}',
  '{"_meta":{"a":{"b":1}},"content":[]}',
  '{"content":[],"_meta":{"a":1.0}}',
  ' { "content" : [ ] , "_meta" : { "a" : 1 } }\n',
  '{"content":[{"type":"audio","data":"","mimeType":"a/b"}],"_meta":{"a":1}}',
  '{"content":[{"type":"resource_link","uri":"a://b","name":"b"}]}',
  `{"content":[{"type":"text","text":"${BIG}"}]}`,
  `{"content":[{"type":"text","text":"${BIG}"}],"_meta":{"a":1}}`,
]
const MODERN_TEXTS = [
  '{"resultType":"complete"}',
  '{"resultType":"complete","content":[],"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"}}}',
  '{"_meta":{"io.modelcontextprotocol/serverInfo":{"name":"x"},"a":1},"content":[],"resultType":"complete"}',
  '{"resultType":"complete","content":[],"structuredContent":[1]}',
  `{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{}},"content":[{"type":"text","text":"${BIG}"}]}`,
]

describe.each([
  ['legacy', false, TEXTS],
  ['modern', true, MODERN_TEXTS],
] as const)('a result of a %s server', (_, modern, texts) => {
  it.each(texts.map(text => [text.slice(0, 60), text]))('is what it would be, and marked: %s', (_, text) => {
    const kept = keptOf(text, modern)
    for (const to of [client(true), client(false), client(false, '2024-11-05'), client(true)]) {
      const { text: got } = hit(kept, to)
      const { _meta, ...rest } = JSON.parse(got) as JsonObject
      const { [MARK]: mark, ...others } = _meta as JsonObject
      const { _meta: meta = {}, ...expected } = uncached(text, modern, to)
      expect(rest).toEqual(expected)
      expect(others).toEqual(meta)
      expect(mark).toEqual({ hit: true, ageMs: 5, tier: 'memory', stale: false })
      // Nothing is written anew.
      for (const exact of ['12345678901234567890', '1.0'])
        expect(got.split(exact).length).toBe(text.split(exact).length)
    }
  })
})

it('is one body for all clients where only what goes before differs', () => {
  const kept = keptOf(TEXTS.at(-2) as string, false)
  const bodies = [client(true), client(false), client(false, '2025-06-18')].map(to => hit(kept, to).body)
  expect(bodies[0]).toBeInstanceOf(Buffer)
  expect(new Set(bodies).size).toBe(1)
})

it('says to modern clients for how long it still holds', () => {
  const text = '{"resultType":"complete","contents":[],"ttlMs":1000,"cacheScope":"public"}'
  const kept = keptOf(text, true, 1000)
  const of = (modern: boolean, ageMs: number): JsonObject =>
    JSON.parse(hit(kept, client(modern, '2025-11-25', 'resources/read'), ageMs).text) as JsonObject
  expect(of(true, 400)).toMatchObject({ ttlMs: 600, cacheScope: 'public', resultType: 'complete' })
  expect(of(true, 2400)).toMatchObject({ ttlMs: 0 })
  expect(Object.keys(of(false, 400)).sort()).toEqual(['_meta', 'contents'])
})
