import { describe, expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import type { RawServer, RawServerOptions } from '../fixtures/servers/raw.js'
import { startDnsServer } from '../helpers/dns-server.ts'
import { startGateway } from '../helpers/gateway.ts'
import { LegacySession, ModernHttp } from '../helpers/wire-clients.ts'

/** Names in the URLs of replicas, and what becomes of calls when DNS says something else. */

const CALL = '{"name":"echo_raw","arguments":{"a":1}}'

async function raw(options: RawServerOptions): Promise<RawServer> {
  const server = await startRawServer(options)
  onTestFinished(() => server.close())
  return server
}

/** At 127.0.0.2 and so on, all at one port. */
async function onAddresses(count: number, options: RawServerOptions): Promise<RawServer[]> {
  const first = await raw({ ...options, host: '127.0.0.2' })
  const port = Number(new URL(first.url).port)
  const more = Array.from({ length: count - 1 }, (_, at) =>
    raw({ ...options, host: `127.0.0.${at + 3}`, port }),
  )
  return [first, ...(await Promise.all(more))]
}

const portOf = ({ url }: RawServer): string => new URL(url).port
const callsAt = ({ received }: RawServer): number =>
  received.filter(text => text.includes('"method":"tools/call"')).length

async function withDns() {
  const dns = await startDnsServer()
  onTestFinished(() => dns[Symbol.asyncDispose]())
  return dns
}

async function fronted(dnsServer: string, entry: Readonly<Record<string, unknown>>) {
  const running = await startGateway({
    mcpServers: { up: { prefix: false, ...entry } },
    gateway: { dns: { refresh: '1s', servers: [dnsServer] } },
  })
  onTestFinished(() => running[Symbol.asyncDispose]())
  const replicas = () => running.gateway.status()[0]?.replicas ?? []
  return { ...running, replicas }
}

describe.each(['legacy', 'modern'] as const)('servers of the %s era', era => {
  test('a name with several addresses is several replicas, and is followed without a failed call', async () => {
    const dns = await withDns()
    const servers = await onAddresses(4, { era })
    const [a, b, c, d] = servers as [RawServer, RawServer, RawServer, RawServer]
    dns.addresses.set('up.test', ['127.0.0.2', '127.0.0.3'])
    const url = `http://up.test:${portOf(a)}/mcp`
    const { origin, replicas } = await fronted(dns.address, { url, isolation: 'shared' })
    await using client = new ModernHttp(origin)
    for (let at = 0; at < 40; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect([a, b].every(server => callsAt(server) > 0)).toBe(true)
    expect(callsAt(c) + callsAt(d)).toBe(0)
    const name = `up.test:${portOf(a)}`
    expect(replicas()).toMatchObject([
      { name: `${name}/127.0.0.2`, state: 'ready', weight: 0.5, drained: false },
      { name: `${name}/127.0.0.3`, state: 'ready', weight: 0.5, drained: false },
    ])
    // The name that was asked for is the one that servers see.
    expect(a.requests.every(({ headers }) => headers.host === name)).toBe(true)

    const slow = client.request('"slow"', 'tools/call', '{"name":"slow","arguments":{}}')
    await expect
      .poll(() =>
        [a, b].some(({ received }) =>
          received.some(text => text.includes('"method":"tools/call"') && text.includes('"name":"slow"')),
        ),
      )
      .toBe(true)
    dns.addresses.set('up.test', ['127.0.0.4', '127.0.0.5'])
    let calls = 0
    while (callsAt(c) === 0 || callsAt(d) === 0) {
      expect(await client.request(String(calls++), 'tools/call', CALL)).toContain('"a":1')
      expect(calls).toBeLessThan(20_000)
    }
    const before = callsAt(a) + callsAt(b)
    for (let at = 0; at < 40; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect(callsAt(a) + callsAt(b)).toBe(before)
    // What is in flight is answered where it is, and only then is that replica gone.
    await expect.poll(() => replicas().filter(({ drained }) => drained)).toMatchObject([{ inFlight: 1 }])
    for (const server of [a, b]) server.release()
    expect(await slow).toContain('"result"')
    await expect
      .poll(() => replicas().map(replica => replica.name))
      .toEqual([`${name}/127.0.0.4`, `${name}/127.0.0.5`])
    await expect.poll(() => a.sockets + b.sockets).toBe(0)
  })

  test('the records of a service say which replicas there are, with which share and in which order', async () => {
    const dns = await withDns()
    const servers = await onAddresses(3, { era })
    const elsewhere = await raw({ era, host: '127.0.0.9' })
    const [a, b, c] = servers as [RawServer, RawServer, RawServer]
    const record = (target: string, server: RawServer, priority: number, weight: number) => ({
      target,
      port: Number(portOf(server)),
      priority,
      weight,
    })
    for (const [at, name] of ['a.test', 'b.test', 'c.test'].entries())
      dns.addresses.set(name, [`127.0.0.${at + 2}`])
    dns.addresses.set('d.test', ['127.0.0.9'])
    const service = '_mcp._tcp.up.test'
    dns.services.set(service, [
      record('a.test', a, 10, 30),
      record('b.test', b, 10, 0),
      record('c.test', c, 20, 5),
    ])
    const { origin, replicas } = await fronted(dns.address, {
      replicas: [{ url: 'http://up.test/mcp', service: '_mcp._tcp', name: 'up', priority: 1 }],
      isolation: 'shared',
    })
    await using client = new ModernHttp(origin)
    for (let at = 0; at < 30; at++)
      expect(await client.request(String(at), 'tools/call', CALL)).toContain('"a":1')
    expect(replicas().map(({ name, weight, priority }) => ({ name, weight, priority }))).toEqual([
      { name: `up/a.test:${portOf(a)}`, weight: 30, priority: 1 },
      { name: `up/b.test:${portOf(b)}`, weight: 1, priority: 1 },
      { name: `up/c.test:${portOf(c)}`, weight: 5, priority: 2 },
    ])
    expect(callsAt(a)).toBeGreaterThan(15)
    expect(callsAt(c)).toBe(0)
    expect(a.requests.every(({ headers }) => headers.host === `a.test:${portOf(a)}`)).toBe(true)

    dns.services.set(service, [record('d.test', elsewhere, 10, 1)])
    while (callsAt(elsewhere) === 0) expect(await client.request('1', 'tools/call', CALL)).toContain('"a":1')
    await expect.poll(() => replicas().map(({ name }) => name)).toEqual([`up/d.test:${portOf(elsewhere)}`])
  })
})

test('a session moves with its next call', async () => {
  const dns = await withDns()
  const [a, b, c] = (await onAddresses(3, { era: 'legacy' })) as [RawServer, RawServer, RawServer]
  dns.addresses.set('up.test', ['127.0.0.2', '127.0.0.3'])
  const { origin, replicas } = await fronted(dns.address, { url: `http://up.test:${portOf(a)}/mcp` })
  await using session = await LegacySession.open(origin)
  for (let at = 0; at < 6; at++)
    expect(await session.request(String(at), 'tools/call', CALL)).toContain('"a":1')
  expect([a, b].map(callsAt).sort()).toEqual([0, 6])
  dns.addresses.set('up.test', ['127.0.0.4'])
  await expect.poll(() => replicas().map(({ name }) => name)).toEqual([`up.test:${portOf(a)}/127.0.0.4`])
  expect(await session.request('"next"', 'tools/call', CALL)).toContain('"a":1')
  expect(callsAt(c)).toBe(1)
})

test('while DNS fails, what is known stays', async () => {
  const dns = await withDns()
  const [a] = (await onAddresses(2, { era: 'modern' })) as [RawServer]
  dns.addresses.set('up.test', ['127.0.0.2', '127.0.0.3'])
  const { origin, replicas } = await fronted(dns.address, { url: `http://up.test:${portOf(a)}/mcp` })
  await using client = new ModernHttp(origin)
  expect(await client.request('1', 'tools/call', CALL)).toContain('"a":1')
  dns.failing = true
  const asked = dns.asked.length
  await expect.poll(() => dns.asked.length).toBeGreaterThan(asked + 1)
  expect(await client.request('2', 'tools/call', CALL)).toContain('"a":1')
  expect(replicas()).toHaveLength(2)
})
