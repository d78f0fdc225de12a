import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { HttpEndpoint, ReplicaConfig } from '../../../../src/config/replica-types.ts'
import { DnsDiscovery, type DnsDiscoveryOptions } from '../../../../src/upstream/discovery/dns-discovery.ts'
import type { SrvRecord } from '../../../../src/upstream/discovery/dns-resolver.ts'

function entry(changes: Partial<ReplicaConfig> & { url?: string } = {}): ReplicaConfig {
  const { url = 'https://up.example/mcp', ...rest } = changes
  return {
    name: 'up',
    location: 'p',
    endpoint: { kind: 'http', url, headers: {}, sseFallback: true },
    weight: 3,
    priority: 1,
    zone: 'z',
    service: undefined,
    ...rest,
  }
}

interface World {
  readonly addresses: DnsDiscovery
  readonly known: Map<string, readonly string[]>
  readonly services: Map<string, readonly SrvRecord[]>
  readonly asked: string[]
  readonly warnings: unknown[]
  inUse: boolean
  /** What was told last, and how often something was told. */
  readonly told: (readonly ReplicaConfig[])[]
}

let open: DnsDiscovery[] = []

function world(entries: readonly ReplicaConfig[], { own = false, refreshMs = 30_000 } = {}): World {
  const known = new Map<string, readonly string[]>()
  const services = new Map<string, readonly SrvRecord[]>()
  const asked: string[] = []
  const warnings: unknown[] = []
  const told: (readonly ReplicaConfig[])[] = []
  const find = async <T>(map: Map<string, readonly T[]>, name: string): Promise<readonly T[]> => {
    asked.push(name)
    const found = map.get(name)
    if (!found) throw new Error(`${name} is not known`)
    return found
  }
  const logger = {
    warn: (...args: unknown[]) => warnings.push(args),
    debug: () => {},
  } as unknown as DnsDiscoveryOptions['logger']
  const made: World = {
    known,
    services,
    asked,
    warnings,
    told,
    inUse: true,
    addresses: new DnsDiscovery(entries, {
      dns: { refreshMs, servers: [] },
      inUse: () => made.inUse,
      onChange: replicas => told.push(replicas),
      logger,
      resolver: {
        own,
        addresses: host => find(known, host),
        services: name => find(services, name),
        close() {},
      },
    }),
  }
  open.push(made.addresses)
  return made
}

const brief = (replicas: readonly ReplicaConfig[] | undefined) =>
  replicas?.map(({ name, weight, endpoint }) => [name, weight, (endpoint as HttpEndpoint).addresses])

beforeEach(() => void vi.useFakeTimers())
afterEach(() => {
  for (const addresses of open) addresses.close()
  open = []
  expect(vi.getTimerCount()).toBe(0)
  vi.useRealTimers()
})

test('addresses without a name to look up are there at once', () => {
  const urls = ['http://127.0.0.1/mcp', 'http://[::1]:8080/mcp', 'http://localhost/mcp']
  const stdio: ReplicaConfig = {
    ...entry(),
    endpoint: { kind: 'stdio', command: 'x', args: [], env: {}, cwd: '/' },
  }
  const { addresses, asked } = world([...urls.map(url => entry({ url })), stdio])
  expect(addresses.pending).toBeUndefined()
  addresses.again()
  expect(asked).toEqual([])
})

test('a single address stays a name, and several are several from then on', async () => {
  const { addresses, known, told } = world([entry()])
  known.set('up.example', ['10.0.0.1'])
  await addresses.pending
  expect(told.at(-1)).toEqual([entry()])
  expect(addresses.pending).toBeUndefined()

  known.set('up.example', ['10.0.0.1', '10.0.0.2', 'fd00::1'])
  await vi.advanceTimersByTimeAsync(30_000)
  expect(brief(told.at(-1))).toEqual([
    ['up/10.0.0.1', 1.5, ['10.0.0.1', 'fd00::1']],
    ['up/10.0.0.2', 1.5, ['10.0.0.2', 'fd00::1']],
  ])
  expect(told.at(-1)?.[0]).toMatchObject({
    priority: 1,
    zone: 'z',
    endpoint: { url: 'https://up.example/mcp' },
  })

  known.set('up.example', ['10.0.0.2'])
  await vi.advanceTimersByTimeAsync(30_000)
  expect(brief(told.at(-1))).toEqual([['up/10.0.0.2', 3, ['10.0.0.2']]])
})

test('what only name servers of its own know is connected to by address', async () => {
  const { addresses, known, services, told } = world(
    [entry(), entry({ name: 'srv', url: 'https://srv.example/mcp?a=1', service: '_mcp._tcp' })],
    { own: true },
  )
  known.set('up.example', ['10.0.0.1'])
  known.set('one.example', ['10.0.0.7', '10.0.0.8'])
  services.set('_mcp._tcp.srv.example', [
    { host: 'two.example', port: 443, priority: 20, weight: 0 },
    { host: 'one.example', port: 8443, priority: 10, weight: 5 },
  ])
  await addresses.pending
  expect(brief(told.at(-1))).toEqual([
    ['up', 3, ['10.0.0.1']],
    ['srv/one.example:8443', 15, ['10.0.0.7', '10.0.0.8']],
    ['srv/two.example:443', 3, undefined],
  ])
  expect(told.at(-1)?.map(({ priority, endpoint }) => [priority, (endpoint as HttpEndpoint).url])).toEqual([
    [1, 'https://up.example/mcp'],
    [1, 'https://one.example:8443/mcp?a=1'],
    [2, 'https://two.example/mcp?a=1'],
  ])
})

test('a look-up that fails changes nothing, and is said once where something is known', async () => {
  const { addresses, known, told, warnings, asked } = world([entry()])
  await addresses.pending
  expect(told.at(-1)).toEqual([entry()])
  // The connection fails for the same reason, and says so.
  expect(warnings).toHaveLength(0)
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  await vi.advanceTimersByTimeAsync(30_000)
  const found = told.at(-1)
  expect(found).toHaveLength(2)
  known.clear()
  await vi.advanceTimersByTimeAsync(90_000)
  expect(told.at(-1)).toEqual(found)
  expect(asked).toHaveLength(5)
  expect(warnings).toHaveLength(1)
})

test('without use nothing is looked up, and the next use waits for what is true then', async () => {
  const made = world([entry()])
  made.known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  await made.addresses.pending
  made.inUse = false
  await vi.advanceTimersByTimeAsync(300_000)
  expect(made.asked).toHaveLength(1)
  expect(vi.getTimerCount()).toBe(0)
  made.inUse = true
  await made.addresses.pending
  expect(made.asked).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(30_000)
  expect(made.asked).toHaveLength(3)
})

test('"never" is once', async () => {
  const { addresses, known, asked } = world([entry()], { refreshMs: 0 })
  known.set('up.example', ['10.0.0.1'])
  await addresses.pending
  await vi.advanceTimersByTimeAsync(86_400_000)
  expect(asked).toHaveLength(1)
  expect(addresses.pending).toBeUndefined()
})

test('one that cannot be reached is looked for again, at most once a second', async () => {
  const { addresses, known, asked } = world([entry()])
  known.set('up.example', ['10.0.0.1'])
  await addresses.pending
  for (let at = 0; at < 10; at++) addresses.again()
  expect(asked).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1000)
  for (let at = 0; at < 10; at++) addresses.again()
  await vi.advanceTimersByTimeAsync(0)
  expect(asked).toHaveLength(2)
})

test('a changed configuration counts at once, and what is new in it is looked up', async () => {
  const { addresses, known, told } = world([entry()])
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  known.set('new.example', ['10.0.1.1', '10.0.1.2'])
  await addresses.pending
  const added = entry({ name: 'new', url: 'https://new.example/mcp' })
  addresses.update([entry(), added])
  expect(told.at(-1)?.map(({ name }) => name)).toEqual(['up/10.0.0.1', 'up/10.0.0.2', 'new'])
  await vi.advanceTimersByTimeAsync(0)
  expect(told.at(-1)?.map(({ name }) => name)).toEqual([
    'up/10.0.0.1',
    'up/10.0.0.2',
    'new/10.0.1.1',
    'new/10.0.1.2',
  ])
})

test('a changed weight does not take a name for a single replica meanwhile', async () => {
  const { addresses, known, told } = world([entry()])
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  await addresses.pending
  addresses.update([entry({ weight: 10, zone: 'y' })])
  expect(brief(told.at(-1))).toEqual([
    ['up/10.0.0.1', 5, ['10.0.0.1']],
    ['up/10.0.0.2', 5, ['10.0.0.2']],
  ])
  expect(told.at(-1)?.[0]?.zone).toBe('y')
})

test('a look-up that ends after the close is not reported', async () => {
  const { addresses, known, told } = world([entry()])
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  const { pending } = addresses
  addresses.close()
  await pending
  expect(told).toEqual([])
})

test('what is added while names are being looked up is looked up as well', async () => {
  const { addresses, known, told } = world([entry()])
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  known.set('new.example', ['10.0.1.1', '10.0.1.2'])
  const { pending } = addresses
  addresses.update([entry({ name: 'new', url: 'https://new.example/mcp' })])
  await pending
  expect(told.at(-1)?.map(({ name }) => name)).toEqual(['new/10.0.1.1', 'new/10.0.1.2'])
})

test('a target whose address cannot be looked up for once stays where it is', async () => {
  const { addresses, known, services, told } = world([entry({ service: '_mcp._tcp' })], { own: true })
  services.set('_mcp._tcp.up.example', [{ host: 'one.example', port: 443, priority: 1, weight: 1 }])
  known.set('one.example', ['10.0.0.7'])
  await addresses.pending
  known.clear()
  await vi.advanceTimersByTimeAsync(30_000)
  expect(told).toHaveLength(2)
  expect(brief(told.at(-1))).toEqual([['up/one.example:443', 3, ['10.0.0.7']]])
})

test('other settings count for a server that is not in use with its next use', async () => {
  const made = world([entry()], { refreshMs: 0 })
  const { addresses, known, asked } = made
  known.set('up.example', ['10.0.0.1'])
  await addresses.pending
  expect(addresses.pending).toBeUndefined()
  made.inUse = false
  addresses.configure({ refreshMs: 60_000, servers: [] })
  expect(asked).toHaveLength(1)
  expect(addresses.pending).toBeDefined()
  await addresses.pending
  expect(asked).toHaveLength(2)
})

test('a look-up that was under way is made again with the settings that came meanwhile', async () => {
  const { addresses, known, asked, told } = world([entry()])
  known.set('up.example', ['10.0.0.1', '10.0.0.2'])
  const first = addresses.pending
  addresses.configure({ refreshMs: 60_000, servers: [] })
  known.set('up.example', ['10.0.0.3', '10.0.0.4'])
  await first
  expect(asked).toHaveLength(2)
  expect(brief(told.at(-1))?.map(([name]) => name)).toEqual(['up/10.0.0.3', 'up/10.0.0.4'])
})
