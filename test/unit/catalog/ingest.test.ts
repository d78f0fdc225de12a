import { expect, it } from 'vitest'
import {
  fetchLists,
  MAX_DEFINITION_CHARS,
  MAX_ENTRIES,
  MAX_PAGES,
  type Known,
  type Lister,
} from '../../../src/catalog/ingest.ts'
import type { JsonObject } from '../../../src/core/exchange.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { textsOf } from '../../../src/core/uri-readings.ts'

const ALL = { tools: {}, resources: {}, prompts: {} }

function lister(
  answer: (method: string, cursor: string | undefined) => string,
  capabilities: JsonObject = ALL,
): Lister & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    peer: { era: 'legacy', capabilities },
    request: async (method, params) => {
      asked.push(method)
      const { cursor } = JSON.parse(params ?? '{}') as { cursor?: string }
      const text = answer(method, cursor)
      return { text, value: JSON.parse(text) as JsonObject }
    },
  }
}

const empty = (method: string): string => {
  const kind = {
    'tools/list': 'tools',
    'resources/list': 'resources',
    'resources/templates/list': 'resourceTemplates',
    'prompts/list': 'prompts',
  }[method]
  return `{"${kind}":[]}`
}
const fetchKnown = (from: Lister, previous?: Known): Promise<Known> =>
  fetchLists(from, 1000, previous, SILENT)
const fetchAll = async (from: Lister, lists?: Known['lists']): Promise<Known['lists']> =>
  (await fetchKnown(from, lists && { lists, caching: {} })).lists
const tool = (name: string): string => `{"name":"${name}","inputSchema":{"type":"object"}}`

it('asks only for what the server says it has', async () => {
  const from = lister(empty, { prompts: {} })
  await fetchAll(from)
  expect(from.asked).toEqual(['prompts/list'])
})

it('keeps every definition as its server wrote it', async () => {
  const text = '{"inputSchema":{"type":"object","x":1.0},"name":"a","2":1,"1":2}'
  const lists = await fetchAll(
    lister(method => (method === 'tools/list' ? `{"tools":[ ${text} ]}` : empty(method))),
  )
  expect(lists.tools).toEqual([{ key: 'a', text }])
})

it('keeps what is known of a list that fails, and takes the others', async () => {
  const known = [{ key: 'old', text: tool('old') }]
  const from = lister(method => {
    if (method === 'tools/list') throw new Error('broken')
    return method === 'prompts/list' ? '{"prompts":[{"name":"p"}]}' : empty(method)
  })
  const lists = await fetchAll(from, { tools: known, resources: [], resourceTemplates: [], prompts: [] })
  expect(lists.tools).toBe(known)
  expect(lists.prompts).toEqual([{ key: 'p', text: '{"name":"p"}' }])
})

it('fails when every list does', async () => {
  const from = lister(() => {
    throw new Error('broken')
  })
  await expect(fetchAll(from)).rejects.toThrow('broken')
  await expect(fetchAll(lister(() => '{}'))).rejects.toThrow(/no array/)
})

it('takes "method not found" for an empty list', async () => {
  const from = lister(method => {
    if (method !== 'resources/templates/list') return empty(method)
    throw Object.assign(new Error('Method not found'), { rpcCode: -32601 })
  })
  expect((await fetchAll(from)).resourceTemplates).toEqual([])
})

it.each([
  { what: 'always the same cursor', next: () => 'x', pages: 2 },
  {
    what: 'ever new cursors',
    next: (cursor: string | undefined) => String(Number(cursor ?? 0) + 1),
    pages: MAX_PAGES,
  },
])('a list that does not end is cut off: $what', async ({ next, pages }) => {
  const from = lister(
    (_, cursor) => `{"tools":[${tool(`t${cursor ?? 0}`)}],"nextCursor":${JSON.stringify(next(cursor))}}`,
    { tools: {} },
  )
  expect((await fetchAll(from)).tools).toHaveLength(pages)
  expect(from.asked).toHaveLength(pages)
})

it('takes the time to live and the scope of a list from all of its pages', async () => {
  const pages: Record<string, string> = {
    'tools/list': '{"tools":[],"ttlMs":5000,"cacheScope":"public","nextCursor":"2"}',
    'tools/list 2': '{"tools":[],"ttlMs":3000,"cacheScope":"private"}',
    'resources/list': '{"resources":[],"ttlMs":-1,"cacheScope":"public"}',
    'resources/templates/list': '{"resourceTemplates":[],"ttlMs":"1h"}',
    'prompts/list': '{"prompts":[]}',
  }
  const from = lister((method, cursor) => pages[cursor === undefined ? method : `${method} ${cursor}`] ?? '')
  const modern: Lister = { ...from, peer: { ...from.peer, era: 'modern' } }
  const { caching } = await fetchKnown(modern)
  expect(caching).toEqual({
    tools: { ttlMs: 3000, scope: 'private' },
    resources: { ttlMs: 0, scope: 'public' },
    resourceTemplates: { ttlMs: 0, scope: 'private' },
  })
  // To a server of another era the words mean nothing.
  expect((await fetchKnown(from)).caching).toEqual({})
  // A list that fails keeps what was said of it.
  const broken: Lister = {
    ...modern,
    request: async (method, ...rest) => {
      if (method === 'tools/list') throw new Error('broken')
      return await from.request(method, ...rest)
    },
  }
  const previous = { lists: { tools: [], resources: [], resourceTemplates: [], prompts: [] }, caching }
  expect((await fetchKnown(broken, previous)).caching).toEqual(caching)
})

it.each([
  { what: 'entries of one page', page: Array.from({ length: MAX_ENTRIES + 1 }, (_, n) => tool(`t${n}`)) },
  {
    what: 'characters',
    page: Array.from({ length: 11 }, (_, n) => tool(`t${n}","x":"${'y'.repeat(800_000)}`)),
  },
])('takes no more $what than the bound and asks for no further page', async ({ page }) => {
  const from = lister(
    (method, cursor) =>
      method === 'tools/list' ? `{"tools":[${page.join(',')}],"nextCursor":"${cursor}x"}` : empty(method),
    { tools: {} },
  )
  const { tools } = await fetchAll(from)
  expect(tools.length).toBe(page.length - 1)
  expect(from.asked).toEqual(['tools/list'])
})

it('leaves out a definition that is nested too deeply or too long, and takes the others', async () => {
  const deep = `{"name":"deep","inputSchema":{"type":"object","x":${'['.repeat(5000)}${']'.repeat(5000)}}}`
  const long = `{"name":"long","description":"${'x'.repeat(MAX_DEFINITION_CHARS)}","inputSchema":{"type":"object"}}`
  const from = lister(() => `{"tools":[${deep},${tool('a')},${long},${tool('b')}]}`, { tools: {} })
  expect((await fetchAll(from)).tools.map(({ key }) => key)).toEqual(['a', 'b'])
})

it('templates with more than 32 variables or of more than 8 KB are left out, with the reason', async () => {
  const warned: unknown[] = []
  const texts = [
    'x:' + '{a}/'.repeat(32),
    'x:' + '{a}/'.repeat(33),
    `x:{?${Array.from({ length: 33 }, (_, at) => `a${at}`).join(',')}}`,
    'x:' + 'a'.repeat(8191),
  ]
  const entries = texts.map(uriTemplate => JSON.stringify({ uriTemplate, name: 't' })).join(',')
  const { lists } = await fetchLists(
    lister(method =>
      method === 'resources/templates/list' ? `{"resourceTemplates":[${entries}]}` : empty(method),
    ),
    1000,
    undefined,
    { ...SILENT, warn: (message, fields) => warned.push({ message, ...fields }) },
  )
  expect(lists.resourceTemplates.map(({ key }) => key)).toEqual([texts[0]])
  const reasons = [
    'it has 33 variables; at most 32',
    'it has 33 variables; at most 32',
    '8193 characters; at most 8192',
  ]
  expect(warned).toEqual(
    reasons.map((reason, at) => ({
      message: 'A definition is left out: clients would reject it, or it exceeds a bound.',
      list: 'resourceTemplates',
      reason: expect.stringContaining(reason),
      start: expect.stringContaining((texts[at + 1] as string).slice(0, 40)),
    })),
  )
})

it('resources whose URIs have too many readings are left out, and after a bound no further one is read', async () => {
  const warned: unknown[] = []
  const costly = (at: number): string => `db://u@[h]:1/${'%ff/'.repeat(2030)} .\\;?#${at}`
  const uris = ['x:first', ...Array.from({ length: 200 }, (_, at) => costly(at)), 'x:last']
  const entries = uris.map(uri => JSON.stringify({ uri, name: 'r' })).join(',')
  const { lists, incomplete } = await fetchLists(
    lister(method => (method === 'resources/list' ? `{"resources":[${entries}]}` : empty(method))),
    1000,
    undefined,
    { ...SILENT, warn: (message, fields) => warned.push({ message, ...fields }) },
  )
  expect(lists.resources.map(({ key }) => key)).toEqual(['x:first'])
  expect(incomplete).toEqual(['resources'])
  expect(warned[0]).toMatchObject({ reason: expect.stringContaining('can be read in too many ways') })
  expect(warned).toContainEqual(
    expect.objectContaining({
      message: 'The list is longer than what is taken of one; the rest is left out.',
      exceeded: 'more than 16777216 characters in all that its URIs can be read as',
    }),
  )
  // Ten are named, the sum of the others is told, and the bound.
  expect(warned).toHaveLength(12)
})

it('of resources whose URIs mean much text together, those beyond 16 MiB of it are left out', async () => {
  const uris = Array.from({ length: 3000 }, (_, at) => `http://h/${'a'.repeat(1500)}${at}?q=1;p#f`)
  const entries = uris.map(uri => JSON.stringify({ uri, name: 'r' })).join(',')
  const lists = await fetchAll(
    lister(method => (method === 'resources/list' ? `{"resources":[${entries}]}` : empty(method))),
  )
  expect(lists.resources.length).toBeGreaterThan(100)
  expect(lists.resources.length).toBeLessThan(3000)
  const texts = lists.resources.flatMap(({ key }) => textsOf(key))
  const chars = texts.reduce((sum, text) => sum + text.length, 0)
  expect(chars).toBeLessThan(16_777_216 + 100_000)
})
