import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FilesRead } from '../../../../src/config/load/files-read.ts'
import { loadWithSource, type Loaded } from '../../../../src/config/load/load.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

/** A folder with a `conf.d`. */
function folder(): Scratch {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  mkdirSync(join(scratch.path, 'conf.d/sub'), { recursive: true })
  return scratch
}

const load = (file: string, files?: FilesRead): Promise<Loaded> =>
  loadWithSource({ file, env: {}, home: '/home/ada', cwd: '/somewhere', ...(files && { files }) })

const messageOf = (file: string): Promise<string> =>
  load(file).then(
    () => 'loaded',
    (error: unknown) => (error as Error).message,
  )

const X = { command: 'x' }

test('a folder is included by name, with clients, roles and profiles, and hidden and other files are left out', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: 'conf.d', mcpServers: { main: X } })
  scratch.write('conf.d/20.json', { mcpServers: { b: X }, clients: { ci: { roles: ['r'] } } })
  scratch.write('conf.d/10.jsonc', '{ // with comments\n "servers": { "a": { "command": "x" } }, }')
  scratch.write('conf.d/30.json', { roles: { r: {} }, profiles: { p: { servers: ['main', 'b'] } } })
  scratch.write('conf.d/.10.json.swp', '{')
  scratch.write('conf.d/..data.json', '{')
  scratch.write('conf.d/10.json~', '{')
  scratch.write('conf.d/README.md', 'no JSON')
  const { config, includedFrom, problems } = await load(file)
  expect(problems).toBeUndefined()
  expect(config.servers.map(({ name }) => name)).toEqual(['main', 'b', 'a'])
  expect([config.clients, config.roles, config.profiles].map(list => list.map(({ name }) => name))).toEqual([
    ['ci'],
    ['r'],
    ['p'],
  ])
  expect(includedFrom.get('mcpServers.b')).toBe(join(scratch.path, 'conf.d/20.json'))
})

test('a list of patterns and files is included in its order, and each file once, the file itself not at all', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', {
    include: ['conf.d/team-*.json', 'conf.d', '*.json', '~/none-*.json'],
  })
  for (const name of ['a', 'team-2', 'team-1'])
    scratch.write(`conf.d/${name}.json`, { mcpServers: { [name]: X } })
  const failing = await messageOf(file)
  expect(failing).toContain('there is no folder /home/ada. Correct "include".')
  scratch.write('servers.json', { include: ['conf.d/team-*.json', 'conf.d', '*.json'] })
  expect((await load(file)).config.servers.map(({ name }) => name)).toEqual(['team-1', 'team-2', 'a'])
})

test('relative paths of an included file start at its folder', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: 'conf.d/sub' })
  scratch.write('conf.d/sub/b.env', 'A=from-env-file')
  scratch.write('conf.d/sub/b.txt', 'from-file\n')
  scratch.write('conf.d/sub/b.json', {
    mcpServers: {
      b: {
        command: 'x',
        cwd: 'here',
        envFile: 'b.env',
        env: { B: '${file:b.txt}' },
        roots: ['r', 'file:///abs'],
      },
      c: { replicas: [{ command: 'x', cwd: '..' }] },
      d: { url: 'https://d.example/mcp', headersHelper: './print-headers' },
    },
  })
  const { config, raw } = await load(file)
  const at = (name: string): string => join(scratch.path, 'conf.d/sub', name)
  const [b, c, d] = config.servers
  expect(b?.replicas[0]?.endpoint).toMatchObject({
    cwd: at('here'),
    env: { A: 'from-env-file', B: 'from-file' },
  })
  expect(b?.roots?.map(({ uri }) => uri)).toEqual([`file://${at('r')}`, 'file:///abs'])
  expect(c?.replicas[0]?.endpoint).toMatchObject({ cwd: join(scratch.path, 'conf.d') })
  expect(d?.replicas[0]?.endpoint).toMatchObject({
    headersHelper: {
      command: ['./print-headers'],
      cwd: join(scratch.path, 'conf.d/sub'),
      env: { CLAUDE_CODE_MCP_SERVER_NAME: 'd', CLAUDE_CODE_MCP_SERVER_URL: 'https://d.example/mcp' },
    },
  })
  expect(raw).toMatchObject({ mcpServers: { b: { cwd: 'here', env: { B: '${file:b.txt}' } } } })
})

test('a mistake in the entry of an included server is that server alone, with its file, line and column', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: 'conf.d', mcpServers: { main: X } })
  const other = scratch.write(
    'conf.d/a.json',
    '{\n  "mcpServers": {\n    "a": { "command": "x", "timeout": "soon" } }\n}',
  )
  const { config } = await load(file)
  expect(config.servers.map(({ name, problem }) => [name, problem])).toEqual([
    ['main', undefined],
    ['a', expect.stringContaining(`mcpServers.a.timeout (${other}, line 3, column 39) is "soon"`) as string],
  ])
})

test.each<[string, Record<string, string>, string]>([
  [
    'a name that two files have, in whichever section',
    { 'a.json': '{"servers":{"main":{"command":"x"}}}' },
    'servers.main (conf.d/a.json, line 1, column 13) is also in servers.json. Remove one of the two',
  ],
  [
    'a name that two included files have',
    { 'a.json': '{"clients":{"ci":{}}}', 'b.json': '{\n"clients":{"ci":{}}}' },
    'clients.ci (conf.d/b.json, line 2, column 12) is also in conf.d/a.json.',
  ],
  [
    'settings of the gateway in an included file',
    { 'a.json': '{"gateway":{}}' },
    'gateway (conf.d/a.json, line 1, column 2) cannot be included. An included file may have "mcpServers"',
  ],
  [
    'an included file that includes',
    { 'a.json': '{"include":"."}' },
    'include (conf.d/a.json, line 1, column 2) is in a file that is included itself.',
  ],
  [
    'a section of an included file that is none',
    { 'a.json': '{"clients":[]}' },
    'clients (conf.d/a.json, line 1, column 12) is a list: expected an object.',
  ],
  [
    'an included file that is not JSON',
    { 'a.json': '{\n  "clients": nothing }' },
    'The configuration conf.d/a.json has a problem:\n- the file is not JSON at line 2, column 14',
  ],
  [
    'a key that stands twice in an included file',
    { 'a.json': '{"roles":{"r":{},\n"r":{}}}' },
    'roles.r (conf.d/a.json, line 1, column 11) is there twice, the second time at line 2, column 1.',
  ],
])('%s is refused with its place', async (_, files, said) => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: 'conf.d', mcpServers: { main: X } })
  for (const [name, text] of Object.entries(files)) scratch.write(`conf.d/${name}`, text)
  expect((await messageOf(file)).replaceAll(`${scratch.path}/`, '')).toContain(said)
})

test('what cannot be included says so: no such file, too many, another form', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: 'none.json' })
  expect(await messageOf(file)).toContain(
    `none.json was not loaded: there is no such file. Check "include" in ${file}.`,
  )
  for (let at = 0; at < 257; at++) scratch.write(`conf.d/${at}.json`, '{}')
  scratch.write('servers.json', { include: 'conf.d' })
  expect(await messageOf(file)).toContain('"include" names 257 files, and 256 is the most.')
  scratch.write('servers.json', { include: { a: 1 } })
  expect(await messageOf(file)).toContain('expected a path or a list of paths')
})

test('every file that was read or looked for is noted, also when loading fails', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', { include: ['conf.d', 'none.json'] })
  scratch.write('conf.d/a.json', { mcpServers: { a: { command: 'x', envFile: 'a.env' } } })
  const files = new FilesRead()
  await load(file, files).catch(() => {})
  const noted = files.marks.map(({ path, kind }) => `${kind} ${path.slice(scratch.path.length + 1)}`)
  expect(noted).toEqual(['file servers.json', 'folder conf.d', 'file conf.d/a.json', 'file none.json'])
})

test('a pattern with twenty stars does not hold up the reading of a folder with a name of a hundred letters', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', {
    include: `conf.d/${'*a'.repeat(20)}*b.json`,
    mcpServers: { x: X },
  })
  scratch.write(`conf.d/${'a'.repeat(100)}.json`, { mcpServers: { a: X } })
  scratch.write(`conf.d/${'a'.repeat(100)}b.json`, { mcpServers: { b: X } })
  expect((await load(file)).config.servers.map(({ name }) => name)).toEqual(['x', 'b'])
})
