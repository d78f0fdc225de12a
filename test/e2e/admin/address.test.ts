import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, type AdminAnswer } from '../../helpers/admin-client.ts'
import { runCommand } from '../../helpers/command-runs.ts'
import { BIN, freePort, serve, type Served } from '../../helpers/served.ts'

/** The admin API on an address of the network: what a stranger, a page and a flood get there. */

const TOKEN = 'Zk3vQ9sP0aLw7uYtRx1B'

interface Scene {
  readonly at: string
  readonly port: number
  readonly served: Served
  ask(path: string, more?: Partial<Parameters<typeof askAdmin>[1]>): Promise<AdminAnswer>
}

async function scene(): Promise<Scene> {
  const folder = folderForTest()
  const port = await freePort()
  const file = folder.write('servers.json', {
    mcpServers: { up: { url: 'http://127.0.0.1:9/mcp' } },
    gateway: {
      http: { port: 0 },
      state: 'memory',
      admin: { listen: `127.0.0.1:${port}`, token: '${ADMIN_TOKEN}' },
    },
  })
  const served = await serve([BIN, 'serve', '--config', file], {
    env: { ...envOf(folder), ADMIN_TOKEN: TOKEN },
  })
  onTestFinished(async () => void (await served.stop()))
  const at = `http://127.0.0.1:${port}`
  await expect.poll(() => served.said).toContain(`The admin API listens on ${at}.`)
  return {
    at,
    port,
    served,
    ask: (path, more = {}) =>
      askAdmin(at, { path, ...more, headers: { authorization: `Bearer ${TOKEN}`, ...more.headers } }),
  }
}

test('a caller with the credential is answered; without it, or with another one, none is, and guessing is slowed down', async () => {
  const { at, ask, served } = await scene()
  expect(await ask('/admin/status')).toMatchObject({
    status: 200,
    body: { config: expect.any(String) as string },
  })
  expect(await askAdmin(at, { path: '/admin/status' })).toMatchObject({
    status: 401,
    headers: {
      'www-authenticate': 'Bearer realm="admin"',
      'content-type': expect.stringContaining('application/problem+json') as string,
    },
    body: { status: 401, detail: expect.stringContaining('gateway.admin.token') as string },
  })
  const guesses = [
    '',
    'x',
    TOKEN.slice(1),
    `${TOKEN}x`,
    TOKEN.toLowerCase(),
    '*',
    'Bearer',
    'null',
    'undefined',
    ' ',
    '${ADMIN_TOKEN}',
    'a',
  ]
  const statuses: number[] = []
  for (const guess of guesses)
    statuses.push((await ask('/admin/config', { headers: { authorization: `Bearer ${guess}` } })).status)
  expect(new Set(statuses)).toEqual(new Set([401, 429]))
  // The right one is not kept out by wrong ones.
  const config = await ask('/admin/config')
  expect(config).toMatchObject({ status: 200, body: { gateway: { admin: { token: '${ADMIN_TOKEN}' } } } })
  expect(config.text).not.toContain(TOKEN)
  expect(served.said).not.toContain(TOKEN)
})

test('a page of a web site reaches nothing, whatever name leads it here', async () => {
  const { ask, port } = await scene()
  const pages: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${port}` },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-origin' },
    { host: 'evil.example' },
    { host: `evil.example:${port}` },
    { host: '127.0.0.1.evil.example' },
  ]
  for (const headers of pages) {
    const answer = await ask('/admin/config', { headers })
    expect([headers, answer.status]).toEqual([headers, 403])
    expect(answer.headers['access-control-allow-origin']).toBeUndefined()
  }
  const preflight = await ask('/admin/config', {
    method: 'OPTIONS',
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'PUT' },
  })
  expect(preflight.status).toBe(403)
  for (const host of ['localhost', `127.0.0.1:${port}`, `[::1]:${port}`])
    expect((await ask('/admin/status', { headers: { host } })).status).toBe(200)
})

describe('what is wrong is refused in one form, and says what to do', () => {
  test('paths, methods, bodies', async () => {
    const { ask } = await scene()
    const detail = async (path: string, more = {}): Promise<[number, string]> => {
      const { status, headers, body } = await ask(path, more)
      expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
      expect(body).toMatchObject({ type: 'about:blank', title: expect.any(String) as string, status })
      return [status, (body as { detail: string }).detail]
    }
    for (const path of [
      '/',
      '/admin',
      '/admin/',
      '/admin/status/',
      '/ADMIN/STATUS',
      '/admin/../etc/passwd',
      '/admin/%2e%2e/x',
      '//admin/status',
      '/admin/config/servers/a/b',
    ])
      expect([path, ...(await detail(path))]).toMatchObject([
        path,
        404,
        expect.stringContaining('openapi.json') as string,
      ])
    expect(await detail('/admin/config/servers/%E0%A4%A', { method: 'PATCH', body: '{}' })).toEqual([
      400,
      'The request cannot be read.',
    ])
    expect(await detail('/admin/reload')).toEqual([405, 'The method is not offered here. Use: POST.'])
    expect(await detail('/admin/status', { method: 'DELETE' })).toMatchObject([
      405,
      expect.any(String) as string,
    ])
    const post = (body: string, headers = {}): Promise<[number, string]> =>
      detail('/admin/reload', { method: 'POST', body, headers })
    expect(await post('{')).toEqual([400, 'The body is not valid JSON.'])
    expect(await post('dryRun=true', { 'content-type': 'application/x-www-form-urlencoded' })).toMatchObject([
      415,
      expect.any(String) as string,
    ])
    expect(await post('{}', { 'content-type': 'text/plain' })).toMatchObject([
      415,
      expect.any(String) as string,
    ])
    expect(await post('[]')).toEqual([422, 'The body is a JSON object.'])
    expect(await post('{"dry": true}')).toEqual([
      422,
      'The body has "dry", which is not known. It may have: dryRun.',
    ])
    expect(await post('{"dryRun": 1}')).toMatchObject([422, expect.any(String) as string])
    expect(await post('{"__proto__": {"dryRun": true}}')).toMatchObject([422, expect.any(String) as string])
    expect(await post(`${'['.repeat(100_000)}`)).toMatchObject([
      400,
      expect.stringContaining('deep') as string,
    ])
    expect(await post(`"${'x'.repeat(5 * 1024 * 1024)}"`)).toMatchObject([
      413,
      expect.stringContaining('4194304') as string,
    ])
    const server = '__proto__'
    for (const path of ['/admin/drain', '/admin/undrain', '/admin/restart'])
      expect(await detail(path, { method: 'POST', body: JSON.stringify({ server }) })).toMatchObject([
        422,
        expect.stringContaining('There is no server "__proto__"') as string,
      ])
    expect(
      await detail('/admin/drain', { method: 'POST', body: '{"server":"up","replica":"x"}' }),
    ).toMatchObject([422, expect.any(String) as string])
    expect((await ask('/admin/status')).status).toBe(200)
  })

  test('a connection that says nothing, or is not HTTP, does no harm', async () => {
    const { ask, port } = await scene()
    const silent = connect(port, '127.0.0.1')
    const odd = connect(port, '127.0.0.1')
    odd.end('\u0016\u0003\u0001\r\n\r\n')
    odd.resume().on('error', () => {})
    await new Promise(resolve => odd.once('close', resolve))
    expect((await ask('/admin/status')).status).toBe(200)
    silent.destroy()
  })
})

/** Holds connections with half a request, and opens each again when it is closed, until the end of the test. */
async function heldConnections(port: number, count: number): Promise<{ readonly closed: () => number }> {
  let opened = 0
  let closed = 0
  let isOver = false
  const sockets = new Set<Socket>()
  const hold = (): void => {
    const socket = connect(port, '127.0.0.1', () => {
      opened++
      socket.write('GET /admin/status HTTP/1.1\r\nHost: localhost\r\n')
    })
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => {
      closed++
      sockets.delete(socket)
      if (!isOver) setTimeout(hold, 20)
    })
  }
  for (let at = 0; at < count; at++) hold()
  onTestFinished(() => {
    isOver = true
    for (const socket of sockets) socket.destroy()
  })
  await expect.poll(() => opened, { timeout: 10_000 }).toBeGreaterThanOrEqual(count)
  return { closed: () => closed }
}

describe('connections that never finish a request do not keep the right token out', () => {
  test.each([
    ['when they are as many as a listener once took', 40, 0],
    ['when they are more than it takes, and come again at once', 200, 72],
  ])('%s', async (_, count, leastClosed) => {
    const { ask, port } = await scene()
    const { closed } = await heldConnections(port, count)
    for (let round = 0; round < 10; round++) {
      const since = performance.now()
      expect((await ask('/admin/status')).status).toBe(200)
      expect(performance.now() - since).toBeLessThan(2000)
    }
    expect(closed()).toBeGreaterThanOrEqual(leastClosed)
  })
})

test('an address without a credential, open to the network, or in use ends the start with the fix', async () => {
  const folder = folderForTest()
  const start = async (admin: object, http: object = {}): Promise<string> => {
    const file = folder.write('servers.json', {
      mcpServers: {},
      gateway: { http: { port: 0, ...http }, state: 'memory', admin },
    })
    const { code, stderr } = await runCommand(['serve', '--config', file], envOf(folder))
    expect(code).toBe(1)
    return stderr
  }
  expect(await start({ listen: '127.0.0.1:7333' })).toMatch(
    /gateway\.admin\.listen .*has no credential.* Set "gateway\.admin\.token"/,
  )
  expect(await start({ listen: '0.0.0.0:7333', token: TOKEN })).toMatch(
    /is open to the network.*gateway\.http\.tls/,
  )
  expect(await start({ listen: '7333', token: TOKEN })).toContain(
    'expected an address and a port, such as "127.0.0.1:7333"',
  )
  const short = await start({ listen: '127.0.0.1:7333', token: 'short-one' })
  expect(short).toContain('expected 16 to 512 visible characters')
  expect(short).not.toContain('short-one')
  const { port } = await scene()
  expect(await start({ listen: `127.0.0.1:${port}`, token: TOKEN })).toContain(
    `The admin API cannot listen on 127.0.0.1:${port}`,
  )
})
