import { expect, test } from 'vitest'
import { needsRestart } from '../../../../src/config/load/diff.ts'

const FILE = {
  mcpServers: {
    a: { url: 'https://a.example', headers: { x: '1' }, timeout: '1m', tools: { t: { retry: true } } },
    b: { replicas: [{ command: 'b' }] },
  },
  gateway: { log: 'info', http: { port: 1, host: 'x' } },
  clients: { ci: { keys: ['k'] } },
}

test.each([
  ['nothing', FILE, []],
  ['the order of keys', JSON.parse('{"gateway":{"http":{"host":"x","port":1},"log":"info"}}'), []],
  [
    'replicas, and where they are',
    {
      mcpServers: {
        a: { url: 'https://b.example', headers: {} },
        b: { replicas: [{ command: 'c', weight: 0 }] },
      },
    },
    [],
  ],
  [
    'what a server is used for',
    { mcpServers: { a: { timeout: '2m', tools: { t: { retry: false } } }, b: { prefix: 'x' } } },
    ['mcpServers.a.timeout', 'mcpServers.a.tools', 'mcpServers.b.prefix'],
  ],
  [
    'servers that come and go',
    { mcpServers: { b: undefined, c: { command: 'c' } }, servers: { d: { command: 'd' } } },
    ['mcpServers.b', 'mcpServers.c', 'servers'],
  ],
  [
    'everything else, without its values',
    { gateway: { log: 'debug', zone: 'eu', http: { port: 2 } }, clients: { ci: { keys: ['sekrit'] } } },
    ['gateway.log', 'gateway.http', 'gateway.zone', 'clients.ci'],
  ],
])('of changes of %s', (_, changes, expected) => {
  expect(needsRestart(FILE, merged(FILE, changes))).toEqual(expected)
})

/** `undefined` removes a key. */
function merged(file: unknown, changes: unknown): unknown {
  if (!isRecord(file) || !isRecord(changes)) return changes
  const keys = [...new Set([...Object.keys(file), ...Object.keys(changes)])]
  const entries = keys.map(
    key => [key, key in changes ? merged(file[key], changes[key]) : file[key]] as const,
  )
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined))
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
