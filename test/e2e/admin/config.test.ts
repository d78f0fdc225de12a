import { chmodSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import {
  askAdmin,
  envOf,
  folderForTest,
  servingWithSocket,
  socketsIn,
  type AdminAnswer,
} from '../../helpers/admin-client.ts'
import type { Scratch } from '../../helpers/scratch.ts'

/** The configuration file of a running gateway is read and changed over its admin socket. */

const SECRETS = ['s3cr3t-query', 'sk-live-0123456789abcdef', 'pw-of-proxy', 'abc123def']

const FILE = `{
  // The servers of the team.
  "mcpServers": {
    "search": {
      "url": "http://127.0.0.1:9/mcp?key=s3cr3t-query",
      "headers": { "Authorization": "Bearer abc123def", "x-ref": "\${TOKEN}" }, // Of the team.
      "timeout": "30s"
    },
    "tool": {
      "command": "node",
      "args": ["-e", "0", "--api-key", "sk-live-0123456789abcdef"],
      "env": { "PROXY": "pw-of-proxy" }
    }
  },
  "gateway": {
    "http": { "port": 0 }, // Any.
    "state": "memory"
  }
}
`

const env = { TOKEN: 'from-the-environment' }

// eslint-disable-next-line
type Config = any

interface Scene {
  readonly folder: Scratch
  readonly file: string
  readonly text: () => string
  get(): Promise<AdminAnswer>
  put(value: unknown, etag?: string): Promise<AdminAnswer>
  patch(name: string, value: unknown, etag?: string): Promise<AdminAnswer>
  /** Gets, changes and puts. */
  change(how: (value: Config) => void): Promise<AdminAnswer>
  readonly said: () => string
}

async function scene(text = FILE, args: readonly string[] = []): Promise<Scene> {
  const folder = folderForTest()
  const file = folder.write('servers.json', text)
  const { served, socket } = await servingWithSocket(folder, file, { args, env })
  const get = (): Promise<AdminAnswer> => askAdmin(socket, { path: '/admin/config' })
  const etagNow = async (): Promise<string> => String((await get()).headers['etag'])
  const put: Scene['put'] = async (value, etag) =>
    askAdmin(socket, {
      method: 'PUT',
      path: '/admin/config',
      body: JSON.stringify(value),
      headers: { 'if-match': etag ?? (await etagNow()) },
    })
  return {
    folder,
    file,
    text: () => readFileSync(file, 'utf8'),
    get,
    put,
    patch: async (name, value, etag) =>
      askAdmin(socket, {
        method: 'PATCH',
        path: `/admin/config/servers/${encodeURIComponent(name)}`,
        body: JSON.stringify(value),
        headers: { 'content-type': 'application/merge-patch+json', 'if-match': etag ?? (await etagNow()) },
      }),
    change: async how => {
      const { body } = await get()
      how(body)
      return put(body)
    },
    said: () => served.said,
  }
}

test('is shown as it is written, without the secrets in it, and sent back as it is it changes nothing', async () => {
  const { get, put, text } = await scene()
  const { status, headers, body, text: shown } = await get()
  expect(status).toBe(200)
  expect(headers['etag']).toMatch(/^"[\da-f]{32}"$/)
  expect(body).toMatchObject({
    mcpServers: {
      search: { headers: { Authorization: '***', 'x-ref': '${TOKEN}' }, timeout: '30s' },
      tool: { command: 'node', args: ['-e', '0', '--api-key', '***'], env: { PROXY: '***' } },
    },
  })
  for (const secret of [...SECRETS, env.TOKEN]) expect(shown).not.toContain(secret)
  expect(await put(body)).toMatchObject({ status: 200, body: { applied: true, changes: [] } })
  expect(text()).toBe(FILE)
})

test('a change is in effect when it is answered, and is written with the comments and the secrets of the file kept', async () => {
  const { change, text, get, file } = await scene()
  chmodSync(file, 0o640)
  const before = (await get()).headers['etag']
  const { status, headers, body } = await change(value => {
    value.mcpServers.search.timeout = '5s'
    value.mcpServers.more = { url: 'http://127.0.0.1:10/mcp' }
  })
  expect(body).toMatchObject({ applied: true })
  expect(status).toBe(200)
  expect(body.changes.join(' ')).toMatch(/"search".*"more"/)
  expect(headers['etag']).not.toBe(before)
  expect(headers['etag']).toBe((await get()).headers['etag'])
  const expected = FILE.replace('"30s"', '"5s"').replace(
    '"env": { "PROXY": "pw-of-proxy" }\n    }',
    '"env": { "PROXY": "pw-of-proxy" }\n    },\n    "more": {\n      "url": "http://127.0.0.1:10/mcp"\n    }',
  )
  expect(text()).toBe(expected)
  expect(statSync(file).mode & 0o777).toBe(0o640)
  expect(readdirSync(join(file, '..')).filter(name => name.startsWith('.servers'))).toEqual([])
})

test('one server is changed, added and removed by a merge patch', async () => {
  const { patch, text } = await scene()
  expect(await patch('search', { timeout: null, retry: true })).toMatchObject({ status: 200 })
  expect(text()).toContain(
    '"headers": { "Authorization": "Bearer abc123def", "x-ref": "${TOKEN}" }, // Of the team.',
  )
  expect(text()).not.toContain('timeout')
  expect(await patch('new one', { url: 'http://127.0.0.1:11/mcp' })).toMatchObject({ status: 200 })
  expect(text()).toContain('"new one": {')
  expect(await patch('new one', null)).toMatchObject({ status: 200 })
  expect(text()).not.toContain('new one')
  expect(await patch('nothing', null)).toMatchObject({ status: 404 })
})

test('a change without the state that it was made to, or to another one, is refused, and of two at once one wins', async () => {
  const { get, put, patch, text, folder } = await scene()
  const socketOf = (await import('../../helpers/admin-client.ts')).socketsIn(folder.path)[0] ?? ''
  expect(await askAdmin(socketOf, { method: 'PUT', path: '/admin/config', body: {} })).toMatchObject({
    status: 428,
    headers: { 'content-type': 'application/problem+json; charset=utf-8' },
  })
  const { body, headers } = await get()
  const etag = String(headers['etag'])
  for (const wrong of ['*', '"0"', etag.slice(0, -1), `W/${etag}`])
    expect(await put(body, wrong)).toMatchObject({ status: 412 })
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, at) => patch('search', { timeout: `${at + 1}s` }, etag)),
  )
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ status }) => status === 412)).toHaveLength(7)
  expect(text()).toMatch(/"timeout": "[1-8]s"/)
})

test('a change that an editor has written meanwhile is not lost', async () => {
  const { get, put, file, text } = await scene()
  const { body, headers } = await get()
  writeFileSync(file, FILE.replace('30s', '31s'))
  expect(await put({ ...body, clients: {} }, String(headers['etag']))).toMatchObject({ status: 412 })
  expect(text()).toBe(FILE.replace('30s', '31s'))
})

test('a configuration that is not valid is refused with place, value and fix, and changes nothing', async () => {
  const { change, patch, put, text } = await scene()
  expect(await patch('search', { timeout: '30 parsecs' })).toMatchObject({
    status: 422,
    body: { detail: expect.stringMatching(/timeout .*is "30 parsecs": expected a duration/) as string },
  })
  expect(await change(value => (value.gateway.http.port = 'many'))).toMatchObject({
    status: 422,
    body: { detail: expect.stringContaining('gateway.http.port') as string },
  })
  expect(
    await change(
      value => (value.clients = { ci: { rules: [{ effect: 'allow', match: ['x'], when: '1 +' }] } }),
    ),
  ).toMatchObject({ status: 422 })
  for (const body of [null, 7, 'x', []]) expect(await put(body)).toMatchObject({ status: 422 })
  expect(text()).toBe(FILE)
})

test('a secret that is not shown stays where it is: it is sent to no other address, and stands for nothing elsewhere', async () => {
  const { change, patch, text, put, get } = await scene()
  const moved = await patch('search', { url: 'http://evil.example/mcp' })
  expect(moved).toMatchObject({ status: 403, body: { detail: expect.stringContaining('secrets') as string } })
  const copied = await change(value => {
    value.mcpServers.other = { url: 'http://evil.example/mcp', headers: value.mcpServers.search.headers }
  })
  expect(copied).toMatchObject({
    status: 422,
    body: { detail: expect.stringContaining('mcpServers.other.headers') as string },
  })
  const renamed = await change(value => {
    value.mcpServers.renamed = value.mcpServers.search
    delete value.mcpServers.search
  })
  expect(renamed).toMatchObject({ status: 422 })
  expect(text()).toBe(FILE)

  expect(
    await patch('search', {
      url: 'http://127.0.0.1:12/mcp',
      headers: { Authorization: 'Bearer fresh-one-1' },
    }),
  ).toMatchObject({ status: 200 })
  expect(text()).toContain('Bearer fresh-one-1')
  const { body } = await get()
  expect(JSON.stringify(body)).not.toContain('fresh-one-1')
  expect(await put(body)).toMatchObject({ status: 200 })
})

const COMMANDS: readonly [string, (value: Config) => void][] = [
  ['a new server with a command', v => (v.mcpServers.evil = { command: 'sh', args: ['-c', 'id'] })],
  ['another command', v => (v.mcpServers.tool.command = 'sh')],
  ['other arguments', v => (v.mcpServers.tool.args = ['-e', 'process.exit()'])],
  ['another environment', v => (v.mcpServers.tool.env = { NODE_OPTIONS: '--require=/tmp/x.js' })],
  ['another folder', v => (v.mcpServers.tool.cwd = '/tmp')],
  ['a file with variables', v => (v.mcpServers.tool.envFile = '/tmp/env')],
  ['a replica with a command', v => (v.mcpServers.search.replicas = [{ command: 'sh' }])],
  ['another type', v => (v.mcpServers.search = { type: 'stdio', command: 'sh' })],
  ['a server of the other section', v => (v.servers = { evil: { command: 'sh' } })],
  ['a helper for headers', v => (v.mcpServers.search.headersHelper = 'sh -c id')],
  ['the value of an input', v => (v.inputs = [{ id: 'x', default: 'sh' }])],
  ['an include', v => (v.include = '/tmp/x')],
  ['a place for the audit log', v => (v.gateway.audit = { file: '/tmp/.profile' })],
  ['another state', v => (v.gateway.state = 'lmdb:/tmp/x')],
  ['another name server', v => (v.gateway.dns = { servers: ['127.0.0.1:9'] })],
  ['a file that is read', v => (v.mcpServers.search.headers['x-file'] = '${file:/etc/passwd}')],
]

test('without --allow-command-admin no program is defined or changed, nor what could do that, and the refusal says why', async () => {
  const { change, text, patch } = await scene()
  for (const [what, how] of COMMANDS) {
    const { status, body } = await change(how)
    expect([what, status]).toEqual([what, 403])
    expect(body.detail).toContain('--allow-command-admin')
  }
  expect(text()).toBe(FILE)
  // What is there may be switched off and on, limited and removed.
  expect(await patch('tool', { disabled: true })).toMatchObject({ status: 200 })
  expect(await patch('tool', { disabled: false, timeout: '5s' })).toMatchObject({ status: 200 })
  expect(await patch('tool', null)).toMatchObject({ status: 200 })
  expect(await patch('tool2', { command: 'node' })).toMatchObject({ status: 403 })
})

test('with --allow-command-admin a program may be defined', async () => {
  const { patch, text } = await scene(FILE, ['--allow-command-admin'])
  expect(await patch('tool', { args: ['-e', '1'] })).toMatchObject({ status: 200 })
  expect(text()).toContain('"args": ["-e", "1"]')
})

test('a file that cannot be written is refused with the reason, and nothing changes in the gateway', async () => {
  const readOnly = await scene()
  chmodSync(readOnly.file, 0o444)
  expect(await readOnly.patch('search', { timeout: '5s' })).toMatchObject({
    status: 409,
    body: { detail: `The file ${readOnly.file} is read-only. Nothing has changed.` },
  })
  chmodSync(readOnly.file, 0o644)

  const foreign = await scene(
    '{"mcpServers": {}, "theme": "dark", "gatewayX": 1}'.replace(', "gatewayX": 1', ''),
  )
  const shown = await foreign.get()
  expect(shown).toMatchObject({ status: 200, body: { mcpServers: {} } })
  expect(shown.text).not.toContain('dark')
  expect(await foreign.patch('a', { url: 'http://127.0.0.1:9' })).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('another program') as string },
  })
})

test('a server of an included file is not changed over the API, and the main file around it is', async () => {
  const folder = folderForTest()
  folder.write('more.json', { mcpServers: { other: { url: 'http://127.0.0.1:13/mcp' } } })
  const file = folder.write(
    'servers.json',
    FILE.replace('"mcpServers"', '"include": "more.json",\n  "mcpServers"'),
  )
  const { socket } = await servingWithSocket(folder, file, { env })
  const patch = async (name: string, body: object): Promise<AdminAnswer> => {
    const { headers } = await askAdmin(socket, { path: '/admin/config' })
    return askAdmin(socket, {
      method: 'PATCH',
      path: `/admin/config/servers/${name}`,
      body,
      headers: { 'if-match': String(headers['etag']) },
    })
  }
  expect(await patch('other', { timeout: '5s' })).toMatchObject({
    status: 409,
    body: { detail: expect.stringContaining('comes from an included file') as string },
  })
  expect(await patch('search', { timeout: '5s' })).toMatchObject({ status: 200 })
  expect(readFileSync(file, 'utf8')).toContain('"include": "more.json"')
})

test('a link is followed, and stays a link', async () => {
  const folder = folderForTest()
  const real = folder.write('real.json', FILE)
  const file = join(folder.path, 'servers.json')
  symlinkSync(real, file)
  const { socket } = await servingWithSocket(folder, file, { env })
  const { headers } = await askAdmin(socket, { path: '/admin/config' })
  const patched = await askAdmin(socket, {
    method: 'PATCH',
    path: '/admin/config/servers/search',
    body: { timeout: '4s' },
    headers: { 'if-match': String(headers['etag']) },
  })
  expect(patched.status).toBe(200)
  expect(readFileSync(real, 'utf8')).toBe(FILE.replace('30s', '4s'))
  expect(statSync(file).isFile()).toBe(true)
  expect(envOf(folder)['HOME']).toBe(folder.path)
})

test('each write has a line in the audit log, without secrets; reading and a dry run, refused or not, have none', async () => {
  const text = FILE.replace(
    '"gateway": {',
    '"clients": { "ci": {} },\n  "gateway": {\n    "audit": { "file": "audit.jsonl" },',
  )
  const { patch, get, folder, file } = await scene(text)
  const [socket = ''] = socketsIn(folder.path)
  const dryRun = (): ReturnType<typeof askAdmin> =>
    askAdmin(socket, { method: 'POST', path: '/admin/reload', body: { dryRun: true } })
  await get()
  expect(await dryRun()).toMatchObject({ status: 200 })
  writeFileSync(file, '{')
  expect(await dryRun()).toMatchObject({ status: 422 })
  writeFileSync(file, text)
  await patch('search', { headers: { Authorization: 'Bearer another-secret-1' } })
  await patch('search', { command: 'sh' })
  const lines = (): Config[] => {
    const content = readFileSync(join(folder.path, 'audit.jsonl'), 'utf8')
    expect(content).not.toContain('another-secret')
    return content
      .split('\n')
      .filter(line => line !== '')
      .map(line => JSON.parse(line) as Config)
  }
  await expect.poll(lines).toMatchObject([
    {
      event: 'admin',
      by: expect.stringMatching(/^socket uid=\d+$/) as string,
      action: 'PATCH /admin/config/servers/search',
      status: 200,
    },
    { event: 'admin', status: 403, detail: expect.stringContaining('mcpServers.search') as string },
  ])
  await askAdmin(socket, { method: 'POST', path: '/admin/reload' })
  await expect.poll(() => lines().at(-1)).toMatchObject({ status: 200, detail: 'Nothing has changed.' })
})
