import { describe, expect, it, onTestFinished } from 'vitest'
import { WHOLE } from '../../../src/catalog/view-names.ts'
import type { View } from '../../../src/catalog/view.ts'
import { Views } from '../../../src/catalog/views.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal } from '../../../src/core/principal.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'
import { snapshotOf } from '../../helpers/snapshot.ts'

/** Which views of a former configuration serve on in another one. */

const snapshotWith = (name: string, keys: readonly string[], more = '') =>
  snapshotOf(name, {
    lists: {
      tools: keys.map(key => ({ key, text: `{"name":"${key}","inputSchema":{"type":"object"}${more}}` })),
    },
  })

const SNAPSHOTS = new Map(['a', 'b'].map(name => [name, snapshotWith(name, ['x', 'y', 'z'])]))

const FILE = {
  mcpServers: { a: { command: 'a' }, b: { command: 'b' } },
  clients: { ci: { rules: [{ effect: 'deny', match: ['a/x'] }] } },
  profiles: { p: { servers: ['a'] }, q: { servers: ['b'] } },
}

async function viewsOf(file: object) {
  const config = await configFrom({ gateway: { state: 'memory' }, ...file }, { env: {} })
  const policies = await compilePolicies(config, SILENT)
  const told: string[] = []
  const views = new Views({
    config,
    serverInfo: '{}',
    logger: SILENT,
    snapshot: server => SNAPSHOTS.get(server),
    variants: () => [],
    policy: key => policies.byKey(key),
    watched: () => told,
    onChange: name => void told.push(name),
  })
  return {
    views,
    own: (endpoint: string) => views.of(endpoint, policies.of(clientPrincipal('ci'))) as string,
  }
}

async function former() {
  const made = await viewsOf(FILE)
  for (const endpoint of [WHOLE, 'p', 'q', 'a']) {
    made.views.view(endpoint)
    made.views.view(made.own(endpoint))
  }
  return made
}

const same = async (changed: object, endpoint: string, samePolicies = true): Promise<[boolean, boolean]> => {
  const before = await former()
  const after = await viewsOf({ ...FILE, ...changed })
  await after.views.adopt(before.views, samePolicies)
  return [
    after.views.view(endpoint) === before.views.view(endpoint),
    after.views.view(after.own(endpoint)) === before.views.view(before.own(endpoint)),
  ]
}

describe('views that are taken over', () => {
  it('are all of them where nothing differs that they show', async () => {
    for (const endpoint of [WHOLE, 'p', 'q', 'a'])
      expect(await same({ gateway: { state: 'memory', log: 'debug' } }, endpoint)).toEqual([true, true])
  })

  it('are those of everything alone where rules differ', async () => {
    const clients = { ci: { rules: [{ effect: 'deny', match: ['b/*'] }] } }
    for (const endpoint of [WHOLE, 'p'])
      expect(await same({ clients }, endpoint, false)).toEqual([true, false])
  })

  it.each([
    ['a prefix', { mcpServers: { a: { command: 'a', prefix: 'other' }, b: { command: 'b' } } }],
    [
      'a hidden tool',
      { mcpServers: { a: { command: 'a', tools: { y: { hidden: true } } }, b: { command: 'b' } } },
    ],
  ])('are those without the server whose %s differs', async (_, changed) => {
    expect(await same(changed, WHOLE)).toEqual([false, false])
    expect(await same(changed, 'p')).toEqual([false, false])
    expect(await same(changed, 'q')).toEqual([true, true])
  })

  it('are those of other profiles where one differs', async () => {
    const profiles = { p: { servers: ['a', 'b'] }, q: { servers: ['b'] } }
    expect(await same({ profiles }, 'p')).toEqual([false, false])
    expect(await same({ profiles }, 'q')).toEqual([true, true])
    expect(await same({ profiles }, WHOLE)).toEqual([true, true])
  })

  it('are not those of an endpoint that is gone', async () => {
    const before = await former()
    const after = await viewsOf({ mcpServers: { b: { command: 'b' } }, clients: { ci: {} } })
    await after.views.adopt(before.views, true)
    for (const endpoint of ['p', 'q', 'a']) expect(after.views.view(endpoint)).toBeUndefined()
    expect(after.views.view(WHOLE)?.servers.has('a')).toBe(false)
  })

  it('leave the former ones as they were, for the requests that began with them', async () => {
    const before = await former()
    const view = before.views.view(WHOLE)
    const after = await viewsOf({ mcpServers: { b: { command: 'b' } }, clients: { ci: {} } })
    await after.views.adopt(before.views, false)
    before.views.supersede()
    expect(before.views.view(WHOLE)).toBe(view)
    expect(view?.tool('a__x')).toBeDefined()
    expect(before.views.view(before.own(WHOLE))?.tool('a__x')).toBeUndefined()
    expect(before.views.view(before.own(WHOLE))?.tool('a__y')).toBeDefined()
  })

  it('share one bound for cached lists with the views of the new configuration', async () => {
    // More than half of the bound.
    SNAPSHOTS.set('large', snapshotWith('large', ['x'], `,"description":"${'d'.repeat(40 * 1024 * 1024)}"`))
    onTestFinished(() => void SNAPSHOTS.delete('large'))
    const mcpServers = { ...FILE.mcpServers, large: { command: 'large' } }
    const before = await viewsOf({ ...FILE, mcpServers, profiles: { r: { servers: ['large'] } } })
    const kept = before.views.view(before.own('r')) as View
    await before.views.list(kept, 'tools', '2025-11-25', undefined)
    const profiles = { r: { servers: ['large'] }, s: { servers: ['large'] } }
    const after = await viewsOf({ ...FILE, mcpServers, profiles })
    await after.views.adopt(before.views, true)
    expect(after.views.view(after.own('r'))).toBe(kept)
    const isKept = () => kept.kept('tools', '2025-11-25', undefined) !== undefined
    expect(isKept()).toBe(true)
    await after.views.list(after.views.view(after.own('s')) as View, 'tools', '2025-11-25', undefined)
    expect(isKept()).toBe(false)
  })
})
