import { expect, onTestFinished, test } from 'vitest'
import { startRawServer } from '../fixtures/servers/raw.js'
import type { RawServer, RawServerOptions } from '../fixtures/servers/raw.js'
import { startGateway } from '../helpers/gateway.ts'
import { toolText } from '../helpers/scripted-servers.ts'
import { ModernHttp } from '../helpers/wire-clients.ts'

/** Replicas that do not offer the same, and servers that stand in for others. */

async function raw(options: RawServerOptions = {}): Promise<RawServer> {
  const server = await startRawServer({ era: 'modern', ...options })
  onTestFinished(() => server.close())
  return server
}

async function gatewayFor(mcpServers: Readonly<Record<string, unknown>>, more: object = {}) {
  const running = await startGateway({ mcpServers, ...more })
  onTestFinished(() => running[Symbol.asyncDispose]())
  return running
}

const callsOf = ({ received }: RawServer, tool: string): number =>
  received.filter(text => text.includes('"method":"tools/call"') && text.includes(`"name":"${tool}"`)).length

const call = (name: string, args = '{}'): string => `{"name":"${name}","arguments":${args}}`

test('a replica that differs is used only for what it shares with the others', async () => {
  const servers = [await raw(), await raw(), await raw()]
  const same = toolText('same')
  servers[0]?.setTools([same, toolText('t', ',"description":"old"'), toolText('gone')])
  servers[1]?.setTools([toolText('t', ',"description":"new"'), same])
  // Another order of keys is no difference.
  servers[2]?.setTools([
    same.replace(/^\{"name":"same",(.*)\}$/, '{$1,"name":"same"}'),
    toolText('t', ',"description":"new"'),
  ])
  const { origin, gateway } = await gatewayFor({
    up: { replicas: servers.map(({ url }, at) => ({ url, name: `r${at}` })), prefix: false },
  })
  await using client = new ModernHttp(origin)
  for (let at = 0; at < 40; at++)
    expect(await client.request(String(at), 'tools/call', call('same'))).toContain('result')
  await expect.poll(async () => (await client.request('"l"', 'tools/list')).includes('"gone"')).toBe(false)
  expect(await client.request('"l"', 'tools/list')).toContain('"description":"new"')
  const before = callsOf(servers[0] as RawServer, 't')
  for (let at = 0; at < 40; at++)
    expect(await client.request(String(at), 'tools/call', call('t'))).toContain('result')
  expect(callsOf(servers[0] as RawServer, 't')).toBe(before)
  expect(servers.every(server => callsOf(server, 'same') > 0)).toBe(true)
  expect(gateway.status()).toHaveLength(1)
})

test('a call that no replica can take goes to the fallback, under its names', async () => {
  const main = await raw()
  const other = await raw({ name: 'other' })
  main.setTools([toolText('echo_raw'), toolText('big')])
  other.setTools([toolText('echo_raw'), toolText('big')])
  const { origin } = await gatewayFor({
    main: {
      url: main.url,
      tools: { big: { fallback: { server: 'other', tool: 'echo_raw', args: { wanted: 'bytes' } } } },
    },
    other: { url: other.url },
  })
  await using client = new ModernHttp(origin)
  const big = call('main__big', '{"x":1.0,"bytes":2}')
  expect(await client.request('1', 'tools/call', big)).toContain('"xx"')
  await client.request('2', 'tools/call', call('other__echo_raw'))
  await main.close()
  expect(await client.request('3', 'tools/call', big)).toContain('"structuredContent":{"x":1.0,"wanted":2}')
  // Without a fallback of its own, the failure is what the client hears.
  expect(await client.request('4', 'tools/call', call('main__echo_raw'))).toContain('"isError":true')
})
