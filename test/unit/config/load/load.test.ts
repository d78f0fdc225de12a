import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import {
  configFrom,
  findConfigFile,
  loadConfigFile,
  loadWithSource,
} from '../../../../src/config/load/load.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

const SERVER = { mcpServers: { a: { command: 'x' } } }

async function messageOf(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof Error ? error.message : 'nothing was thrown'
}

describe('finding the file', () => {
  test('the usual places in their order', async () => {
    await using scratch = makeScratch()
    const options = { cwd: join(scratch.path, 'project'), home: join(scratch.path, 'home'), env: {} }
    const ours = join(options.home, '.config', 'mcp-manifold')
    mkdirSync(options.cwd)
    mkdirSync(ours, { recursive: true })
    const places = [
      join(ours, 'servers.json'),
      join(options.cwd, 'mcp.json'),
      join(options.cwd, '.mcp.json'),
      join(options.cwd, 'servers.json'),
    ]
    for (const place of places) {
      writeFileSync(place, '{}')
      expect(await findConfigFile(options)).toBe(place)
    }
    expect(await findConfigFile({ ...options, file: 'other.json' })).toBe(join(options.cwd, 'other.json'))
    expect(await findConfigFile({ ...options, file: '~/other.json' })).toBe(join(options.home, 'other.json'))
  })

  test('XDG_CONFIG_HOME moves the one of the user', async () => {
    await using scratch = makeScratch()
    mkdirSync(join(scratch.path, 'mcp-manifold'))
    const file = scratch.write('mcp-manifold/servers.json', '{}')
    expect(
      await findConfigFile({ cwd: '/nowhere', home: '/nowhere', env: { XDG_CONFIG_HOME: scratch.path } }),
    ).toBe(file)
  })

  test('none: says where it looked and what to write', async () => {
    const message = await messageOf(loadConfigFile({ cwd: '/nowhere', home: '/home/nobody', env: {} }))
    expect(message).toContain('/nowhere/servers.json')
    expect(message).toContain('/nowhere/.mcp.json')
    expect(message).toContain('/home/nobody/.config/mcp-manifold/servers.json')
    expect(message).toContain('"mcpServers"')
  })

  test('a path that leads nowhere', async () => {
    await using scratch = makeScratch()
    expect(await messageOf(loadConfigFile({ file: join(scratch.path, 'x.json') }))).toContain(
      'there is no such file',
    )
    expect(await messageOf(loadConfigFile({ file: scratch.path }))).toContain('it is a directory')
  })
})

describe('reading the text', () => {
  test.each([
    ['lists', `{"mcpServers":{"a":{"command":"x","args":${'['.repeat(50_000)}${']'.repeat(50_000)}}}}`],
    ['objects', `{"mcpServers":{"a":{"command":"x","y":${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}}}}`],
    ['lists that are not closed', `// a comment\n{"mcpServers":${'['.repeat(50_000)}`],
  ])('%s nested without end are refused with the limit', async (_, text) => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    expect(await messageOf(loadConfigFile({ file }))).toContain('nested more than 64 deep')
  })

  test('a file that is far too large is refused with the limit', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', `{}${' '.repeat(17 * 1024 * 1024)}`)
    expect(await messageOf(loadConfigFile({ file }))).toContain(
      'larger than 16777216 bytes, which is the most',
    )
  })

  test('a byte order mark does not matter', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', `\uFEFF${JSON.stringify(SERVER)}`)
    expect((await loadConfigFile({ file })).servers).toHaveLength(1)
  })

  test.each([
    ['{ "a": { "command" "x" } }', 20, 'a colon is missing', 'Write one between the key and its value.'],
    [`{ 'a': { 'command': 'x' } }`, 3, 'a single quote', 'JSON takes double quotes: write "a".'],
    [`{ "a": { "command": 'sekrit', "args": ['x'] } }`, 21, 'a single quote', 'JSON takes double quotes.'],
    ['{ “a”: { “command”: “x” } }', 3, 'a typographic quote', 'JSON takes double quotes: write "a".'],
    ['{ "a": `x` }', 8, 'a typographic quote', 'JSON takes double quotes.'],
    ['{ a: { command: "x" } }', 3, 'a key without quotes', 'Write "a".'],
    ['{ "a": sekrit }', 8, 'a text without quotes', 'Put it in double quotes.'],
    ['{ "a": True }', 8, 'not as JSON writes it', 'Write true.'],
    ['{ "a": None }', 8, 'not as JSON writes it', 'Write null.'],
    ['{ "a" = 1 }', 7, '"="', 'A colon stands between a key and its value.'],
    ['{ "a": 1; "b": 2 }', 9, '";"', 'A comma stands between two values.'],
    ['{ # x\n}', 3, '"#"', 'A comment begins with //.'],
    ['{ "a": 1 "b": 2 }', 10, 'a comma is missing', 'Write one before it.'],
    ['{ "a": 1,, "b": 2 }', 10, 'there is a comma too much', 'Remove it.'],
    ['{ "a": }', 8, 'a value is missing', 'Write it there.'],
    ['{ "a": "x, "b": "sekrit" }', 13, 'a text ends before it', 'Add the double quote that is missing.'],
    ['{ "a": "x, "b": 1 }', 13, 'a text ends before it', 'Add the double quote that is missing.'],
    [
      '{ "a": "x }',
      8,
      'a text does not end in its line',
      'Add the double quote that is missing, or write \\n for a line break.',
    ],
    [
      '{ "a": "C:\\Users\\me" }',
      11,
      'a backslash that begins no escape',
      'Write each backslash of a path twice, as in "C:\\\\Users".',
    ],
    ['{ "a": 1 } { "b": 2 }', 12, 'more after its end', 'A file is one object: join the two.'],
    ['{ "a": 1 } x', 12, 'more after its end', 'Remove it.'],
    ['"a": { "command": "x" }', 4, 'more after its end', 'Put a "{" before all and a "}" after it.'],
    ['{ "a": 1 } /* x', 12, 'a comment does not end', 'Add the missing "*/".'],
  ])('the first mistake is said alone, with its fix: %s', async (text, column, cause, fix) => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    expect(await messageOf(loadConfigFile({ file }))).toBe(
      `The configuration ${file} has a problem:\n- the file is not JSON at line 1, column ${column}: ${cause}. ${fix}`,
    )
  })

  test.each([
    ['mcpServers:\n  files:\n    command: npx\n', 'files'],
    ['# mine\n---\nservers:\n  - name: x\n', 'name'],
    ['mcpServers: &all\n\n  "my files":\n    command: npx\n', 'my files'],
  ])('YAML is recognised, and the JSON to write is shown: %j', async (text, name) => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    expect(await messageOf(loadConfigFile({ file }))).toBe(
      `The configuration ${file} is YAML and must be JSON. Write its servers in this form:
  { "mcpServers": {
      "${name}": { "command": "npx", "args": ["-y", "server"] } } }`,
    )
  })

  test.each([
    ['config.toml', 'x'],
    ['a.json', '# mine\n[mcp_servers.files]\ncommand = "npx"\n'],
  ])('so is TOML: %s', async (name, text) => {
    await using scratch = makeScratch()
    const said = await messageOf(loadConfigFile({ file: scratch.write(name, text) }))
    expect(said).toContain('is TOML, as Codex has it, and must be JSON.')
    expect(said).toContain('{ "mcpServers": {')
  })

  test.each(['', ' \n', '// to do\n'])('an empty file shows what to write: %j', async text => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    expect(await messageOf(loadConfigFile({ file }))).toBe(
      `The configuration ${file} is empty. Write into it, for example:
  {
    "mcpServers": {
      "files": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "."] }
    }
  }`,
    )
  })

  test.each([
    [
      '{\n  "a": { "b": 1,\n  "c": 2\n}',
      'the file is not JSON: the "{" at line 2, column 8 is not closed before the end of the file. Add the missing "}".',
    ],
    [
      '{\n  "a": {\n    "b": [1, 2\n  }\n}',
      'the file is not JSON: the "[" at line 3, column 10 is not closed before the "}" at line 4, column 3. Add the missing "]".',
    ],
    [
      '{\n  "a": {\n    "b": {\n      "c": 1\n  },\n  "d": 1\n}',
      'the file is not JSON: the "{" at line 3, column 10 is not closed before the end of the file. Add the missing "}".',
    ],
    ['{ "a": 1 }\n}', 'the file has the "}" at line 2, column 1 too much. Remove it, or add what it closes.'],
  ])('a bracket without a counterpart is one problem: %j', async (text, said) => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    expect(await messageOf(loadConfigFile({ file }))).toBe(
      `The configuration ${file} has a problem:\n- ${said}`,
    )
  })

  test('the source comes along as it was written', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', { mcpServers: { a: { command: '${CMD}' } } })
    const { config, raw } = await loadWithSource({ file, env: { CMD: 'x' } })
    expect(raw).toEqual({ mcpServers: { a: { command: '${CMD}' } } })
    expect(config.servers[0]?.replicas[0]?.endpoint).toMatchObject({ command: 'x' })
  })
})

test('the folder of the project is found through the folders that clients use', async () => {
  await using scratch = makeScratch()
  mkdirSync(join(scratch.path, '.vscode'))
  const file = scratch.write('.vscode/mcp.json', {
    servers: { a: { command: '${workspaceFolder}/x', cwd: 'sub' } },
  })
  const config = await loadConfigFile({ file })
  expect(config.servers[0]?.replicas[0]?.endpoint).toMatchObject({
    command: join(scratch.path, 'x'),
    cwd: join(scratch.path, '.vscode', 'sub'),
  })
})

test('a value in the form of a file is taken too, without places in messages', async () => {
  expect((await configFrom(SERVER)).file).toBeUndefined()
  expect((await configFrom({ mcpServers: { a: {} } })).servers[0]?.problem).toBe(
    'mcpServers.a has neither a command nor a url. Add "command" for a program to start, or "url" for a remote server.',
  )
  expect(await messageOf(configFrom(null))).toContain('expected an object')
})

test('of a thousand problems the first twenty are shown, in the order of the file', async () => {
  await using scratch = makeScratch()
  const entries = Array.from({ length: 1000 }, (_, at) => [`s${at}`, { command: 'x', timeout: 'soon' }])
  const file = scratch.write('a.json', { mcpServers: Object.fromEntries(entries) })
  const { problems = '' } = await loadWithSource({ file })
  const [title, ...lines] = problems.split('\n')
  expect(title).toBe(`The configuration ${file} has 1000 problems:`)
  expect(lines).toHaveLength(21)
  lines.slice(0, 20).forEach((line, at) => expect(line).toContain(`- mcpServers.s${at}.timeout (line `))
  expect(lines.at(-1)).toBe('- and 980 more.')
})

/** Loads with fresh modules in which zod cannot be loaded. */
async function loadWithoutZod(...args: Parameters<typeof configFrom>): Promise<unknown> {
  vi.resetModules()
  vi.doMock('zod', () => {
    throw new Error('zod was loaded')
  })
  const fresh = await import('../../../../src/config/load/load.ts')
  return fresh.configFrom(...args)
}

describe('a configuration that is known to be valid', () => {
  afterEach(() => {
    vi.doUnmock('zod')
    vi.resetModules()
  })

  test('is resolved to the same without the schema', async () => {
    const file = {
      mcpServers: {
        a: { command: '${CMD}', timeout: '2m', cache: 'hints' },
        b: { url: 'https://b.example' },
      },
      gateway: { state: 'memory', http: { port: 0 } },
    }
    const remembered: string[] = []
    const options = {
      env: { CMD: 'x' },
      isKnownValid: async (hash: string) => remembered.includes(hash),
      rememberValid: async (hash: string) => void remembered.push(hash),
    }
    const checked = await configFrom(file, options)
    expect(remembered).toEqual([expect.stringMatching(/^[0-9a-f]{64}$/)])
    expect(await loadWithoutZod(file, options)).toEqual(checked)
    expect(remembered).toHaveLength(1)

    // What stands behind a variable counts too.
    const cause: unknown = expect.objectContaining({ message: 'zod was loaded' })
    await expect(loadWithoutZod(file, { ...options, env: { CMD: 'y' } })).rejects.toMatchObject({ cause })
  })

  test('invalid ones are not remembered', async () => {
    const rememberValid = vi.fn(async () => {})
    await configFrom({ mcpServers: { a: {} } }, { rememberValid })
    await configFrom({ mcpServers: { a: { command: '${UNSET}' } } }, { rememberValid, env: {} })
    await expect(configFrom({ gateway: { log: 'loud' } }, { rememberValid })).rejects.toThrow()
    expect(rememberValid).not.toHaveBeenCalled()
  })
})

describe("a problem in the entry of a server is that server's alone", () => {
  const broken = {
    'an unset variable': { url: 'https://x.example/mcp', headers: { Authorization: 'Bearer ${UNSET}' } },
    'a bad value': { command: 'x', timeout: 'soon' },
    'an unknown key': { comand: 'x' },
    'no endpoint': {},
    'a missing file of variables': { command: 'x', envFile: 'nowhere.env' },
    'a prefix that another server has': { command: 'x', prefix: 'good' },
    'a fallback that is not there': { command: 'x', fallback: 'elsewhere' },
    'a list in place of an entry': [],
  }

  test.each(Object.entries(broken))('%s', async (_, entry) => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', {
      mcpServers: { good: { command: 'x' }, bad: entry, other: { command: 'y', fallback: 'bad' } },
      profiles: { some: { servers: ['bad', 'other'] } },
    })
    const { config, problems } = await loadWithSource({ file, env: {} })
    expect(config.servers.map(({ name, problem }) => [name, problem !== undefined])).toEqual([
      ['good', false],
      ['bad', true],
      ['other', false],
    ])
    const bad = config.servers[1]
    expect(bad).toMatchObject({ replicas: [], tools: [] })
    expect(bad?.problem).toMatch(/^mcpServers\.bad/)
    expect(bad?.problem).toContain('(line ')
    expect(problems).toContain('has a problem:\n- mcpServers.bad')
    expect(config.profiles[0]?.servers).toEqual(['bad', 'other'])
  })

  test('what is required stays required', async () => {
    const { servers } = await configFrom(
      { mcpServers: { a: { required: true, command: '${UNSET}' } } },
      { env: {} },
    )
    expect(servers[0]).toMatchObject({ required: true, problem: expect.stringContaining('UNSET') })
  })

  test('a name in both sections is one server, and it is not guessed which was meant', async () => {
    const config = await configFrom({ mcpServers: { a: { command: 'x' } }, servers: { a: { command: 'y' } } })
    expect(config.servers).toMatchObject([
      { name: 'a', replicas: [], problem: expect.stringContaining('servers.a') },
    ])
  })

  test('a variable that the gateway itself needs stops everything', async () => {
    const file = { mcpServers: { a: { command: '${UNSET}' } }, gateway: { state: 'lmdb:${UNSET_FOLDER}' } }
    const message = await messageOf(configFrom(file, { env: {} }))
    expect(message).toContain('has 2 problems')
    expect(message).toContain('gateway.state')
    expect(message).toContain('mcpServers.a.command')
  })
})

test.each([
  ['localhost:3000/mcp', 'http://'],
  ['localhost', 'http://'],
  ['127.0.0.1:8080', 'http://'],
  ['[::1]:8080/mcp', 'http://'],
  ['devbox:3000/mcp', 'http://'],
  ['mcp.example.com/mcp', 'https://'],
  ['mcp.example.com:8080/mcp', 'http://'],
])('an address without a scheme gets one suggested: %s', async (url, scheme) => {
  const { servers } = await configFrom({ mcpServers: { a: { url } } })
  expect(servers[0]?.problem).toContain(`is "${url}": has no scheme. Write "${scheme}" in front of it.`)
})

test.each(['mcp', './mcp', '/mcp', 'ftp://x.example', 'mailto:a@b.example'])(
  '%s is no such address',
  async url => {
    const { servers } = await configFrom({ mcpServers: { a: { url } } })
    expect(servers[0]?.problem).not.toContain('has no scheme')
  },
)

describe('a key that stands twice in one object', () => {
  const problemsOf = async (text: string): Promise<string> => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', text)
    // The values are those of a file that was valid.
    const options = { file, isKnownValid: async () => true, rememberValid: async () => {} }
    return await loadWithSource(options).then(
      ({ problems = '' }) => problems,
      (error: Error) => error.message,
    )
  }

  test.each([
    [
      '{ "mcpServers": { "a": { "command": "x" },\n"a": { "command": "y" } } }',
      '- mcpServers.a (line 1, column 19) is there twice, the second time at line 2, column 1. Remove one of the two.',
    ],
    [
      '{ /* "mcpServers": */ "mcpServers": { "a": { "command": "x", // "command": {\n"c\\u006fmmand": "y", }, } }',
      '- mcpServers.a.command (line 1, column 46) is there twice, the second time at line 2, column 1. Remove one of the two.',
    ],
    [
      '{ "mcpServers": { "a": { "replicas": [{ "command": "x" }, { "url": "u", "url": "u",\n"url": "https://u.example" }] } } }',
      '- mcpServers.a.replicas[1].url (line 1, column 61) is there 3 times, the last time at line 2, column 1. Remove all but one.',
    ],
    ['{ "gateway": {},\n"gateway": {} }', '- gateway (line 1, column 3) is there twice'],
    [
      '{ "mcpServers": {\n"a\\"": {}, "a\\"": {} } }',
      '- mcpServers["a\\""] (line 2, column 1) is there twice',
    ],
  ])('is told, also where the values are known to be valid: %s', async (text, said) => {
    const problems = await problemsOf(text)
    expect(problems).toContain(said)
  })

  test('is none in another object, and in a value', async () => {
    expect(
      await problemsOf(
        '{ "mcpServers": { "a": { "command": "x", "args": ["a", "a", "\\"a\\":"] }, "b": { "command": "x" } } }',
      ),
    ).toBe('')
  })

  test('is a problem of its server where one of the two is disabled, and none inside a disabled entry', async () => {
    await using scratch = makeScratch()
    const names = async (servers: string): Promise<unknown> => {
      const file = scratch.write('a.json', `{ "mcpServers": { ${servers} } }`)
      const { config } = await loadWithSource({ file })
      return config.servers.map(({ name, problem }) => [name, problem !== undefined])
    }
    expect(await names('"a": { "command": "x" }, "a": { "disabled": true, "command": "x" }')).toEqual([
      ['a', true],
    ])
    expect(await names('"a": { "disabled": true, "command": "x", "command": "x" }')).toEqual([])
  })

  test('names twenty thousand within seconds', async () => {
    const lines = Array.from({ length: 20_000 }, (_, at) => `"V${at}": "${'x'.repeat(50)}",\n"V${at}": ""`)
    const text = `{ "mcpServers": { "a": { "command": "x", "env": {\n${lines.join(',\n')} } } } }`
    expect(await problemsOf(text)).toContain('- and 19980 more.')
  })
})

describe('servers that do not stand below "mcpServers"', () => {
  const messageFor = async (file: object): Promise<string> => messageOf(configFrom(file))

  test('are one problem, which says where they belong', async () => {
    const file = { files: { command: 'x', comand: 'y' }, remote: { url: 'https://x.example' } }
    expect(await messageFor(file)).toBe(
      'The configuration has a problem:\n- the file has the servers "files" and "remote" outside of "mcpServers". Put these under mcpServers: { "mcpServers": { "files": { … }, "remote": { … } } }.',
    )
  })

  test('of many, the first are named', async () => {
    const file = Object.fromEntries(['a', 'b', 'c', 'd', 'e'].map(name => [name, { command: 'x' }]))
    expect(await messageFor(file)).toContain('has the servers "a", "b", "c" and 2 more outside of')
  })

  test('leave other mistakes beside them to be said', async () => {
    const said = await messageFor({ mcpServers: {}, a: { command: 'x' }, gatway: {}, gateway: {} })
    expect(said).toContain('has the server "a" outside of "mcpServers". Put it under mcpServers')
    expect(said).toContain('Did you mean "gateway"?')
    expect(said).toContain('has 2 problems')
  })

  test('are told in the file of a client, which may have such things of its own', async () => {
    const { warnings } = await configFrom({
      mcpServers: { a: { command: 'x' } },
      theme: 'dark',
      b: { command: 'x' },
      statusLine: { type: 'command', command: 'x' },
    })
    expect(warnings).toContain(
      '"b" looks like a server and is left out, since it is outside of "mcpServers". Put it under mcpServers.',
    )
  })

  test('a single entry without a name is one problem, too', async () => {
    expect(await messageFor({ command: 'npx', args: ['-y', 'x'], env: {} })).toBe(
      'The configuration has a problem:\n- the file is the entry of one server without its name. Put it under mcpServers and a name: { "mcpServers": { "name": { … } } }.',
    )
  })
})

describe('a command that holds its arguments', () => {
  const problemOf = async (entry: object, env = {}): Promise<string | undefined> =>
    (await configFrom({ mcpServers: { a: entry } }, { env })).servers[0]?.problem

  test('is a problem of its server, with the command and the arguments to write', async () => {
    expect(await problemOf({ command: 'npx -y "my server"' })).toBe(
      'mcpServers.a.command holds arguments, so that no program of this name is found. Write "command": "npx", "args": ["-y", "my server"].',
    )
  })

  test('keeps the arguments that stand in "args" already, in a replica those that it inherits', async () => {
    expect(await problemOf({ command: 'npx -y', args: ['server', '${SOME}'] }, { SOME: 'x' })).toContain(
      'Write "command": "npx", "args": ["-y", "server", "${SOME}"].',
    )
    expect(await problemOf({ args: ['server'], replicas: [{ command: 'npx -y' }] })).toMatch(
      /mcpServers\.a\.replicas\[0\]\.command holds arguments.* Write "command": "npx", "args": \["-y", "server"\]\./,
    )
  })

  test('does not show what a variable stands for, nor a secret', async () => {
    const problem = await problemOf(
      { command: 'npx server --api-key sekrit ${SECRET}' },
      { SECRET: 'sekrit' },
    )
    expect(problem).toContain('"args": ["server", "--api-key", "***", "${SECRET}"]')
    expect(problem).not.toContain('sekrit')
  })

  test('is also one whose program is named by its path', async () => {
    expect(await problemOf({ command: `${process.execPath} /srv/files/server.js` })).toContain(
      `Write "command": "${process.execPath}", "args": ["/srv/files/server.js"].`,
    )
  })

  test('is not a path with a space in it', async () => {
    await using scratch = makeScratch()
    const program = scratch.write('my server', '')
    chmodSync(program, 0o755)
    for (const command of [program, 'C:\\Program Files\\nodejs\\npx.cmd', 'npx', 'npx '])
      expect(await problemOf({ command })).toBeUndefined()
    expect(await problemOf({ command: 'my server' }, { PATH: scratch.path })).toBeUndefined()
    expect(await problemOf({ command: './my server', cwd: scratch.path })).toBeUndefined()
  })
})
