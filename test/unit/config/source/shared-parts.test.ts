import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { withSharedParts } from '../../../../src/config/source/shared-parts.ts'
import type { Config } from '../../../../src/config/types.ts'

const FILE = {
  mcpServers: {
    a: { url: 'https://a.example', headers: { 'X-Key': 'k' }, tools: { t: { retry: true } } },
    b: { command: 'b', args: ['one', 'two'], env: { constructor: 'x' } },
  },
  clients: {
    ci: { keys: [`sha256:${'0'.repeat(64)}`], deny: ['a/x'] },
    cd: { keys: [`sha256:${'1'.repeat(64)}`], roles: ['r'] },
  },
  roles: { r: { allow: ['b/*'] } },
  profiles: { p: { servers: ['a'] } },
  gateway: { policy: { deny: ['a/y'] }, state: 'memory', log: 'info' },
}

const configOf = (file: object): Promise<Config> =>
  configFrom(file, { env: {}, cwd: '/somewhere', home: '/' })

test('of two equal configurations every part is one object', async () => {
  const running = await configOf(FILE)
  const next = await withSharedParts(running, structuredClone(await configOf(FILE)))
  for (const key of ['servers', 'clients', 'roles', 'profiles', 'gateway'] as const)
    expect(next[key]).toBe(running[key])
})

test('a changed entry has its new values, and the objects of all members that are equal', async () => {
  const running = await configOf(FILE)
  const file = structuredClone(FILE)
  file.clients.ci.deny = ['a/z']
  file.mcpServers.b.args = ['one', 'three']
  const changed = await configOf(file)
  const next = await withSharedParts(running, structuredClone(changed))
  expect(next).toEqual(changed)
  expect(next.servers[0]).toBe(running.servers[0])
  expect(next.servers[1]).not.toBe(running.servers[1])
  expect(next.servers[1]?.replicas).not.toBe(running.servers[1]?.replicas)
  expect(next.clients[0]).not.toBe(running.clients[0])
  expect(next.clients[0]?.keys).toBe(running.clients[0]?.keys)
  expect(next.clients[1]).toBe(running.clients[1])
  expect(next.gateway).toBe(running.gateway)
})

test('entries are found by their names, and another order makes another list', async () => {
  const running = await configOf(FILE)
  const { a, b } = FILE.mcpServers
  const next = await withSharedParts(running, await configOf({ ...FILE, mcpServers: { c: a, b, a } }))
  expect(next.servers.map(({ name }) => name)).toEqual(['c', 'b', 'a'])
  expect(next.servers).not.toBe(running.servers)
  expect(next.servers[1]).toBe(running.servers[1])
  expect(next.servers[2]).toBe(running.servers[0])
})

test('a member that is removed or set to undefined is not that of before', async () => {
  const running = await configOf(FILE)
  const file = structuredClone(FILE) as { mcpServers: Record<string, { headers?: object }> }
  delete file.mcpServers['a']?.headers
  const changed = await configOf(file)
  const next = await withSharedParts(running, structuredClone(changed))
  expect(next).toEqual(changed)
  expect(next.servers[0]).not.toBe(running.servers[0])
})
