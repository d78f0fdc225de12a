import { expect, test } from 'vitest'
import { configFrom } from '../../../../src/config/load/load.ts'
import { describeChange } from '../../../../src/config/source/describe-change.ts'
import type { Config } from '../../../../src/config/types.ts'
import { cpuMs } from '../../../helpers/running-time.ts'

const ENV = { TOKEN: 'sekrit-1', TOKEN_2: 'sekrit-2' }

const FILE = {
  mcpServers: {
    a: {
      url: 'https://a.example',
      headers: { 'X-Key': '${TOKEN}' },
      timeout: '1m',
      tools: { t: { retry: true } },
    },
    b: { command: 'b', env: { API_TOKEN: '${TOKEN}' } },
  },
  clients: { ci: { deny: ['a/x'] } },
  gateway: { log: 'info', state: 'memory', http: { port: 1, host: '127.0.0.1' } },
}

function configOf(file: object): Promise<Config> {
  return configFrom(file, { env: ENV, home: '/home/ada', cwd: '/somewhere' })
}

test.each<[string, object, string[]]>([
  ['nothing', {}, []],
  [
    'the order of keys',
    { gateway: { http: { host: '127.0.0.1', port: 1 }, state: 'memory', log: 'info' } },
    [],
  ],
  [
    'servers',
    { mcpServers: { b: FILE.mcpServers.b, c: { command: 'c' } } },
    ['Server "c" is added.', 'Server "a" is removed.'],
  ],
  [
    'the order of servers',
    { mcpServers: { b: FILE.mcpServers.b, a: FILE.mcpServers.a } },
    ['The servers are in another order.'],
  ],
  [
    'settings of a server, with their units',
    {
      mcpServers: {
        ...FILE.mcpServers,
        a: { ...FILE.mcpServers.a, timeout: '90s', maxMessage: '8MiB', tools: { t: { retry: false } } },
      },
    },
    [
      'Server "a" is changed: timeout: 1m → 90s, maxMessage: 32MiB → 8MiB, tools.t.retry: true → false. It gets new links.',
    ],
  ],
  [
    'secrets, without them',
    {
      mcpServers: {
        a: { ...FILE.mcpServers.a, headers: { 'X-Key': '${TOKEN_2}', other: 'x' } },
        b: { command: 'b', args: ['--token', '${TOKEN_2}'], env: { API_TOKEN: '${TOKEN_2}' } },
      },
    },
    [
      'Server "a" is changed: headers.x-key, headers.other. It gets new links.',
      'Server "b" is changed: args, env.API_TOKEN. It gets new links.',
    ],
  ],
  [
    'replicas',
    { mcpServers: { ...FILE.mcpServers, b: { replicas: [{ command: 'b' }, { url: 'https://b.example' }] } } },
    ['Server "b" is changed: replicas["1"].env.API_TOKEN, replicas["b.example"] added. It gets new links.'],
  ],
  [
    'clients, roles and profiles',
    { clients: { ci: { deny: ['a/y'] } }, roles: { r: {} }, profiles: { p: {} } },
    ['Client "ci" is changed: deny.', 'Role "r" is added.', 'Profile "p" is added.'],
  ],
  [
    'the gateway',
    {
      gateway: {
        log: 'debug',
        state: 'redis://u:sekrit@h',
        http: { port: 2, host: '127.0.0.1' },
        policy: { deny: ['x/*'] },
      },
    },
    [
      'gateway.log: "info" → "debug".',
      'gateway.http.port: 1 → 2.',
      'gateway.state is changed.',
      'gateway.policy.deny is changed.',
    ],
  ],
])('of changes of %s', async (_, changes, expected) => {
  const { lines, isEmpty } = describeChange(await configOf(FILE), await configOf({ ...FILE, ...changes }))
  expect(lines).toEqual(expected)
  expect(isEmpty).toBe(expected.length === 0)
  expect(lines.join()).not.toContain('sekrit')
})

test('quotas, percentages and the audit log are described as the file has them', async () => {
  const [before, after] = [
    await configOf({ mcpServers: FILE.mcpServers, gateway: { state: 'memory' } }),
    await configOf({
      mcpServers: FILE.mcpServers,
      gateway: { state: 'memory' },
      clients: { ci: { rate: '3/min', budget: { bytes: '1MiB/day' } } },
    }),
  ]
  expect(describeChange(before, after).lines).toEqual([
    'Client "ci" is added.',
    expect.stringMatching(/^gateway\.audit\.file: the audit log is on, in .*audit\.jsonl\.$/),
  ])
  const other = await configOf({
    mcpServers: {
      ...FILE.mcpServers,
      a: { ...FILE.mcpServers.a, retryBudget: 40, tools: { t: { retry: true, budget: { calls: '5/day' } } } },
    },
    gateway: { state: 'memory' },
    clients: { ci: { rate: '600/min', limits: { 'a/*': { concurrency: 2 } } } },
  })
  expect(describeChange(after, other).lines).toEqual([
    'Server "a" is changed: retryBudget: 20 → 40, tools.t.budget.calls: not set → 5/day.',
    'Client "ci" is changed: rate: 3/min → 600/min, budget.bytes: 1MiB/day → not set, limits["a/*"] added.',
  ])
  expect(describeChange(after, before).lines.at(-1)).toBe('gateway.audit.file: the audit log is off.')
})

test('a server whose entry has a problem is neither added, changed nor removed, and one that is mended is changed', async () => {
  const entries = (b: object | undefined): Promise<Config> =>
    configOf({ ...FILE, mcpServers: { ...FILE.mcpServers, ...(b && { b }) } })
  const without = await configOf({ ...FILE, mcpServers: { a: FILE.mcpServers.a } })
  const [sound, broken, other] = [await entries(undefined), await entries({}), await entries({ comand: 'x' })]
  for (const [before, after] of [
    [without, broken],
    [broken, other],
    [broken, without],
  ] as const)
    expect(describeChange(before, after)).toMatchObject({
      isEmpty: false,
      lines: [],
      changes: [{ kind: 'server', name: 'b', change: 'unusable' }],
    })
  expect(describeChange(broken, broken).isEmpty).toBe(true)
  expect(describeChange(broken, sound).lines).toEqual(['Server "b" is changed: its entry is mended.'])
})

test('a hundred changes are twenty sentences and a number', async () => {
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, at) => [`s${at}`, { command: 'x' }]))
  const { lines, changes } = describeChange(
    await configOf(FILE),
    await configOf({ ...FILE, mcpServers: many }),
  )
  expect(lines).toHaveLength(21)
  expect(lines.at(-1)).toBe('And 82 more changes.')
  expect(changes).toHaveLength(102)
})

test('a thousand clients with a hundred rules each are compared within a second', async () => {
  const rules = Array.from({ length: 100 }, (_, at) => ({ effect: 'deny', match: [`a/${at}`] }))
  const clients = Object.fromEntries(Array.from({ length: 1000 }, (_, at) => [`c${at}`, { rules }]))
  const config = await configOf({ ...FILE, clients })
  const other = structuredClone(config)
  const began = cpuMs()
  expect(describeChange(config, other).isEmpty).toBe(true)
  const tookMs = cpuMs() - began
  expect(tookMs).toBeLessThan(1000)
})
