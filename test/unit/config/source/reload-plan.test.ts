import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { planReload } from '../../../../src/config/source/reload-plan.ts'
import type { Config } from '../../../../src/config/types.ts'

const FILE = {
  mcpServers: { a: { url: 'https://a.example' }, b: { command: 'b', roots: ['/one'] } },
  gateway: { state: 'memory', http: { port: 1 } },
}

const configOf = (file: object): Promise<Config> =>
  configFrom({ ...FILE, ...file }, { env: {}, home: '/home/ada', cwd: '/somewhere' })

test('what takes effect at the next start is named with its reason, and is no change of what runs', async () => {
  const [running, next] = [
    await configOf({}),
    await configOf({ gateway: { state: 'lmdb:', http: { port: 2 } } }),
  ]
  const { config, change, notReloadable } = await planReload(running, next)
  expect(notReloadable).toEqual([
    { key: 'gateway.http.port', reason: 'the port to listen on is bound at the start' },
    { key: 'gateway.state', reason: 'what is counted and remembered would be lost' },
  ])
  expect(change).toMatchObject({ isEmpty: true, lines: [] })
  expect(config.gateway).toMatchObject({ state: 'memory', http: { port: 1 } })
})

test('a server whose new entry has a problem is no change, and its problem is named', async () => {
  const running = await configOf({})
  const next = await configOf({ mcpServers: { a: {}, b: FILE.mcpServers.b, c: {} } })
  const { config, change, unusable, problems } = await planReload(running, next)
  expect(change).toMatchObject({ isEmpty: false, lines: [] })
  expect(config.servers[0]).toBe(running.servers[0])
  expect(problems).toEqual([
    expect.stringMatching(
      /^Server "a" runs on as it was, and the next start leaves it out, .*mcpServers\.a /,
    ),
    expect.stringMatching(/^Server "c" is left out .*mcpServers\.c /),
  ])
  expect(unusable).toEqual([
    { server: 'a', runsOn: true },
    { server: 'c', runsOn: false },
  ])
  expect((await planReload(config, next)).problems).toHaveLength(1)
})

test('of a thousand servers with a problem twenty are named, and the number of the others', async () => {
  const many = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`s${at}`, {}]))
  const { problems } = await planReload(await configOf({}), await configOf({ mcpServers: many }))
  expect(problems).toHaveLength(21)
  expect(problems[19]).toContain('"s19"')
  expect(problems[20]).toBe('980 more servers have a problem in their entries.')
})

test.each<[object, readonly string[]]>([
  [{ roots: ['/two'] }, ['roots']],
  [{ maxMessage: '1MiB' }, ['maxMessage: 32MiB → 1MiB']],
  [{ args: ['x'], env: { K: 'v' } }, ['args', 'env.K']],
  [{ memoryLimit: '1GiB', timeout: '1s', isolation: 'session', idle: '1m' }, []],
])('of %j, %j replaces the links of the server', async (entry, expected) => {
  const next = await configOf({
    mcpServers: { a: FILE.mcpServers.a, b: { ...FILE.mcpServers.b, ...entry } },
  })
  const [changed] = (await planReload(await configOf({}), next)).change.changes
  expect(changed).toMatchObject({ name: 'b', change: 'changed', renewing: expected })
})
