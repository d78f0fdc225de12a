import { expect, it } from 'vitest'
import type { ServerSnapshot } from '../../../src/catalog/snapshot.ts'
import { WHOLE } from '../../../src/catalog/view-names.ts'
import { Views } from '../../../src/catalog/views.ts'
import { configFrom } from '../../../src/config/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { clientPrincipal, LOCAL, type Principal } from '../../../src/core/principal.ts'
import { compilePolicies } from '../../../src/policy/policies.ts'

const toolEntry = (key: string) => ({ key, text: `{"name":"${key}","inputSchema":{"type":"object"}}` })

async function make(clients: object) {
  const config = await configFrom(
    {
      mcpServers: { a: { command: 'a' }, b: { command: 'b' } },
      clients,
      roles: { r: { rules: [{ effect: 'deny', match: ['a/*'], when: 'principal.name == tool.name' }] } },
      gateway: { state: 'memory' },
    },
    { env: {} },
  )
  const policies = await compilePolicies(config, SILENT)
  const snapshots = new Map<string, ServerSnapshot>()
  const set = (server: string, names: readonly string[]): void =>
    void snapshots.set(server, {
      server,
      fetchedAt: 1,
      era: 'legacy',
      spoken: {},
      eraAt: 1,
      transport: 'stdio',
      protocolVersion: '2025-11-25',
      capabilities: { tools: {} },
      instructions: `This is ${server}.`,
      caching: {},
      lists: { tools: names.map(toolEntry), resources: [], resourceTemplates: [], prompts: [] },
    })
  const watched: string[] = []
  const changed: string[] = []
  const views = new Views({
    config,
    serverInfo: '{}',
    logger: SILENT,
    snapshot: server => snapshots.get(server),
    policy: key => policies.byKey(key),
    watched: () => watched,
    onChange: name => void changed.push(name),
  })
  const of = (principal: Principal): string => views.of(WHOLE, policies.of(principal)) as string
  return { views, policies, set, watched, changed, of }
}

const user = (name: string): Principal => ({ ...clientPrincipal('u'), id: `user:i ${name}`, name })

it('a view that was dropped is found again by its name, and what changes in it is still told', async () => {
  const { views, set, watched, changed, of } = await make({ u: { roles: ['r'] } })
  set('a', ['x', 'y'])
  set('b', ['z'])
  const [x, y] = [of(user('x')), of(user('y'))]
  watched.push(WHOLE, x, y)
  const before = views.view(x)
  for (let n = 0; n < 2500; n++) views.view(of(user(`u${n}`)))
  expect(views.view(x)).not.toBe(before)
  expect(
    views
      .view(x)
      ?.entries('tools')
      .map(({ name }) => name),
  ).toEqual(['y', 'z'])
  expect(
    views
      .view(y)
      ?.entries('tools')
      .map(({ name }) => name),
  ).toEqual(['x', 'z'])
  // Only x does not see x, so only x sees no difference.
  set('a', ['y'])
  await views.rebuild()
  // Again before anybody has looked: what counts is what clients know.
  await views.rebuild()
  // In the order of those who watch: when y has been told, x was compared.
  while (!changed.includes(y)) await new Promise(resolve => setImmediate(resolve))
  expect(changed).toEqual([WHOLE, y])
  views.close()
})

it('of equal rules are one, and without rules they are the one of the endpoint', async () => {
  const { views, policies, set, of } = await make({ c: { deny: ['b/*'] }, d: {}, e: { default: 'deny' } })
  set('a', ['x'])
  set('b', ['z'])
  expect(of(clientPrincipal('d'))).toBe(WHOLE)
  expect(of(LOCAL)).toBe(WHOLE)
  expect(views.view(of(clientPrincipal('c')))).toBe(views.view(of({ ...clientPrincipal('c') })))
  expect(views.view(of(clientPrincipal('c')))?.instructions).toBe('This is a.')
  expect(views.of('b', policies.of(clientPrincipal('c')))).toBeUndefined()
  expect(views.of('nothing', policies.of(clientPrincipal('d')))).toBeUndefined()
  // Everybody has the endpoint for all, be it empty.
  expect(views.view(of(clientPrincipal('e')))?.count('tools')).toBe(0)
})

it('what is denied has a reason, for the record', async () => {
  const { views, set, of } = await make({ c: { deny: ['b/*'] } })
  set('a', ['x'])
  set('b', ['z'])
  const view = views.view(of(clientPrincipal('c')))
  expect(view?.tool('b__z')).toBeUndefined()
  expect(view?.decisionOn('tools', 'b__z')).toMatchObject({ verdict: 'deny', rule: 'clients.c.deny' })
  expect(view?.decisionOn('tools', 'z')).toMatchObject({ verdict: 'deny' })
  expect(view?.decisionOn('tools', 'a__x')).toMatchObject({ verdict: 'allow', rule: 'default' })
  expect(view?.decisionOn('tools', 'nothing')).toBeUndefined()
})

it('names servers that were never listed only where something of them may be seen', async () => {
  const { views, set, of } = await make({
    c: { deny: ['b/*'] },
    d: { allow: ['tool:a/*'] },
    e: { deny: ['b/x'] },
  })
  set('a', ['x'])
  expect(views.view(of(clientPrincipal('c')))?.missing).toEqual([])
  expect(views.view(of(clientPrincipal('d')))?.missing).toEqual([])
  expect(views.view(of(clientPrincipal('e')))?.missing).toEqual(['b'])
})
