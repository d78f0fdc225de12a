import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { readFileSync } from 'node:fs'
import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, folderForTest, servingWithSocket, type AdminAnswer } from '../../helpers/admin-client.ts'

/** The secrets of a configuration file are sent to no address that the admin API was given. */

interface Scene {
  readonly text: () => string
  patch(name: string, body: object): Promise<AdminAnswer>
  change(how: (value: Config) => void): Promise<AdminAnswer>
}

// eslint-disable-next-line
type Config = any

async function scene(config: object, args: readonly string[] = []): Promise<Scene> {
  const folder = folderForTest()
  folder.write('secret.txt', 'FILESECRET')
  const file = folder.write('servers.json', {
    ...config,
    gateway: { http: { port: 0 }, state: 'memory', dns: { servers: ['127.0.0.1:9'] } },
  })
  const { socket } = await servingWithSocket(folder, file, { args })
  const write = async (
    method: string,
    path: string,
    body: (shown: Config) => object,
  ): Promise<AdminAnswer> => {
    const shown = await askAdmin(socket, { path: '/admin/config' })
    const headers = { 'if-match': String(shown.headers['etag']) }
    return askAdmin(socket, { method, path, body: body(shown.body), headers })
  }
  return {
    text: () => readFileSync(file, 'utf8'),
    patch: (name, body) => write('PATCH', `/admin/config/servers/${name}`, () => body),
    change: how =>
      write('PUT', '/admin/config', (shown: object) => {
        how(shown)
        return shown
      }),
  }
}

/** An address that counts the requests it gets. */
async function elsewhere(): Promise<{ readonly host: string; readonly seen: string[] }> {
  const seen: string[] = []
  const server = createServer((request, response) => {
    seen.push(JSON.stringify(request.headers))
    response.writeHead(404).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, seen }
}

const UP = 'http://127.0.0.1:9/mcp'

test('a masked secret goes to no other address, however the address is spelled', async () => {
  const { host, seen } = await elsewhere()
  const { patch, text } = await scene({
    mcpServers: {
      up: { url: UP, headers: { 'X-Api-Key': 'SUPERSECRET' } },
      many: { replicas: [{ url: UP }], headers: { 'X-Api-Key': 'SUPERSECRET' } },
      variable: { url: '${NOPE:-http://127.0.0.1:9}/mcp', headers: { 'X-Api-Key': 'SUPERSECRET' } },
    },
  })
  const before = text()
  for (const url of [
    `http://${host}/mcp`,
    `\${NOPE:-http://${host}/mcp}`,
    `\${NOPE:-http}://${host}/mcp`,
    `http://\${NOPE:-${host}}/mcp`,
    `http:\\\\${host}\\mcp`,
    `http:/${host}/mcp`,
    `http:${host}/mcp`,
    ` http://${host}/mcp`,
    `ht\ttp://${host}/mcp`,
    `HTTP://${host}/mcp`,
    `http://127.0.0.1:9@${host}/mcp`,
  ])
    for (const [name, body] of [
      ['up', { url }],
      ['up', { serverUrl: url, url: null }],
      ['up', { url: null, replicas: [{ url: UP }, { url }] }],
      ['many', { replicas: [{ url }] }],
      ['variable', { url }],
    ] as const) {
      const answer = await patch(name, body)
      expect([name, body, answer.status]).toEqual([name, body, 403])
      expect(answer.body.detail).toContain('Send its headers and other secrets with it')
    }
  expect(text()).toBe(before)
  expect(seen).toEqual([])
})

test('a secret is kept when the path alone changes, and the same one may be sent in full to another address', async () => {
  const { patch, text } = await scene({
    mcpServers: { up: { url: UP, headers: { 'X-Api-Key': 'SUPERSECRET' } } },
  })
  expect(await patch('up', { url: 'http://127.0.0.1:9/other' })).toMatchObject({ status: 200 })
  expect(text()).toContain('SUPERSECRET')
  const anew = { url: 'http://127.0.0.1:8/mcp', headers: { 'X-Api-Key': 'SUPERSECRET' } }
  expect(await patch('up', anew)).toMatchObject({ status: 200 })
})
