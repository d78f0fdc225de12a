import { describe, expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import type { ClientConfig, Config } from '../../../../src/config/types.ts'

const OPTIONS = { env: {}, home: '/home/ada', cwd: '/somewhere' }
const servers = { b: { command: 'b' }, a: { command: 'a' } }

function load(file: object): Promise<Config> {
  return configFrom({ mcpServers: servers, ...file }, OPTIONS)
}

async function client(entry: object): Promise<ClientConfig> {
  const [only] = (await load({ clients: { ci: entry } })).clients
  if (!only) throw new Error('there is no client')
  return only
}

describe('a client', () => {
  test('that says nothing may use everything, without limits', async () => {
    expect(await client({})).toEqual({
      name: 'ci',
      keys: [],
      subjects: [],
      certificates: [],
      users: [],
      roles: [],
      rules: [],
      default: 'allow',
      shadow: false,
      quota: { rate: undefined, concurrency: undefined, budgets: [] },
      limits: [],
      values: {},
      weight: 1,
    })
  })

  test('keys are digests in lower case', async () => {
    expect((await client({ keys: [`sha256:${'AB'.repeat(32)}`] })).keys).toEqual(['ab'.repeat(32)])
  })

  test.each([
    ['nothing', {}, 'allow'],
    ['an allow list', { allow: ['a/*'] }, 'deny'],
    ['an empty allow list', { allow: [] }, 'deny'],
    ['a deny list', { deny: ['a/*'] }, 'allow'],
    ['a rule that allows', { rules: [{ effect: 'allow', match: ['a/*'] }] }, 'deny'],
    ['a rule that denies', { rules: [{ effect: 'deny', match: ['a/*'] }] }, 'allow'],
    ['an allow list, and otherwise everything', { allow: ['a/*'], default: 'allow' }, 'allow'],
  ])('with %s has this default', async (_, entry, expected) => {
    expect((await client(entry)).default).toBe(expected)
  })
})

test('lists are rules without a condition, and each rule has its place', async () => {
  const entry = {
    allow: ['a/*'],
    deny: ['*/drop_*'],
    rules: [
      { effect: 'allow', when: 'args.dry' },
      { effect: 'deny', match: ['b/x'], shadow: true },
    ],
  }
  const rules = (path: string): object[] => [
    { location: `${path}.deny`, effect: 'deny', match: ['*/drop_*'], when: undefined, shadow: false },
    { location: `${path}.allow`, effect: 'allow', match: ['a/*'], when: undefined, shadow: false },
    { location: `${path}.rules[0]`, effect: 'allow', match: [], when: 'args.dry', shadow: false },
    { location: `${path}.rules[1]`, effect: 'deny', match: ['b/x'], when: undefined, shadow: true },
  ]
  const config = await load({
    clients: { ci: entry },
    roles: { 'a role': entry },
    gateway: { policy: entry },
  })
  expect(config.clients[0]?.rules).toEqual(rules('clients.ci'))
  expect(config.roles).toEqual([{ name: 'a role', rules: rules('roles["a role"]') }])
  expect(config.gateway.rules).toEqual(rules('gateway.policy'))
})

test('a profile has its servers in the order of the servers, all of them unless it names some', async () => {
  const { profiles } = await load({
    profiles: { all: {}, some: { servers: ['a', 'b'], tools: ['a/x'] }, one: { servers: ['a'] } },
  })
  expect(profiles).toEqual([
    { name: 'all', servers: ['b', 'a'], match: [] },
    { name: 'some', servers: ['b', 'a'], match: ['a/x'] },
    { name: 'one', servers: ['a'], match: [] },
  ])
})

describe('a quota', () => {
  test.each([
    ['5/s', 5, 1000],
    ['5/sec', 5, 1000],
    ['7/second', 7, 1000],
    ['60/m', undefined, undefined],
    ['60/min', 60, 60_000],
    ['60/minute', 60, 60_000],
    ['9/h', 9, 3_600_000],
    ['9/hour', 9, 3_600_000],
  ])('rate %s', async (rate, count, periodMs) => {
    if (count === undefined) await expect(client({ rate })).rejects.toThrow(/expected a rate/)
    else expect((await client({ rate })).quota.rate).toEqual({ count, periodMs })
  })

  test('budgets in the units of their measures, one or several of each', async () => {
    const budget = {
      bytes: '10MiB/min',
      compute: ['1.5m/hour', '30m/day'],
      calls: '5000/month',
      cost: '0.5/minute',
    }
    const { quota } = await client({ budget, concurrency: 3 })
    expect(quota).toEqual({
      rate: undefined,
      concurrency: 3,
      budgets: [
        { measure: 'calls', amount: 5000, period: 'month' },
        { measure: 'compute', amount: 90_000, period: 'hour' },
        { measure: 'compute', amount: 1_800_000, period: 'day' },
        { measure: 'cost', amount: 0.5, period: 'minute' },
        { measure: 'bytes', amount: 10 * 1024 * 1024, period: 'minute' },
      ],
    })
  })

  test('limits by pattern, and those of servers and tools', async () => {
    const config = await load({
      mcpServers: {
        a: { command: 'a', rate: '1/s', maxConcurrentCalls: 2, tools: { x: { concurrency: 1 } } },
      },
      clients: { ci: { limits: { 'a/*': { rate: '2/h' } } } },
    })
    expect(config.clients[0]?.limits).toMatchObject([
      { match: 'a/*', quota: { rate: { count: 2, periodMs: 3_600_000 } } },
    ])
    // What a server works on at once is a matter of its queue.
    expect(config.servers[0]).toMatchObject({
      maxConcurrentCalls: 2,
      quota: { rate: { count: 1, periodMs: 1000 }, concurrency: undefined },
      tools: [{ glob: 'x', quota: { concurrency: 1 } }],
    })
  })
})

test('subjects and users differ by case', async () => {
  const config = await load({
    clients: { a: { subjects: ['Ada'], users: ['Ada'] }, b: { subjects: ['ada'], users: ['ada'] } },
    gateway: {
      auth: { jwt: [{ issuer: 'https://a.example' }], proxy: { header: 'X-User', from: ['127.0.0.1'] } },
    },
  })
  expect(config.clients.map(({ subjects }) => subjects)).toEqual([['Ada'], ['ada']])
})
