import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import {
  askAdmin,
  envOf,
  folderForTest,
  servingWithSocket,
  socketsIn,
  type AdminAnswer,
} from '../../helpers/admin-client.ts'
import { BIN } from '../../helpers/served.ts'

/** The admin API writes no configuration with which the gateway would not start again. */

const CONFIG = {
  mcpServers: { up: { url: 'http://127.0.0.1:9/mcp' } },
  gateway: { http: { port: 0 }, state: 'memory' },
}
const CLIENTS = { ci: { allow: ['*/*'] } }

/** Puts the configuration with other values of `gateway.http` and `gateway.admin`. */
async function put(socket: string, http: object, more: object = {}, admin?: object): Promise<AdminAnswer> {
  const { headers } = await askAdmin(socket, { path: '/admin/config' })
  return await askAdmin(socket, {
    method: 'PUT',
    path: '/admin/config',
    body: {
      ...CONFIG,
      ...more,
      gateway: { ...CONFIG.gateway, http: { port: 0, ...http }, ...(admin && { admin }) },
    },
    headers: { 'if-match': String(headers['etag']) },
  })
}

test('a configuration that the next start would refuse is refused with the reason and not written', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', CONFIG)
  const { socket } = await servingWithSocket(folder, file)
  const before = readFileSync(file, 'utf8')
  const token = '0123456789abcdef0123'
  for (const [http, more, admin, text] of [
    [{ host: '0.0.0.0' }, {}, undefined, 'there are no clients to tell callers apart'],
    [{ host: '203.0.113.7' }, { clients: CLIENTS }, undefined, 'gateway.http: the gateway cannot listen on'],
    [{ host: 'no.such.host.invalid' }, { clients: CLIENTS }, undefined, 'no address of this machine'],
    [
      {},
      {},
      { listen: '203.0.113.7:7333', token, allowPlaintext: true },
      'gateway.admin.listen: the gateway cannot',
    ],
  ] as const) {
    const { status, body } = await put(socket, http, more, admin)
    expect([http, admin, status]).toEqual([http, admin, 422])
    expect(body.detail).toContain(text)
  }
  expect(readFileSync(file, 'utf8')).toBe(before)
  const open = await put(socket, { host: '0.0.0.0' }, { clients: CLIENTS })
  expect(open).toMatchObject({ status: 200, body: { notReloadable: [{ key: 'gateway.http.host' }] } })
})

test('an address that the command line allows, or overrides, is written', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', CONFIG)
  const { socket } = await servingWithSocket(folder, file, { args: ['--allow-anonymous'] })
  expect(await put(socket, { host: '0.0.0.0' })).toMatchObject({ status: 200 })
  const other = folderForTest()
  const overridden = await servingWithSocket(other, other.write('servers.json', CONFIG), {
    args: ['--host', '127.0.0.1'],
  })
  expect(await put(overridden.socket, { host: '203.0.113.7' })).toMatchObject({ status: 200 })
})

test('a gateway on stdio writes an address that it does not listen on', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', CONFIG)
  const child = spawn(process.execPath, [BIN, '--config', file], {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, ...envOf(folder) },
  })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill()
    await ended
  })
  await expect.poll(() => socketsIn(folder.path).length).toBe(1)
  expect(await put(socketsIn(folder.path)[0] ?? '', { host: '0.0.0.0' })).toMatchObject({ status: 200 })
})
