import { request } from 'node:http'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { BIN, freePort, serve } from '../../helpers/served.ts'

/** Certificates and the admin API: on its address, and in a configuration that is sent to it. */

const TOKEN = 'Zk3vQ9sP0aLw7uYtRx1B'

test('an address of the network is served with the certificate, refuses plain HTTP, and asks for the right token', async () => {
  const folder = folderForTest()
  const authority = makeAuthority(folder, 'ca')
  const { certFile, keyFile } = authority.sign('here')
  const port = await freePort()
  const file = folder.write('servers.json', {
    mcpServers: { up: { url: 'http://127.0.0.1:9/mcp' } },
    gateway: {
      http: { port: 0, tls: { cert: certFile, key: keyFile } },
      state: 'memory',
      admin: { listen: `0.0.0.0:${port}`, token: TOKEN, socket: false },
    },
  })
  const served = await serve([BIN, 'serve', '--config', file], {
    env: envOf(folder),
    ready: /The admin API listens on (https:\/\/0\.0\.0\.0:\d+)/,
  })
  onTestFinished(async () => void (await served.stop()))
  const at = `https://127.0.0.1:${port}`
  const ask = (token: string) =>
    askAdmin(at, {
      path: '/admin/status',
      ca: authority.cert,
      headers: { authorization: `Bearer ${token}`, host: `127.0.0.1:${port}` },
    })
  expect(await ask(TOKEN)).toMatchObject({ status: 200, body: { config: file } })
  expect((await ask(`${TOKEN}x`)).status).toBe(401)
  await expect(askAdmin(at, { path: '/admin/status' })).rejects.toThrow(/certificate/)
  const plain = new Promise((resolve, reject) =>
    request({ host: '127.0.0.1', port, path: '/admin/status', agent: false })
      .on('response', resolve)
      .on('error', reject)
      .end(),
  )
  await expect(plain).rejects.toMatchObject({ code: 'ECONNRESET' })
  expect((await ask(TOKEN)).status).toBe(200)
})

test('a configuration with certificates that cannot be used is refused over the API and not written', async () => {
  const folder = folderForTest()
  const { certFile, keyFile } = makeAuthority(folder, 'ca').sign('here')
  const { keyFile: otherKey } = makeAuthority(folder, 'other').sign('elsewhere')
  const file = folder.write('servers.json', {
    mcpServers: { up: { url: 'http://127.0.0.1:9/mcp' } },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  const { socket } = await servingWithSocket(folder, file)
  const put = async (tls: object) => {
    const { body, headers } = await askAdmin(socket, { path: '/admin/config' })
    body.gateway.http.tls = tls
    const ifMatch = { 'if-match': String(headers['etag']) }
    return await askAdmin(socket, { method: 'PUT', path: '/admin/config', body, headers: ifMatch })
  }
  const none = join(folder.path, 'none.pem')
  for (const [tls, text] of [
    [{ cert: none, key: keyFile }, `The file ${none} was not read: there is no such file. Correct`],
    [{ cert: certFile, key: '/dev/zero' }, 'it is a device, and only regular files are read. Correct'],
    [{ cert: certFile, key: otherKey }, 'no certificate and key that belong together'],
  ] as const) {
    const { status, body } = await put(tls)
    expect(status).toBe(422)
    expect(body.detail).toContain(text)
    expect((await askAdmin(socket, { path: '/admin/config' })).text).not.toContain('tls')
  }
  const { status, body } = await put({ cert: certFile, key: keyFile })
  expect(status).toBe(200)
  expect(body.notReloadable).toMatchObject([{ key: 'gateway.http.tls' }])
})

test('express is loaded with the first request to the admin API, and not before', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', {
    mcpServers: { up: { url: 'http://127.0.0.1:9/mcp' } },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  const hook = folder.write(
    'loaded.cjs',
    `process.on('SIGUSR2', () => process.stderr.write(Object.keys(require.cache).join(' ') + ' are loaded\\n'))`,
  )
  const { served, socket } = await servingWithSocket(folder, file, {
    env: { NODE_OPTIONS: `--require ${hook}` },
  })
  const loaded = (): string[] => served.said.split('\n').filter(line => line.endsWith(' are loaded'))
  expect((await fetch(`${served.origin}/readyz`)).status).toBeGreaterThan(0)
  process.kill(served.pid, 'SIGUSR2')
  await expect.poll(loaded).toHaveLength(1)
  expect(loaded()[0]).toContain('/dist/bundle/main.cjs')
  expect(loaded()[0]).not.toContain('/dist/bundle/express-')
  expect((await askAdmin(socket, { path: '/admin/status' })).status).toBe(200)
  process.kill(served.pid, 'SIGUSR2')
  await expect.poll(loaded).toHaveLength(2)
  expect(loaded()[1]).toContain('/dist/bundle/express-')
})
