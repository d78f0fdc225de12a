import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { askAdmin, folderForTest, servingWithSocket, type AdminAnswer } from '../../helpers/admin-client.ts'

/** What bodies of writes get that mean something else to the loader than to a reader. */

const FILE = `{
  "mcpServers": {
    "search": { "url": "http://127.0.0.1:9/mcp" },
    "tool": { "command": "node", "args": ["-e", "0"] }
  },
  "gateway": { "http": { "port": 0 }, "state": "memory" }
}
`
const SH = { command: 'sh', args: ['-c', 'id'] }

interface Scene {
  readonly text: () => string
  /** Names of the servers that run. */
  servers(): Promise<string[]>
  put(body: object | string): Promise<AdminAnswer>
  patch(path: string, body: object): Promise<AdminAnswer>
}

async function scene(args: readonly string[] = []): Promise<Scene> {
  const folder = folderForTest()
  const file = folder.write('servers.json', FILE)
  const { socket } = await servingWithSocket(folder, file, { args })
  const write = async (method: string, path: string, body: object | string): Promise<AdminAnswer> => {
    const { headers } = await askAdmin(socket, { path: '/admin/config' })
    return await askAdmin(socket, {
      method,
      path,
      body,
      headers: { 'if-match': String(headers['etag']) },
    })
  }
  return {
    text: () => readFileSync(file, 'utf8'),
    async servers() {
      const { body } = await askAdmin(socket, { path: '/admin/status' })
      return (body.servers as { name: string }[]).map(({ name }) => name)
    },
    put: async body => await write('PUT', '/admin/config', body),
    patch: async (name, body) => await write('PATCH', `/admin/config/servers/${name}`, body),
  }
}

const file = JSON.parse(FILE) as { mcpServers: object; gateway: object }
const withText = (text: string): string => FILE.replace('"tool":', `${text}, "tool":`)

const OTHER_FORMS: readonly [string, object][] = [
  ['OpenCode', { ...file, mcp: { evil: { type: 'local', command: ['sh', '-c', 'id'] } } }],
  ['OpenCode, over a server that is there', { ...file, mcp: { search: { command: ['sh'] } } }],
  ['settings of VS Code', { ...file, mcp: { servers: { evil: SH } } }],
  ['Zed', { ...file, context_servers: { evil: { source: 'custom', ...SH } } }],
  ['Zed, with an object', { ...file, context_servers: { evil: { command: { path: 'sh', args: [] } } } }],
  ['inputs of VS Code', { ...file, mcp: { servers: {}, inputs: [{ id: 'x', default: 'sh' }] } }],
]

test('a program in the form of another client is not written, with or without --allow-command-admin', async () => {
  for (const args of [[], ['--allow-command-admin']]) {
    const { put, servers, text } = await scene(args)
    for (const [what, body] of OTHER_FORMS) {
      const answer = await put(body)
      expect([what, answer.status]).toEqual([what, 422])
      expect(answer.body.detail).toContain('Put servers under "mcpServers"')
    }
    expect(await servers()).toEqual(['search', 'tool'])
    expect(text()).toBe(FILE)
  }
})

test('a program behind a name of every object, a key that is there twice, an escape or another spelling is not written', async () => {
  const { put, patch, servers, text } = await scene()
  const bodies: readonly [string, number, string][] = [
    ['a prototype of an entry', 422, withText('"evil": { "__proto__": { "command": "sh" } }')],
    ['a prototype of the section', 422, withText('"__proto__": { "command": "sh" }')],
    [
      'a prototype of a replica',
      422,
      withText('"evil": { "replicas": [{ "__proto__": { "command": "sh" } }] }'),
    ],
    ['a prototype of all', 422, FILE.replace('{', '{ "__proto__": { "mcpServers": {} },')],
    ['a key twice', 403, withText('"evil": { "url": "http://127.0.0.1:9/" }, "evil": { "command": "sh" }')],
    ['an escape', 403, withText('"evil": { "\\u0063ommand": "sh" }')],
    ['a variable', 403, withText('"evil": { "command": "${X:-sh}" }')],
    ['another case', 422, withText('"evil": { "Command": "sh" }')],
    ['a section of another case', 422, FILE.replace('{', '{ "McpServers": { "evil": { "command": "sh" } },')],
  ]
  for (const [what, status, body] of bodies) {
    const answer = await put(body)
    expect([what, answer.status]).toEqual([what, status])
  }
  expect(await patch('__proto__', { timeout: '5s' })).toMatchObject({ status: 422 })
  expect(await servers()).toEqual(['search', 'tool'])
  expect(text()).toBe(FILE)
})

test('a server with the name of what every object has is added, changed and removed', async () => {
  const { patch, servers, text } = await scene()
  expect(await patch('constructor', { url: 'http://127.0.0.1:9/mcp' })).toMatchObject({
    status: 200,
    body: { changes: ['Server "constructor" is added.'] },
  })
  expect(await servers()).toContain('constructor')
  expect(text()).toContain('"constructor"')
  expect(await patch('constructor', { tools: { toString: { hidden: true } } })).toMatchObject({ status: 200 })
  expect(text()).toContain('"toString"')
})
