import { join } from 'node:path'
import { tmpdir } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { existsSync, readFileSync } from 'node:fs'
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
      let answer = await patch(name, body)
      // The admin API takes a bounded number of requests in a second.
      for (; answer.status === 429; answer = await patch(name, body)) await sleep(200)
      expect([name, body, answer.status]).toEqual([name, body, 403])
      expect(answer.body.detail).toContain('Send its headers and other secrets with it')
    }
  expect(text()).toBe(before)
  expect(seen).toEqual([])
})

test('a masked secret goes to no other virtual host of the same address', async () => {
  const { patch, text } = await scene({
    mcpServers: {
      up: { url: UP, headers: { 'X-Api-Key': 'SUPERSECRET' } },
      named: { url: UP, headers: { Host: 'one.example', 'X-Api-Key': 'SUPERSECRET' } },
      many: { replicas: [{ url: UP }], headers: { 'X-Api-Key': 'SUPERSECRET' } },
    },
  })
  const before = text()
  const headers = { host: 'other.example', 'X-Api-Key': '***' }
  for (const [name, body] of [
    ['up', { headers }],
    ['up', { headers: { HOST: 'other.example', 'X-Api-Key': '***' } }],
    ['named', { headers: { Host: 'other.example', 'X-Api-Key': '***' } }],
    ['many', { headers }],
    ['many', { replicas: [{ url: UP, headers: { host: 'other.example' } }] }],
  ] as const) {
    const answer = await patch(name, body)
    expect([name, body, answer.status]).toEqual([name, body, 403])
  }
  expect(text()).toBe(before)
  expect(await patch('named', { url: 'http://127.0.0.1:9/other' })).toMatchObject({ status: 200 })
  expect(await patch('named', { headers: { Host: '***', 'X-Api-Key': '***', 'X-More': 'y' } })).toMatchObject(
    {
      status: 200,
    },
  )
  expect(text()).toContain('one.example')
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

const REFERENCES = {
  inputs: [{ type: 'promptString', id: 'k', password: true, default: 'INPUTSECRET' }],
  mcpServers: {
    input: { url: UP, headers: { 'X-K': '${input:k}' } },
    file: { url: UP, headers: { 'X-K': '${file:./secret.txt}' } },
    scheme: { url: UP, headers: { Authorization: 'Key ${file:./secret.txt}' } },
    many: {
      replicas: [
        { url: UP, headers: { 'X-K': '${file:./secret.txt}' } },
        { url: 'http://127.0.0.1:7/mcp', headers: {} },
      ],
    },
    program: { command: 'node', args: ['-e', '0'], env: { K: '${file:./secret.txt}' } },
  },
}

test('a ${file:…} and an ${input:…} go to no other address and to no other place without --allow-command-admin', async () => {
  const { host, seen } = await elsewhere()
  const { patch, change, text } = await scene(REFERENCES)
  const before = text()
  const url = `http://${host}/mcp`
  for (const [name, body] of [
    ['input', { url }],
    ['file', { url }],
    ['scheme', { url }],
    ['file', { url: '${NOPE:-http://127.0.0.1:9}/mcp' }],
    ['file', { url: null, replicas: [{ url: UP }, { url }] }],
    ['file', { url: `${UP}?k=\${file:./secret.txt}` }],
    ['file', { prefix: '${input:k}' }],
    ['input', { headers: { 'X-K': null, 'X-L': '${input:k}' } }],
    ['program', { command: null, args: null, url, headers: { 'X-K': '${file:./secret.txt}' } }],
    ['evil', { url, headers: { 'X-K': '${input:k}' } }],
    ['evil', { url, headers: { 'X-K': '${file:./secret.txt}' } }],
    ['evil', { url, headers: { 'X-K': 'a${MORE:-b}${file:secret.txt}' } }],
  ] as const) {
    const answer = await patch(name, body)
    expect([name, body, answer.status]).toEqual([name, body, 403])
    expect(answer.body.detail).toMatch(/--allow-command-admin/)
  }
  for (const how of [
    (v: Config) => (v.mcpServers.many.replicas[1].headers = v.mcpServers.many.replicas[0].headers),
    (v: Config) => (v.mcpServers.many.replicas[0].url = url),
    (v: Config) => void ((v.servers = { other: v.mcpServers.file }), delete v.mcpServers.file),
    (v: Config) => (v.gateway.admin = { listen: '127.0.0.1:0', token: '${file:./secret.txt}' }),
  ])
    expect(await change(how)).toMatchObject({
      status: 403,
      body: {
        detail: expect.stringContaining('${file:…}, ${input:…}, ${keyring:…} and ${exec:…}') as string,
      },
    })
  expect(text()).toBe(before)
  expect(seen).toEqual([])
})

test('an ${exec:…} or a ${keyring:…} that is written over the admin API is refused, and its program does not run', async () => {
  const { patch, change, text } = await scene(REFERENCES)
  const before = text()
  const made = join(tmpdir(), `admin-exec-${process.pid}`)
  const program = `\${exec:${JSON.stringify([process.execPath, '-e', `fs.writeFileSync(${JSON.stringify(made)},'')`])}}`
  for (const [name, body] of [
    ['input', { headers: { 'X-K': program } }],
    ['evil', { url: UP, headers: { 'X-K': program } }],
    ['evil', { url: UP, headers: { 'X-K': '${keyring:a/b}' } }],
    ['evil', { url: UP, prefix: program }],
  ] as const)
    expect([name, body, (await patch(name, body)).status]).toEqual([name, body, 403])
  expect(await change((v: Config) => (v.gateway.log = program))).toMatchObject({ status: 403 })
  expect(existsSync(made)).toBe(false)
  expect(text()).toBe(before)
})

test('a server with a ${file:…} is changed in other ways, and its replicas change their order', async () => {
  const { patch, change, text } = await scene(REFERENCES)
  expect(await patch('file', { url: 'http://127.0.0.1:9/other', timeout: '5s' })).toMatchObject({
    status: 200,
  })
  expect(
    await change(({ mcpServers: { many } }) => (many.replicas = many.replicas.toReversed())),
  ).toMatchObject({ status: 200 })
  expect(text()).toMatch(/7\/mcp[^]*9\/mcp[^]*secret\.txt/)
  expect(await change(v => delete v.mcpServers.file)).toMatchObject({ status: 200 })
})

test('with --allow-command-admin a ${file:…} may be sent to another address', async () => {
  const { patch } = await scene(REFERENCES, ['--allow-command-admin'])
  expect(await patch('file', { url: 'http://127.0.0.1:8/mcp' })).toMatchObject({ status: 200 })
})
