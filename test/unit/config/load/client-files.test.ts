import { describe, expect, test } from 'vitest'
import { configFrom, loadConfigFile, loadWithSource } from '../../../../src/config/load/load.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

/** Files that belong to a client and hold more than servers. */

const OPTIONS = { env: { TOKEN: 'sekrit' }, home: '/home/ada', cwd: '/home/ada/project' }

test('~/.claude.json: servers of the user and of this project, and nothing else', async () => {
  const file = {
    numStartups: 12,
    theme: 'dark',
    tipsHistory: { 'a ${tip}': '${not a variable}' },
    mcpServers: { files: { type: 'stdio', command: 'files' }, db: { type: 'stdio', command: 'of-the-user' } },
    projects: {
      '/home/ada/project': {
        allowedTools: [],
        mcpServers: { db: { type: 'stdio', command: 'of-the-project' } },
      },
      '/home/ada/other': { mcpServers: { secret: { type: 'stdio', command: 'other' } } },
      '/home/ada/empty': { mcpServers: {} },
    },
  }
  const { servers, warnings } = await configFrom(file, OPTIONS)
  expect(servers).toMatchObject([
    { name: 'files', replicas: [{ endpoint: { command: 'files' } }] },
    { name: 'db', replicas: [{ endpoint: { command: 'of-the-project' } }] },
  ])
  expect(warnings).toEqual([
    'The file is that of another program: only its MCP servers are used, and "numStartups", "theme", "tipsHistory" and 1 more are left out.',
    'Servers of 1 other project in this file are left out.',
  ])
})

test('opencode.json: command as a list, environment, enabled, {env:…}', async () => {
  const file = {
    $schema: 'https://opencode.ai/config.json',
    model: 'x',
    server: { port: 4096 },
    mcp: {
      local: {
        type: 'local',
        command: ['npx', '-y', 'server'],
        environment: { KEY: '{env:TOKEN}', RAW: '${TOKEN}' },
        enabled: true,
      },
      remote: {
        type: 'remote',
        url: 'https://x.example/mcp',
        headers: { Authorization: 'Bearer {env:TOKEN}' },
        oauth: false,
        timeout: 5000,
      },
      off: { type: 'local', command: ['x'], enabled: false },
    },
  }
  const { servers } = await configFrom(file, OPTIONS)
  expect(servers).toMatchObject([
    {
      name: 'local',
      problem: undefined,
      replicas: [
        { endpoint: { command: 'npx', args: ['-y', 'server'], env: { KEY: 'sekrit', RAW: '${TOKEN}' } } },
      ],
    },
    {
      name: 'remote',
      problem: undefined,
      replicas: [{ endpoint: { headers: { authorization: 'Bearer sekrit' } } }],
    },
  ])
  expect(servers).toHaveLength(2)
})

test('settings.json of Zed: both forms of a command, addresses, extensions', async () => {
  const file = {
    theme: 'One Dark',
    profiles: { work: {} },
    context_servers: {
      custom: { source: 'custom', command: 'x', args: ['a'], env: { A: '1' } },
      old: { command: { path: 'y', args: ['b'], env: null }, settings: {} },
      remote: { url: 'https://x.example/mcp', headers: { Authorization: 'Bearer t' } },
      off: { enabled: false, command: 'z' },
      extension: { source: 'extension', settings: { key: 'k' } },
    },
  }
  const { servers, warnings, profiles } = await configFrom(file, OPTIONS)
  expect(servers).toMatchObject([
    {
      name: 'custom',
      problem: undefined,
      replicas: [{ endpoint: { command: 'x', args: ['a'], env: { A: '1' } } }],
    },
    { name: 'old', problem: undefined, replicas: [{ endpoint: { command: 'y', args: ['b'], env: {} } }] },
    { name: 'remote', problem: undefined },
  ])
  expect(profiles).toEqual([])
  expect(warnings).toContain('The server "extension" is left out: only its client knows how to start it.')
})

test('settings.json of VS Code: servers and inputs below "mcp"', async () => {
  const file = {
    'editor.fontSize': 12,
    mcp: {
      inputs: [{ id: 'key', type: 'promptString', default: 'typed' }],
      servers: { a: { type: 'stdio', command: 'x', env: { KEY: '${input:key}' } } },
    },
  }
  const { servers } = await configFrom(file, OPTIONS)
  expect(servers).toMatchObject([{ name: 'a', replicas: [{ endpoint: { env: { KEY: 'typed' } } }] }])
})

describe('a mistake is said where it stands', () => {
  test('in the file of OpenCode', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('opencode.json', {
      mcp: { a: { type: 'local', command: ['x', '{env:UNSET}'], environment: { B: 1, C: {} } } },
    })
    const { problems } = await loadWithSource({ ...OPTIONS, file })
    expect(problems).toMatch(/- mcp\.a\.command\[1\] \(line \d+, column \d+\) uses \$\{env:UNSET\}/)
    expect(problems).toMatch(/- mcp\.a\.environment\.C \(line \d+, column \d+\)/)
  })

  test('in the file of Zed', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('settings.json', {
      context_servers: { a: { command: { path: 'x', args: ['${UNSET}'] } } },
    })
    const { problems } = await loadWithSource({ ...OPTIONS, file })
    expect(problems).toMatch(/- context_servers\.a\.command\.args\[0\] \(line \d+, column \d+\)/)
  })

  test('and not where another program keeps something twice', async () => {
    await using scratch = makeScratch()
    const file = scratch.write(
      'settings.json',
      '{ "theme": 1, "theme": 2, "context_servers": { "a": { "command": "x" } } }',
    )
    expect((await loadWithSource({ ...OPTIONS, file })).problems).toBeUndefined()
    const twice = scratch.write(
      'b.json',
      '{ "context_servers": { "a": { "command": "x", "command": "y" }, "b": { "command": "x" } } }',
    )
    const { config } = await loadWithSource({ ...OPTIONS, file: twice })
    expect(config.servers.map(({ name, problem }) => [name, problem !== undefined])).toEqual([
      ['a', true],
      ['b', false],
    ])
  })
})

describe("a mistake of the gateway's own format is no key of another program", () => {
  test.each([
    [{ mcpServers: {}, cilents: { ci: {} } }, 'Did you mean "clients"?'],
    [{ mcpServers: {}, policy: { deny: ['*/*'] } }, 'policy'],
    [{ mcpServers: {}, gateway: {}, theme: 'dark' }, 'theme'],
    [{ mcpservers: {} }, 'Did you mean "mcpServers"?'],
    [{ name: 'package', version: '1' }, 'name'],
    [{ mcp: {}, gatway: {} }, 'Did you mean "gateway"?'],
  ])('%j', async (file, said) => {
    await expect(configFrom(file, OPTIONS)).rejects.toThrow(said)
  })
})

test('TOML is distinguished from JSON that is broken', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('config.toml', '[mcp_servers.a]\ncommand = "x"\n')
  await expect(loadConfigFile({ ...OPTIONS, file })).rejects.toThrow(/is TOML/)
})
