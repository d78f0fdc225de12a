import { execFile } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { makeScratch } from '../helpers/scratch.ts'

/** What an installation brings, besides the code. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LMDB = join(ROOT, 'dist/vendor/lmdb')
const run = promisify(execFile)

interface Locked {
  readonly dev?: boolean
  readonly hasInstallScript?: boolean
  readonly resolved?: string
}

function read<T>(file: string): T {
  return JSON.parse(readFileSync(join(ROOT, file), 'utf8')) as T
}

it('brings no package with an install script, which package managers refuse or warn of', () => {
  const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json')
  const scripted = Object.entries(packages).filter(
    ([, { dev, hasInstallScript }]) => hasInstallScript && !dev,
  )
  expect(scripted).toEqual([])
})

it('needs no other package: what it uses is in the build, and the rest is optional', () => {
  expect(read<{ dependencies?: object }>('package.json').dependencies).toBeUndefined()
})

it('has a lock file that names no registry', () => {
  const { packages } = read<{ packages: Record<string, Locked> }>('package-lock.json')
  expect(Object.values(packages).filter(({ resolved }) => resolved !== undefined)).toEqual([])
})

it('brings the binaries of the lmdb that is in the build', () => {
  const { optionalDependencies: brought } = read<{ optionalDependencies: object }>('package.json')
  const { optionalDependencies: needed } = read<{ optionalDependencies: object }>(
    'node_modules/lmdb/package.json',
  )
  expect(brought).toEqual({ ...needed, '@napi-rs/keyring': expect.stringMatching(/^[\d.]+$/) })
  const versionOf = (file: string): string => read<{ version: string }>(file).version
  expect(versionOf('dist/vendor/lmdb/package.json')).toBe(versionOf('node_modules/lmdb/package.json'))
})

it('opens a database by the lmdb of the build with nothing but the binary beside it', async () => {
  await using scratch = makeScratch()
  const folder = join(scratch.path, 'lmdb')
  cpSync(LMDB, folder, { recursive: true })
  mkdirSync(join(scratch.path, 'node_modules'))
  symlinkSync(join(ROOT, 'node_modules/@lmdb'), join(scratch.path, 'node_modules/@lmdb'), 'junction')
  const program = `
    const database = require('./lmdb').open({ path: 'data', noSubdir: false, encoding: 'binary' })
    database.put('key', Buffer.from('kept'))
      .then(() => { console.log(String(database.get('key'))); return database.close() })`
  const { stdout } = await run(process.execPath, ['-e', program], { cwd: scratch.path })
  expect(stdout).toBe('kept\n')
})

it('has the licences of what is in the build', () => {
  const inLmdb = readFileSync(join(LMDB, 'LICENSES.txt'), 'utf8')
  for (const name of ['lmdb', 'msgpackr', 'ordered-binary', 'weak-lru-cache', 'detect-libc'])
    expect(inLmdb).toMatch(licenceOf(name))
  const inProgram = readFileSync(join(ROOT, 'dist/bundle/LICENSES.txt'), 'utf8')
  for (const name of ['@redis/client', 'commander', 'express', 'jose', 'undici', 'winston', 'zod'])
    expect(inProgram).toMatch(licenceOf(name))
})

/** The line that names a package with its version and licence. */
function licenceOf(name: string): RegExp {
  return new RegExp(`^${name} \\d+\\.\\d+\\.\\d+ \\((?:MIT|Apache-2\\.0)\\)$`, 'm')
}

describe('the packed package, with no other package beside it', () => {
  const scratch = makeScratch()
  const modules = join(scratch.path, 'node_modules')
  const installed = join(modules, 'mcp-manifold')

  beforeAll(async () => {
    const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', scratch.path]
    const { stdout } = await run('npm', pack, { cwd: ROOT, shell: process.platform === 'win32' })
    const [{ filename }] = JSON.parse(stdout) as [{ filename: string }]
    writeFileSync(join(scratch.path, 'package.json'), '{"type":"module"}')
    mkdirSync(installed, { recursive: true })
    await run('tar', ['-xzf', join(scratch.path, filename), '-C', installed, '--strip-components=1'])
    // TypeScript programs bring the types of Node.js themselves.
    for (const name of ['@types/node', 'undici-types']) {
      mkdirSync(dirname(join(modules, name)), { recursive: true })
      symlinkSync(join(ROOT, 'node_modules', name), join(modules, name), 'junction')
    }
  })

  afterAll(() => scratch[Symbol.asyncDispose]())

  it('runs a gateway in a program of plain JavaScript', async () => {
    // It imports the package by its name.
    cpSync(join(installed, 'examples'), join(scratch.path, 'examples'), { recursive: true })
    const { stdout } = await run(process.execPath, ['examples/embed-stdio/client.js'], { cwd: scratch.path })
    expect(stdout).toMatch(/^home__time, home__zone, office__zone\n\d{4}-/)
  })

  it('gives a program of TypeScript every type of the API', async () => {
    writeFileSync(join(scratch.path, 'program.ts'), PROGRAM)
    const options = {
      compilerOptions: {
        module: 'NodeNext',
        target: 'ES2022',
        strict: true,
        exactOptionalPropertyTypes: true,
        noEmit: true,
        types: ['node'],
        skipLibCheck: true,
      },
      files: ['program.ts'],
    }
    writeFileSync(join(scratch.path, 'tsconfig.json'), JSON.stringify(options))
    const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
    const checked = run(process.execPath, [tsc, '-p', scratch.path])
    await expect(checked.catch((error: { stdout: string }) => error.stdout)).resolves.toMatchObject({
      stdout: '',
    })
  })

  it('keeps everything else to itself', async () => {
    const program = "import('mcp-manifold/dist/gateway/gateway.js').catch(({ code }) => console.log(code))"
    const { stdout } = await run(process.execPath, ['-e', program], { cwd: scratch.path })
    expect(stdout).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED\n')
  })

  it('has every file that its README refers to', () => {
    const links = [
      ...readFileSync(join(installed, 'README.md'), 'utf8').matchAll(/\]\((?!https?:|#)([^)#]+)/g),
    ].map(([, link]) => link as string)
    expect(links.length).toBeGreaterThan(8)
    expect(links.filter(link => !existsSync(join(installed, link)))).toEqual([])
  })
})

const PROGRAM = `
import { createServer } from 'node:http'
import { PassThrough } from 'node:stream'
import {
  createGateway,
  GatewayError,
  loadConfig,
  type Config,
  type Gateway,
  type GatewayStatus,
  type ReloadReport,
  type ServersFile,
  type Store,
} from 'mcp-manifold'

const file = {
  mcpServers: { files: { command: 'files-server', timeout: '1m' }, search: { url: 'https://search.example/mcp' } },
  clients: { ada: { deny: ['files/delete_*'] } },
  gateway: { log: 'warn' },
} satisfies ServersFile

// @ts-expect-error a command is a text
const wrong = { mcpServers: { files: { command: 1000 } } } satisfies ServersFile

// The type of an imported JSON file.
declare const imported: {
  mcpServers: { a: { type: string; url: string; isolation: string }; b: { command: string; args: string[]; env: { A: string } } }
  gateway: { log: string }
}
await loadConfig(imported)
// @ts-expect-error there is no such key
await loadConfig({ mcpServers: { files: { comand: 'files-server' } } })
const config: Config = await loadConfig(file)
declare const store: Store
const gateway: Gateway = await createGateway(config, { logger: console, store, env: { A: 'b' } })
await createGateway('servers.json', { store: 'memory' })
createServer(gateway.handler({ prefix: '/gateway' }))
const { url, port }: { url: string; port: number } = await gateway.listen()
await gateway.connectStdio(new PassThrough(), new PassThrough(), { client: 'ada' })
const status: GatewayStatus = gateway.status()
const names: readonly string[] = status.servers.map(({ name }) => name)
const off: () => void = gateway.on('request.ended', ({ durationMs }) => durationMs.toFixed())
// @ts-expect-error there is no such event
gateway.on('nothing', () => {})
off()
const report: ReloadReport = await gateway.reload(file)
const applied: boolean = report.applied
await gateway.close({ timeoutMs: 0 })
try {
  await createGateway({})
} catch (error) {
  if (error instanceof GatewayError && error.code === 'config') throw error
  // @ts-expect-error there is no such code
  if (error instanceof GatewayError && error.code === 'nothing') throw error
}
// @ts-expect-error what fronts need is not on it
gateway.viewOf('', undefined)
// @ts-expect-error a logger has four methods
await createGateway({}, { logger: { info: () => {} } })
export { wrong, url, port, names, applied }
`
