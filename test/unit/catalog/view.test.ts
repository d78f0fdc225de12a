import { describe, expect, it } from 'vitest'
import { MAX_INSTRUCTIONS_CHARS } from '../../../src/catalog/instructions.ts'
import { fromStored, storing, type Entry, type ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import type { EndpointMember } from '../../../src/catalog/endpoint-catalog.ts'
import { merging } from '../../../src/catalog/merging.ts'
import { changedKinds } from '../../../src/catalog/changed-kinds.ts'
import { View, type ViewOptions } from '../../../src/catalog/view.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { atOnce } from '../../../src/core/slices.ts'
import type { Policy } from '../../../src/policy/policy.ts'
import { serverConfig } from '../../helpers/fake-transport.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

const toolEntry = (name: string): Entry => ({
  key: name,
  text: `{"name":"${name}","inputSchema":{"type":"object"}}`,
})
const resource = (uri: string): Entry => ({ key: uri, text: `{"uri":"${uri}","name":"r"}` })
const template = (uriTemplate: string): Entry => ({
  key: uriTemplate,
  text: `{"uriTemplate":"${uriTemplate}","name":"t"}`,
})

const member = (
  shown: ServerSnapshot | string,
  changes: Parameters<typeof serverConfig>[0] = {},
): EndpointMember => {
  const name = typeof shown === 'string' ? shown : shown.server
  const server = serverConfig({ name, prefix: name, ...changes })
  return { server, prefix: server.prefix, snapshot: typeof shown === 'string' ? undefined : shown }
}

const viewOf = (
  members: readonly EndpointMember[],
  pageSize = 1000,
  changes: Partial<ViewOptions> = {},
): View =>
  atOnce(
    View.making({
      name: '',
      merged: atOnce(merging({ members, maxNameLength: 48, logger: SILENT })),
      policy: undefined,
      pageSize,
      ttlMs: 0,
      personal: false,
      serverInfo: '{"name":"gateway"}',
      ...changes,
    }),
  )

/** The result of a list method. */
const listOf = (view: View, ...asked: Parameters<View['listing']>): Buffer => atOnce(view.listing(...asked))

describe('capabilities', () => {
  it('are the union of what the servers can do', () => {
    const members = [
      member(snapshotOf('a', { capabilities: { tools: {}, logging: {} } })),
      member(snapshotOf('b', { capabilities: { resources: { subscribe: true }, completions: {} } })),
    ]
    expect(viewOf(members).capabilities('2025-11-25')).toEqual({
      tools: { listChanged: true },
      resources: { subscribe: true, listChanged: true },
      completions: {},
      logging: {},
    })
    expect(viewOf(members.slice(0, 1)).capabilities('2025-11-25')).toEqual({
      tools: { listChanged: true },
      logging: {},
    })
  })

  it('have tasks for the one revision that has them, where a server of that revision runs tools so', () => {
    const tasks = { requests: { tools: { call: {} } } }
    const runs = viewOf([member(snapshotOf('a', { capabilities: { tools: {}, tasks } }))])
    expect(runs.capabilities('2025-11-25').tasks).toEqual({ list: {}, cancel: {}, ...tasks })
    expect(runs.capabilities('2025-06-18').tasks).toBeUndefined()
    expect(runs.capabilities('2026-07-28').tasks).toBeUndefined()
    const lists = viewOf([member(snapshotOf('a', { capabilities: { tools: {}, tasks: { list: {} } } }))])
    expect(lists.capabilities('2025-11-25').tasks).toBeUndefined()
    expect(viewOf([member('b')]).capabilities('2025-11-25').tasks).toBeDefined()
  })

  it('are all of them while a server is not known', () => {
    const view = viewOf([member(snapshotOf('a')), member('b')])
    expect(view.missing).toEqual(['b'])
    expect(Object.keys(view.capabilities('2025-06-18')).sort()).toEqual([
      'completions',
      'logging',
      'prompts',
      'resources',
      'tools',
    ])
  })
})

describe('instructions', () => {
  it('of one server alone are its own', () => {
    expect(viewOf([member(snapshotOf('a', { instructions: 'Say please.' }))]).instructions).toBe(
      'Say please.',
    )
  })

  it.each([2, 10, 100])('of %i servers are a digest of less than two kilobytes', count => {
    const long = 'This server does many things. It does them well, and at length. '.repeat(100)
    const snapshots = Array.from({ length: count }, (_, n) =>
      snapshotOf(`server-${n}`, { instructions: long }),
    )
    const text = viewOf(snapshots.map(shown => member(shown))).instructions ?? ''
    expect(text.length).toBeLessThanOrEqual(MAX_INSTRUCTIONS_CHARS)
    expect(Buffer.byteLength(text)).toBeLessThan(2048)
    expect(text).toContain('- server-0: This server does many things.')
    expect(text).toContain('- server-1: This server')
  })

  it('of servers that say little leave the room to those that say much', () => {
    const sentences = Array.from({ length: 200 }, (_, n) => `Sentence ${n}.`).join(' ')
    const snapshots = ['a', 'b', 'c'].map(name =>
      snapshotOf(name, { instructions: name === 'b' ? sentences : `Short ${name}.` }),
    )
    const text = viewOf(snapshots.map(shown => member(shown))).instructions ?? ''
    expect(text.length).toBeLessThanOrEqual(MAX_INSTRUCTIONS_CHARS)
    expect(text.length).toBeGreaterThan(MAX_INSTRUCTIONS_CHARS - 100)
    expect(text).toMatch(/- a: Short a\.\n- b: Sentence 0\. .*\n- c: Short c\.$/)
  })

  it('say how many tools there are where a server says nothing', () => {
    const snapshots = [snapshotOf('a', { lists: { tools: [toolEntry('x')] } }), snapshotOf('b')]
    const view = viewOf(snapshots.map((shown, at) => member(shown, { prefix: at === 0 ? 'p' : false })))
    expect(view.instructions).toMatch(/\n- p: 1 tools\n- b: 0 tools$/)
  })
})

describe('routes', () => {
  it('of resources: listed, then by template, then by scheme, else the only server', () => {
    const a = member(
      snapshotOf('a', {
        lists: { resources: [resource('x://1')], resourceTemplates: [template('x://item/{id}')] },
      }),
    )
    const b = member(
      snapshotOf('b', {
        lists: { resources: [resource('x://1')], resourceTemplates: [template('x://item/{id}')] },
      }),
      { uriSchemes: ['own'] },
    )
    const view = viewOf([a, b])
    expect(view.listed('x://1')).toMatchObject({ server: 'a', own: 'x://1' })
    expect(view.listed('b+x://1')).toMatchObject({ server: 'b', own: 'x://1' })
    expect(view.unlisted('x://item/7')).toMatchObject({ server: 'a', own: 'x://item/7' })
    expect(view.unlisted('b+x://item/7')).toMatchObject({ server: 'b', own: 'x://item/7' })
    expect(view.unlisted('own://anything')).toMatchObject({ server: 'b', own: 'own://anything' })
    expect(view.unlisted('y://1')).toBeUndefined()
    expect(viewOf([a]).unlisted('y://1')).toMatchObject({ server: 'a' })
    expect(view.uriMap('a')).toBeUndefined()
    expect(view.uriMap('b')?.('x://1')).toBe('b+x://1')
    expect(view.uriMap('b')?.('x://2')).toBe('x://2')
  })

  it('survive a template that cannot be parsed', () => {
    const view = viewOf([
      member(snapshotOf('a', { lists: { resourceTemplates: [template('x://{'), template('y://{id}')] } })),
      member(snapshotOf('b')),
    ])
    expect(view.count('resourceTemplates')).toBe(2)
    expect(view.unlisted('y://1')).toMatchObject({ server: 'a' })
  })

  it('lead the names of two servers apart, whatever they are called', () => {
    const view = viewOf([
      member(snapshotOf('a', { lists: { tools: [toolEntry('b__x')] } }), { prefix: false }),
      member(snapshotOf('b', { lists: { tools: [toolEntry('x')] } })),
    ])
    const [first, second] = view.entries('tools').map(({ route }) => route)
    expect(first).toMatchObject({
      server: 'a',
      own: 'b__x',
      exposed: expect.stringMatching(/^a__b__x_[0-9a-f]{6}$/),
    })
    expect(second).toMatchObject({ server: 'b', own: 'x', exposed: 'b__x' })
  })
})

describe('lists', () => {
  it('change their signature exactly when clients see something else', () => {
    const one = viewOf([member(snapshotOf('a', { lists: { tools: [toolEntry('x')] } }))])
    const same = viewOf([member(snapshotOf('a', { fetchedAt: 99, lists: { tools: [toolEntry('x')] } }))])
    const more = viewOf([member(snapshotOf('a', { lists: { tools: [toolEntry('x'), toolEntry('y')] } }))])
    expect(changedKinds(one, same)).toEqual([])
    expect(changedKinds(one, more)).toEqual(['tools'])
  })

  it('leave out for an era what it does not know', () => {
    const text =
      '{"name":"x","inputSchema":{"type":"object"},"outputSchema":{"type":"array"},"execution":{"taskSupport":"optional"}}'
    const lists = { tools: [{ key: 'x', text }] }
    const shown = (era: 'legacy' | 'modern', modern: boolean): string =>
      listOf(
        viewOf([member(snapshotOf('a', { era, lists }))]),
        'tools',
        modern ? '2026-07-28' : '2025-11-25',
        undefined,
      ).toString()
    expect(shown('legacy', false)).toContain('"execution"')
    expect(shown('legacy', true)).not.toContain('"execution"')
    expect(shown('modern', false)).not.toContain('"outputSchema"')
    expect(shown('modern', true)).toContain('"outputSchema"')
  })

  it('are one buffer for all revisions that read the same, and another where one would not', () => {
    const icon = '"icons":[{"src":"x","sizes":["48x48"],"theme":"dark"}, {"src":"y"}]'
    const plain = { key: 'p', text: '{"name":"p"}' }
    const adorned = { key: 'x', text: `{"name":"x","inputSchema":{"type":"object"},${icon}}` }
    const view = viewOf([member(snapshotOf('a', { lists: { tools: [adorned], prompts: [plain] } }))])
    const newest = listOf(view, 'tools', '2025-11-25', undefined)
    for (const revision of ['2024-10-07', '2024-11-05', '2025-03-26'])
      expect(listOf(view, 'tools', revision, undefined)).toBe(newest)
    expect(newest.toString()).toContain(icon)
    const older = listOf(view, 'tools', '2025-06-18', undefined)
    expect(older.toString()).toContain('"icons":[{"src":"x","theme":"dark"}, {"src":"y"}]')
    expect(listOf(view, 'tools', '2025-06-18', undefined)).toBe(older)
    expect(listOf(view, 'prompts', '2025-06-18', undefined)).toBe(
      listOf(view, 'prompts', '2025-11-25', undefined),
    )
  })
})

describe('stored snapshots', () => {
  it('come back as they were, with every byte of the definitions', () => {
    const kept = snapshotOf('a', {
      lists: { tools: [{ key: 'x', text: '{"name":"x","n":1.0,"é":"\\u00e9"}' }] },
    })
    expect(fromStored(atOnce(storing(kept)))).toEqual(kept)
  })

  it.each([
    { what: 'another layout', text: atOnce(storing(snapshotOf('a'))).replace('"layout":2', '"layout":0') },
    { what: 'half a text', text: atOnce(storing(snapshotOf('a'))).slice(0, 50) },
    { what: 'something else', text: 'null' },
  ])('of $what are not used', ({ text }) => {
    expect(fromStored(text)).toBeUndefined()
  })
})

describe('time to live and scope of a list', () => {
  const minute = { ttlMs: 60_000, scope: 'public' } as const
  const second = { ttlMs: 1000, scope: 'public' } as const
  const of = (name: string, caching: ServerSnapshot['caching']): EndpointMember =>
    member(snapshotOf(name, { era: 'modern', caching }))
  const tools = (members: readonly EndpointMember[], changes: Partial<ViewOptions> = {}): unknown =>
    viewOf(members, 1000, changes).caching('tools')

  it('is what all of its servers agree to', () => {
    const [a, b] = [of('a', { tools: minute, discover: second }), of('b', { tools: second })]
    expect(tools([a])).toEqual(minute)
    expect(tools([a, b])).toEqual(second)
    expect(viewOf([a, b]).caching('discover')).toEqual({ ttlMs: 0, scope: 'public' })
    // Without prompts of its own, a server has no say.
    expect(viewOf([a], 1, { ttlMs: 7 }).caching('prompts')).toEqual({ ttlMs: 7, scope: 'public' })
  })

  it('is not known when one does not say it, unless the configuration does', () => {
    const members = [of('a', { tools: minute }), member(snapshotOf('old'))]
    expect(tools(members)).toEqual({ ttlMs: 0, scope: 'public' })
    expect(tools(members, { ttlMs: 5000 })).toEqual({ ttlMs: 5000, scope: 'public' })
    // Nothing is longer than a server says, and one that was never listed may be there any moment.
    expect(tools([of('a', { tools: second })], { ttlMs: 5000 })).toEqual(second)
    expect(tools([of('a', { tools: minute }), member('new')], { ttlMs: 5000 })).toMatchObject({ ttlMs: 0 })
  })

  it('is for one alone when one server says so, or callers differ', () => {
    const own = { ttlMs: 60_000, scope: 'private' } as const
    expect(tools([of('a', { tools: minute }), of('b', { tools: own })])).toEqual(own)
    expect(tools([of('a', { tools: minute })], { personal: true })).toEqual(own)
  })

  it('stands on every page', () => {
    const entries = ['x', 'y', 'z'].map(key => ({
      key,
      text: `{"name":"${key}","inputSchema":{"type":"object"}}`,
    }))
    const view = viewOf(
      [member(snapshotOf('a', { caching: { tools: minute }, lists: { tools: entries } }))],
      2,
    )
    const first = JSON.parse(listOf(view, 'tools', '2026-07-28', undefined).toString()) as {
      nextCursor: string
    }
    const second = JSON.parse(listOf(view, 'tools', '2026-07-28', first.nextCursor).toString()) as object
    for (const page of [first, second]) expect(page).toMatchObject({ ttlMs: 60_000, cacheScope: 'public' })
    expect(listOf(view, 'tools', '2025-11-25', undefined).toString()).not.toContain('ttlMs')
  })
})

describe('a page', () => {
  const names = Array.from({ length: 7 }, (_, at) => `t${at}`)
  const members = [member(snapshotOf('a', { lists: { tools: names.map(toolEntry) } }))]

  it('costs no text of an entry on another page', () => {
    const view = viewOf(members, 3)
    for (const entry of view.merged.lists.tools.slice(3))
      Object.defineProperty(entry, 'legacy', {
        get() {
          throw new Error(`${entry.name} is on another page`)
        },
      })
    expect(listOf(view, 'tools', '2025-11-25', undefined).toString()).toContain('"nextCursor"')
  })

  it('begins after what the pages before it show, where some entries are hidden', () => {
    const policy = {
      unrestricted: false,
      maySee: () => true,
      decideMany:
        () =>
        ({ name }: { readonly name: string }) => ({
          verdict: ['t0', 't3', 't4'].includes(name) ? 'deny' : 'allow',
          rule: 'r',
          shadowed: undefined,
        }),
    } as unknown as Policy
    const view = viewOf(members, 2, { policy })
    const pages: string[][] = []
    for (let cursor: string | undefined, more = true; more; more = cursor !== undefined) {
      const page = JSON.parse(listOf(view, 'tools', '2025-11-25', cursor).toString()) as {
        tools: { name: string }[]
        nextCursor?: string
      }
      pages.push(page.tools.map(({ name }) => name))
      cursor = page.nextCursor
    }
    expect(pages).toEqual([
      ['a__t1', 'a__t2'],
      ['a__t5', 'a__t6'],
    ])
  })
})
