import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { startRegistry } from '../../fixtures/servers/registry.ts'
import { envOf, folderForTest } from '../../helpers/admin-client.ts'
import { bundleFile, withProgram } from '../../helpers/bundle-file.ts'
import { type CommandEnd, runBeside, runCommand, runIn } from '../../helpers/command-runs.ts'
import type { Scratch } from '../../helpers/scratch.ts'

/** `add` of what others describe: what is shown is what will run, and a refusal leaves everything as it was. */

const EMPTY = { mcpServers: {}, gateway: { state: 'memory' } }
const read = (file: string): string => readFileSync(file, 'utf8')

/** A folder with a configuration and a registry that has this server. */
async function sceneWith(
  described: object,
  meta: object = {},
): Promise<{
  readonly file: string
  readonly registry: string
  readonly add: (...args: string[]) => Promise<CommandEnd>
}> {
  const folder = folderForTest()
  const registry = await startRegistry({
    servers: [
      {
        server: { name: 'io.good/notes', version: '1.2.0', description: 'Notes', ...described },
        _meta: { 'io.modelcontextprotocol.registry/official': meta },
      },
    ],
  })
  onTestFinished(() => registry.close())
  const file = folder.write('servers.json', EMPTY)
  const env = withProgram(folder, 'npx')
  return {
    file,
    registry: registry.url,
    add: (...args) =>
      runCommand(['add', 'io.good/notes', '-c', file, '--registry', registry.url, ...args], env),
  }
}

const npm = (more: object = {}): object => ({
  packages: [
    {
      registryType: 'npm',
      identifier: '@good/notes',
      version: '1.2.0',
      transport: { type: 'stdio' },
      ...more,
    },
  ],
})

describe('what is shown', () => {
  test('is the command that runs, with defaults that were not typed, before it is agreed to and with --yes', async () => {
    const { file, add } = await sceneWith(
      npm({
        runtimeArguments: [{ type: 'positional', valueHint: 'folder', default: 'other-package' }],
        packageArguments: [
          { type: 'positional', valueHint: 'hidden', isSecret: true, default: '--eval=evil' },
          { type: 'named', name: '--note', default: 'two words' },
        ],
        environmentVariables: [
          { name: 'NOTES_TOKEN', isRequired: true, isSecret: true },
          { name: 'NOTES_MODE', default: 'fast ${HOME}' },
        ],
      }),
    )
    const command = "npx -y other-package @good/notes@1.2.0 --eval=evil --note 'two words'"
    const refused = await add('--set', 'NOTES_TOKEN=sekrit')
    expect(refused.code).toBe(1)
    const agreed = await add('--yes', '--set', 'NOTES_TOKEN=sekrit')
    expect(agreed.code).toBe(0)
    for (const { stderr } of [refused, agreed]) {
      expect(stderr).toContain(command)
      expect(stderr).toContain('NOTES_TOKEN=***')
      expect(stderr).toContain("NOTES_MODE='fast ${HOME}'")
      expect(stderr).not.toContain('sekrit')
    }
    expect(JSON.parse(read(file))).toMatchObject({
      mcpServers: {
        notes: { args: ['-y', 'other-package', '@good/notes@1.2.0', '--eval=evil', '--note', 'two words'] },
      },
    })
  })

  test('names the headers of an address, and what is missing in place of its value', async () => {
    const { add } = await sceneWith({
      remotes: [
        {
          type: 'streamable-http',
          url: 'https://notes.example/{tenant}/mcp',
          variables: { tenant: { isRequired: true } },
          headers: [{ name: 'X-Mode', value: 'slow' }],
        },
      ],
    })
    const { code, stderr } = await add()
    expect(code).toBe(1)
    expect(stderr).toContain('https://notes.example/<tenant>/mcp')
    expect(stderr).toContain('X-Mode: slow')
    expect(stderr).toContain('--set tenant=<value>')
  })

  test('has no character that hides or reorders others', async () => {
    const { add } = await sceneWith(
      npm({ packageArguments: [{ type: 'positional', valueHint: 'x', value: 'a\u202eb\u200bc' }] }),
    )
    expect((await add()).stderr).toContain(String.raw`'a\u202eb\u200bc'`)
  })

  test('says what was left out of a description, and why', async () => {
    const { file, add } = await sceneWith({
      packages: [
        { registryType: 'nuget', identifier: 'Notes' },
        ...(
          npm({
            environmentVariables: [
              { name: 'npm_config_registry', value: 'https://evil.example' },
              { name: 'MODE', value: 'x' },
            ],
          }) as { packages: object[] }
        ).packages,
      ],
    })
    const { code, stderr } = await add('--yes')
    expect(code).toBe(0)
    expect(stderr).toContain('npm_config_registry')
    expect(stderr).toContain('nuget')
    expect(read(file)).not.toContain('npm_config_registry')
    expect(JSON.parse(read(file))).toMatchObject({ mcpServers: { notes: { env: { MODE: 'x' } } } })
  })
})

describe('a registry', () => {
  test('that has withdrawn a server is believed', async () => {
    const { file, add } = await sceneWith(npm(), { status: 'deleted', statusMessage: 'malware' })
    const { code, stderr } = await add('--yes')
    expect(code).toBe(1)
    expect(stderr).toContain('has withdrawn io.good/notes (malware)')
    expect(JSON.parse(read(file))).toEqual(EMPTY)
  })

  test('that calls a server deprecated is quoted', async () => {
    const { add } = await sceneWith(npm(), { status: 'deprecated', statusMessage: 'use io.good/pad' })
    const { code, stderr } = await add('--yes')
    expect(code).toBe(0)
    expect(stderr).toContain('deprecated (use io.good/pad)')
  })

  test('that has a package elsewhere gets no package of that name from the public one', async () => {
    const { add } = await sceneWith(npm({ registryBaseUrl: 'https://npm.corp.example' }))
    const { code, stderr } = await add('--yes')
    expect(code).toBe(1)
    expect(stderr).toContain('https://npm.corp.example')
  })

  test('has TLS, unless it is of this machine, and its password is never printed', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', EMPTY)
    const plain = await runIn(folder, file, 'add', 'a/b', '--registry', 'http://10.255.255.1/')
    expect(plain.stderr).toContain('only https')
    for (const registry of [
      'https://ada:sekrit@127.0.0.1:9',
      'https://ada:sekrit@',
      'http://ada:sekrit@10.0.0.1',
    ]) {
      const { code, stdout, stderr } = await runIn(folder, file, 'add', 'a/b', '--registry', registry)
      expect(code).toBe(1)
      expect(stdout + stderr).not.toContain('sekrit')
    }
  })

  test('gets the password of its address as a header', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', EMPTY)
    let asked: string | undefined
    const registry = await startRegistry((request, response) => {
      asked = request.headers.authorization
      response.end('{"servers":[]}')
    })
    onTestFinished(() => registry.close())
    const { stderr } = await runIn(
      folder,
      file,
      'add',
      'a/b',
      '--registry',
      registry.url.replace('//', '//ada:sek%20rit@'),
    )
    expect(asked).toBe(`Basic ${Buffer.from('ada:sek rit').toString('base64')}`)
    expect(stderr).toContain(`There is no server "a/b" in ${registry.url}`)
  })
})

test('a taken name is refused before anything is asked for', async () => {
  const { file, add } = await sceneWith(
    npm({ environmentVariables: [{ name: 'NOTES_TOKEN', isRequired: true }] }),
  )
  writeFileSync(file, JSON.stringify({ ...EMPTY, mcpServers: { notes: { command: 'node' } } }))
  expect((await add('--yes')).stderr).toContain('There is a server "notes"')
})

const manifest = (more: object = {}): object => ({
  name: 'bundled',
  server: { type: 'node', entry_point: 'a.js' },
  ...more,
})
const bundlesOf = (folder: Scratch): string => join(folder.path, 'mcp-manifold', 'bundles')
/** The file that the entry of a server runs. */
const scriptOf = (file: string, server = 'bundled'): string =>
  (JSON.parse(read(file)) as { mcpServers: Record<string, { args: string[] }> }).mcpServers[server]
    ?.args[0] ?? ''

describe('the code of a bundle', () => {
  test('is replaced only with the entry, and a refusal leaves the old one', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', EMPTY)
    const first = bundleFile(folder, '1.mcpb', { 'manifest.json': manifest(), 'a.js': 'first' })
    const second = bundleFile(folder, '2.mcpb', { 'manifest.json': manifest(), 'a.js': 'second' })
    expect((await runIn(folder, file, 'add', first, '--yes')).code).toBe(0)
    const script = scriptOf(file)
    expect(read(script)).toBe('first')
    const before = readdirSync(bundlesOf(folder), { recursive: true })

    chmodSync(file, 0o444)
    const refused = await runIn(folder, file, 'add', second, '--yes', '--replace')
    expect(refused.stderr).toContain('read-only')
    expect(read(script)).toBe('first')
    expect(readdirSync(bundlesOf(folder), { recursive: true })).toEqual(before)

    chmodSync(file, 0o600)
    expect((await runIn(folder, file, 'add', second, '--yes', '--replace')).code).toBe(0)
    expect(read(scriptOf(file))).toBe('second')
    expect(existsSync(script)).toBe(false)
  })

  test('is unpacked to folders of its own for each file, and remove deletes that of its file alone', async () => {
    const folder = folderForTest()
    const path = bundleFile(folder, 'b.mcpb', { 'manifest.json': manifest(), 'a.js': 'x' })
    const [one, other] = ['one.json', 'other.json'].map(name => folder.write(name, EMPTY)) as [string, string]
    for (const file of [one, other]) expect((await runIn(folder, file, 'add', path, '--yes')).code).toBe(0)
    for (const name of ['A.b', 'a.b'])
      expect((await runIn(folder, one, 'add', path, '--yes', '--name', name)).code).toBe(0)
    const scripts = [scriptOf(one), scriptOf(other), scriptOf(one, 'A.b'), scriptOf(one, 'a.b')]
    expect(new Set(scripts).size).toBe(4)
    expect((await runIn(folder, one, 'remove', 'bundled')).code).toBe(0)
    expect(scripts.map(script => existsSync(script))).toEqual([false, true, true, true])
  })

  test('is gone after Ctrl+C while it is unpacked, and what killed runs have left goes with the next', async () => {
    const folder = folderForTest()
    const file = folder.write('servers.json', EMPTY)
    const many = Object.fromEntries(Array.from({ length: 8000 }, (_, at) => [`f${at}.js`, 'x']))
    const path = bundleFile(folder, 'b.mcpb', { 'manifest.json': manifest(), 'a.js': 'x', ...many })
    const isUnpacking = (): boolean =>
      existsSync(bundlesOf(folder)) && readdirSync(bundlesOf(folder)).length > 0
    const stopped = runBeside(folder, file, 'add', path, '--yes')
    await expect.poll(isUnpacking, { interval: 2 }).toBe(true)
    stopped.child.kill('SIGINT')
    const { code, stderr } = await stopped.end
    expect({ code, said: stderr.trim().split('\n').at(-1) }).toEqual({
      code: 130,
      said: 'Cancelled. Nothing was added.',
    })
    expect(readdirSync(bundlesOf(folder))).toEqual([])
    expect(JSON.parse(read(file))).toEqual(EMPTY)

    const killed = runBeside(folder, file, 'add', path, '--yes')
    await expect.poll(isUnpacking, { interval: 2 }).toBe(true)
    killed.child.kill('SIGKILL')
    await killed.end
    expect(readdirSync(bundlesOf(folder))).toHaveLength(1)
    const alive = `.new-${process.pid}-1`
    mkdirSync(join(bundlesOf(folder), alive))
    expect((await runIn(folder, file, 'add', path, '--yes')).code).toBe(0)
    expect(readdirSync(bundlesOf(folder)).filter(name => name.startsWith('.'))).toEqual([alive])
  })
})

test('a bundle that is a pipe is refused', async () => {
  const folder = folderForTest()
  const file = folder.write('servers.json', EMPTY)
  const pipe = join(folder.path, 'x.mcpb')
  await new Promise(resolve => spawn('mkfifo', [pipe]).once('close', resolve))
  const { code, stderr } = await runCommand(['add', pipe, '-c', file, '--yes'], envOf(folder))
  expect(code).toBe(1)
  expect(stderr).toContain('it is a pipe')
})
