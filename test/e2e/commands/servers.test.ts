import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRegistry } from '../../fixtures/servers/registry.ts'
import { envOf, folderForTest, servingWithSocket } from '../../helpers/admin-client.ts'
import { bundleFile, withProgram } from '../../helpers/bundle-file.ts'
import { runCommand, runIn } from '../../helpers/command-runs.ts'
import { everything } from '../../helpers/real-servers.ts'
import { freePort } from '../../helpers/served.ts'

/** The commands that change which servers the configuration has. */

const WRITTEN = `{
  // what all of us use
  "mcpServers": {
    "first": { "command": "node", "args": [] }, // stays
  },
  "gateway": { "state": "memory", "http": { "port": 0 } }
}
`
const read = (file: string): string => readFileSync(file, 'utf8')

describe('add, disable, enable and remove', () => {
  test('change the file in place, and the running gateway takes each change over', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', WRITTEN)
    await servingWithSocket(folder, file)
    const { command, args } = everything
    const added = await runIn(folder, file, 'add', 'every', '--env', 'A=b', '--', command, ...args)
    expect({ code: added.code, stderr: added.stderr }).toMatchObject({ code: 0 })
    expect(added.stdout).toContain(`Added "every" to ${file}.`)
    expect(added.stdout).toMatch(/Gateway \d+ (?:has taken over|runs with this configuration already)/)
    expect(read(file)).toContain('// what all of us use')
    expect(read(file)).toContain('"first": { "command": "node", "args": [] }, // stays')
    const echo = await runIn(folder, file, 'call', 'every.echo', 'message=hi')
    expect(echo.stdout).toBe('Echo: hi\n')

    const disabled = await runIn(folder, file, 'disable', 'every', '--json')
    expect(JSON.parse(disabled.stdout)).toMatchObject({
      server: 'every',
      changed: true,
      gateways: [{ report: {} }],
    })
    expect((await runIn(folder, file, 'call', 'every.echo', 'message=hi')).code).toBe(1)
    const again = await runIn(folder, file, 'disable', 'every')
    expect(again.stdout).toBe(`"every" was disabled in ${file} already.\n`)
    await runIn(folder, file, 'enable', 'every')
    expect((await runIn(folder, file, 'call', 'every.echo', 'message=on')).stdout).toBe('Echo: on\n')

    const removed = await runIn(folder, file, 'remove', 'every')
    expect(removed.stdout).toContain(`Removed "every" from ${file}.`)
    expect(read(file)).toBe(WRITTEN)
  })

  test('what is not valid is refused, and the file stays as it is', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', WRITTEN)
    const refusals: [string[], string][] = [
      [['add', 'first', '--', 'x'], 'There is a server "first"'],
      [['add', 'new', '--', 'npx -y x'], 'holds arguments'],
      [['add', 'new', 'http://'], 'Nothing was written'],
      [['add', 'new', 'https://x.example/mcp', '--env', 'A=b'], '--env'],
      [['add', 'new', 'https://x.example/mcp', '--header', 'nothing'], 'has not the form'],
      [['add', 'new'], '"new" has no command. Write: mcp-manifold add new -- <command>'],
      [['remove', 'frist'], 'Did you mean "first"?'],
      [['enable', 'second'], 'There is no server "second"'],
    ]
    for (const [args, message] of refusals) {
      const { code, stdout, stderr } = await runIn(folder, file, ...args)
      expect({ code, stdout }, args.join(' ')).toEqual({ code: 1, stdout: '' })
      expect(stderr, args.join(' ')).toContain(message)
    }
    expect(read(file)).toBe(WRITTEN)
  })

  test('an address gets its headers, and a variable stays one', async () => {
    const folder = folderForTest()
    const file = join(folder.path, 'made', 'servers.json')
    const added = await runCommand(
      [
        'add',
        'search',
        'https://x.example/sse',
        '--transport',
        'sse',
        '--header',
        'Authorization: Bearer ${KEY:-none}',
        '-c',
        file,
      ],
      envOf(folder),
    )
    expect({ code: added.code, stderr: added.stderr }).toEqual({ code: 0, stderr: '' })
    expect(JSON.parse(read(file))).toEqual({
      mcpServers: {
        search: {
          type: 'sse',
          url: 'https://x.example/sse',
          headers: { Authorization: 'Bearer ${KEY:-none}' },
        },
      },
    })
    expect(statSync(file).mode & 0o777).toBe(0o600)
  })

  test('the file of another program, an included server and a file that is no JSON are left alone', async () => {
    const folder = folderForTest()
    const foreign = folder.write('zed.json', { context_servers: { a: { command: 'x' } } })
    expect((await runIn(folder, foreign, 'add', 'b', '--', 'node')).stderr).toContain(
      'is that of another program',
    )
    folder.write('more.json', { mcpServers: { far: { command: 'node' } } })
    const file = folder.write('servers.json', { include: ['more.json'], gateway: { state: 'memory' } })
    const included = await runIn(folder, file, 'remove', 'far')
    expect(included.stderr).toContain(join(folder.path, 'more.json'))
    const broken = folder.write('broken.json', '{ "mcpServers": {')
    expect((await runIn(folder, broken, 'add', 'b', '--', 'node')).code).toBe(1)
    expect(read(broken)).toBe('{ "mcpServers": {')
  })
})

const DESCRIBED = {
  name: 'io.example/notes',
  description: 'Notes',
  version: '1.2.0',
  packages: [
    {
      registryType: 'npm',
      identifier: '@example/notes',
      version: '1.2.0',
      transport: { type: 'stdio' },
      packageArguments: [{ type: 'positional', valueHint: 'folder', isRequired: true }],
      environmentVariables: [
        { name: 'NOTES_TOKEN', description: 'Token', isRequired: true, isSecret: true },
        { name: 'NODE_OPTIONS', value: '--require /tmp/evil.js' },
        { name: 'NOTES_MODE', default: 'fast ${HOME}' },
      ],
    },
    { registryType: 'pypi', identifier: 'notes', version: '1.2.0', transport: { type: 'stdio' } },
  ],
  remotes: [{ type: 'streamable-http', url: 'https://notes.example/mcp' }],
}

describe('add from a registry', () => {
  test('takes what runs here, shows it first, and keeps secrets and foreign variables out of the file', async () => {
    const folder = folderForTest()
    const registry = await startRegistry({
      servers: [{ server: DESCRIBED, _meta: {} }],
      metadata: { count: 1 },
    })
    onTestFinished(() => registry.close())
    const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const add = (env: Record<string, string>, ...args: string[]): ReturnType<typeof runCommand> =>
      runCommand(['add', 'io.example/notes', '-c', file, '--registry', registry.url, ...args], env)
    const npx = withProgram(folder, 'npx')

    const shown = await add(npx)
    expect(shown.code).toBe(1)
    expect(shown.stderr).toContain("would be: npx -y @example/notes@1.2.0 '<folder>'")
    expect(shown.stderr).toContain('It needs folder: --set folder=<value>')
    expect(shown.stderr).toContain('Add --yes')
    const incomplete = await add(npx, '--yes')
    expect(incomplete.stderr).toContain('It needs folder: --set folder=<value>')
    expect(JSON.parse(read(file))).toMatchObject({ mcpServers: {} })

    const added = await add(npx, '--yes', '--set', 'folder=/home/ada', '--set', 'NOTES_TOKEN=sekrit')
    expect({ code: added.code }, added.stderr).toEqual({ code: 0 })
    expect(added.stdout).toContain('Set the variable NOTES_TOKEN before the gateway starts.')
    expect(read(file)).not.toContain('sekrit')
    expect(JSON.parse(read(file))).toMatchObject({
      mcpServers: {
        notes: {
          command: 'npx',
          args: ['-y', '@example/notes@1.2.0', '/home/ada'],
          env: { NOTES_TOKEN: '${NOTES_TOKEN}', NOTES_MODE: 'fast $${HOME}' },
        },
      },
    })
    expect(read(file)).not.toContain('NODE_OPTIONS')
    expect(registry.asked[0]).toBe('/v0.1/servers?search=io.example%2Fnotes&version=latest&limit=100')

    const uvx = await add({ ...npx, PATH: '/nowhere' }, '--yes', '--name', 'far')
    expect(uvx.code).toBe(0)
    expect(JSON.parse(read(file))).toMatchObject({
      mcpServers: { far: { url: 'https://notes.example/mcp' } },
    })
  })

  test('a registry that is away, lies, or never ends is named', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const evil = {
      name: 'io.example/evil',
      packages: [
        { registryType: 'npm', identifier: '--eval=1', version: '1' },
        { registryType: 'npm', identifier: 'x', version: '1 --eval' },
        { registryType: 'oci', identifier: '--privileged' },
      ],
      remotes: [
        { type: 'streamable-http', url: 'http://10.0.0.1/mcp' },
        { type: 'streamable-http', url: 'file:///etc/passwd' },
      ],
    }
    const cases: [object | Parameters<typeof startRegistry>[0], string, string][] = [
      [
        { servers: [{ server: evil }] },
        'io.example/evil',
        'cannot be added. The package "--eval=1" is left out',
      ],
      [{ servers: [{ server: DESCRIBED }] }, 'io.example/nots', 'Did you mean "io.example/notes"?'],
      [{ servers: 5 }, 'a/b', 'has no list of servers'],
      [
        (_request, response) => void response.writeHead(302, { location: 'http://127.0.0.1:9/' }).end(),
        'a/b',
        'cannot be used',
      ],
      [(_request, response) => void response.writeHead(503).end(), 'a/b', 'status 503'],
      [(_request, response) => void response.end('{'), 'a/b', 'no JSON object'],
      [
        (_request, response) => {
          const more = (): void => {
            while (!response.destroyed && response.write(' '.repeat(65_536)));
            response.once('drain', more)
          }
          more()
        },
        'a/b',
        'more than 4194304 bytes',
      ],
    ]
    for (const [answer, name, message] of cases) {
      const registry = await startRegistry(answer)
      try {
        const { code, stderr } = await runIn(folder, file, 'add', name, '--yes', '--registry', registry.url)
        expect({ code }, message).toEqual({ code: 1 })
        expect(stderr).toContain(message)
      } finally {
        await registry.close()
      }
    }
    const away = await runIn(
      folder,
      file,
      'add',
      'a/b',
      '--yes',
      '--registry',
      `http://127.0.0.1:${await freePort()}`,
    )
    expect(away.stderr).toContain('ECONNREFUSED')
    expect(JSON.parse(read(file))).toEqual({ mcpServers: {}, gateway: { state: 'memory' } })
  })
})

const SERVER = `
const readline = require('node:readline').createInterface({ input: process.stdin })
readline.on('line', line => {
  const { id, method } = JSON.parse(line)
  const result = method === 'initialize'
    ? { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'b', version: '1' } }
    : method === 'tools/list' ? { tools: [{ name: 'where', inputSchema: { type: 'object' } }] }
    : method === 'tools/call' ? { content: [{ type: 'text', text: process.argv.slice(2).join('|') + process.env.MODE }] }
    : undefined
  const error = { code: -32601, message: 'no' }
  if (id !== undefined) process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, ...(result ? { result } : { error }) }) + '\\n')
})
`
const MANIFEST = {
  manifest_version: '0.3',
  name: 'bundled',
  version: '1.0.0',
  server: {
    type: 'node',
    entry_point: 'server/index.cjs',
    mcp_config: {
      command: 'node',
      args: ['${__dirname}/server/index.cjs', '${user_config.folders}', 'x${user_config.folders}'],
      env: { MODE: '-${user_config.mode}', PATH: '/evil' },
    },
  },
  user_config: {
    folders: { type: 'directory', title: 'Folders', required: true, multiple: true },
    mode: { type: 'string', title: 'Mode', default: 'slow' },
  },
}

describe('add from a bundle', () => {
  test('unpacks it, asks for its values, runs it, and remove deletes it', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const path = bundleFile(folder, 'b.mcpb', { 'manifest.json': MANIFEST, 'server/index.cjs': SERVER })
    const added = await runIn(folder, file, 'add', path, '--yes', '--set', 'folders=/a,/b')
    expect({ code: added.code }, added.stderr).toEqual({ code: 0 })
    const bundles = join(folder.path, 'mcp-manifold', 'bundles')
    expect(
      readdirSync(bundles, { recursive: true }).filter(name => String(name).endsWith('index.cjs')),
    ).toHaveLength(1)
    expect(read(file)).not.toContain('/evil')
    const called = await runIn(folder, file, 'call', 'bundled.where')
    expect({ stdout: called.stdout, code: called.code }).toEqual({ stdout: '/a|/b|x/a,/b-slow\n', code: 0 })
    const removed = await runIn(folder, file, 'remove', 'bundled')
    expect(removed.code).toBe(0)
    expect(readdirSync(bundles)).toEqual([])
  })

  test('one that leads out of its folder, lies or lacks its manifest is refused as a whole', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const cases: [Record<string, string | object> | string, string][] = [
      [{ 'manifest.json': MANIFEST, '../evil.js': 'x' }, 'holds the path "../evil.js"'],
      [{ 'manifest.json': MANIFEST, '/etc/evil': 'x' }, 'holds the path "/etc/evil"'],
      [{ 'manifest.json': MANIFEST, 'a\\..\\b': 'x' }, 'which is not allowed'],
      [{ 'manifest.json': MANIFEST, 'a.js': 'x', 'A.js': 'y' }, 'twice'],
      [{ 'server/index.cjs': SERVER }, 'has no manifest.json'],
      [{ 'manifest.json': '{' }, 'no JSON object'],
      [{ 'manifest.json': { name: 'x', server: { type: 'wasm' } } }, 'a type that is not known'],
      ['this is no zip', 'is no readable zip archive'],
    ]
    for (const [content, message] of cases) {
      const path =
        typeof content === 'string'
          ? folder.write('bad.mcpb', content)
          : bundleFile(folder, 'bad.mcpb', content)
      const { code, stderr } = await runIn(folder, file, 'add', path, '--yes')
      expect({ code }, message).toEqual({ code: 1 })
      expect(stderr).toContain(message)
    }
    expect(existsSync(join(folder.path, 'mcp-manifold', 'bundles'))).toBe(false)
    expect(JSON.parse(read(file))).toEqual({ mcpServers: {}, gateway: { state: 'memory' } })
  })
})
