import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { configFrom, findConfigFile, loadConfig, loadWithSource } from '../../../src/config/load.ts'
import { makeScratch } from '../../helpers/scratch.ts'

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
    const message = await messageOf(loadConfig({ cwd: '/nowhere', home: '/home/nobody', env: {} }))
    expect(message).toContain('/nowhere/servers.json')
    expect(message).toContain('/nowhere/.mcp.json')
    expect(message).toContain('/home/nobody/.config/mcp-manifold/servers.json')
    expect(message).toContain('"mcpServers"')
  })

  test('a path that leads nowhere', async () => {
    await using scratch = makeScratch()
    expect(await messageOf(loadConfig({ file: join(scratch.path, 'x.json') }))).toContain(
      'there is no such file',
    )
    expect(await messageOf(loadConfig({ file: scratch.path }))).toContain('it is a directory')
  })
})

describe('reading the text', () => {
  test('a byte order mark does not matter', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', `\uFEFF${JSON.stringify(SERVER)}`)
    expect((await loadConfig({ file })).servers).toHaveLength(1)
  })

  test('what is not JSON is located', async () => {
    await using scratch = makeScratch()
    const file = scratch.write('a.json', '{\n  "mcpServers": {\n    "a": { "command" "x" }\n  }\n}')
    expect(await messageOf(loadConfig({ file }))).toBe(
      `The configuration ${file} has a problem:\n- the file is not JSON at line 3, column 22: colon expected.`,
    )
  })

  test('an empty file is a problem, not a crash', async () => {
    await using scratch = makeScratch()
    expect(await messageOf(loadConfig({ file: scratch.write('a.json', '') }))).toContain(
      'is not JSON at line 1',
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
  const config = await loadConfig({ file })
  expect(config.servers[0]?.replicas[0]?.endpoint).toMatchObject({
    command: join(scratch.path, 'x'),
    cwd: join(scratch.path, '.vscode', 'sub'),
  })
})

test('a value in the form of a file is taken too, without places in messages', async () => {
  expect((await configFrom(SERVER)).file).toBeUndefined()
  expect(await messageOf(configFrom({ mcpServers: { a: {} } }))).toBe(
    'The configuration has a problem:\n- mcpServers.a has neither a command nor a url. Add "command" for a program to start, or "url" for a remote server.',
  )
  expect(await messageOf(configFrom(null))).toContain('expected an object')
})

test('of a thousand problems the first twenty are shown, in the order of the file', async () => {
  await using scratch = makeScratch()
  const entries = Array.from({ length: 1000 }, (_, at) => [`s${at}`, { command: 'x', timeout: 'soon' }])
  const file = scratch.write('a.json', { mcpServers: Object.fromEntries(entries) })
  const [title, ...lines] = (await messageOf(loadConfig({ file }))).split('\n')
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
  const fresh = await import('../../../src/config/load.ts')
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
    await expect(configFrom({ mcpServers: { a: {} } }, { rememberValid })).rejects.toThrow()
    await expect(
      configFrom({ mcpServers: { a: { command: '${UNSET}' } } }, { rememberValid, env: {} }),
    ).rejects.toThrow()
    expect(rememberValid).not.toHaveBeenCalled()
  })
})
