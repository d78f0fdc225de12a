import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { runProgram, type Ended } from './program.ts'

/** The commands of the first run, as they are typed. */

const CURSOR =
  '{\n  "mcpServers": {\n    "files": { "command": "node", "args": ["f.js"], "env": { "TOKEN": "hidden" } }\n  }\n}\n'

let scratch: Scratch
let home: string
let cursor: string
let config: string
beforeEach(() => {
  scratch = makeScratch()
  home = scratch.path
  mkdirSync(join(home, '.cursor'))
  cursor = join(home, '.cursor', 'mcp.json')
  writeFileSync(cursor, CURSOR)
  config = join(home, '.config', 'mcp-manifold', 'servers.json')
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

const run = (...args: string[]): Promise<Ended> => runProgram(args, { cwd: home })
const text = (file: string): string => readFileSync(file, 'utf8')

test('init shows what it would do, does it, finds nothing more to do, and is undone', async () => {
  const shown = await run('init')
  expect(shown).toMatchObject({ code: 0, stderr: '' })
  expect(shown.stdout).toMatch(/files +node f\.js +Cursor +secret: TOKEN/)
  expect(shown.stdout).toContain('Nothing was changed. With --yes it is done without a question.')
  expect(shown.stdout).not.toContain('hidden')
  expect(text(cursor)).toBe(CURSOR)

  const done = await run('init', '--yes', '--name', 'all')
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout).toContain('Restart Cursor.')
  expect(done.stdout).toMatch(/To undo it, also weeks later: .* undo/)
  expect(JSON.parse(text(cursor))).toMatchObject({
    mcpServers: { all: { args: [expect.anything(), '--config', config] } },
  })
  expect(JSON.parse(text(config))).toHaveProperty('mcpServers.files.env.TOKEN', 'hidden')

  expect((await run('init', '--yes')).stdout).toContain('There is nothing to do: the gateway is in place.')
  expect(JSON.parse((await run('undo', '--json')).stdout)).toMatchObject([
    { kind: 'restore' },
    { kind: 'remove' },
  ])
  expect((await run('undo', '--list')).stdout).toMatch(/init +2 files/)
  expect((await run('undo', '--yes')).stdout).toContain('2 files were changed back.')
  expect(text(cursor)).toBe(CURSOR)
  expect((await run('undo', '--yes')).stdout).toContain('There is nothing to undo.')
})

test('--dry-run changes nothing, whatever stands beside it', async () => {
  const shown = await run('init', '--dry-run', '--yes')
  expect(shown.code).toBe(0)
  const plan = scratch.write('plan.json', (await run('init', '--json')).stdout)
  expect((await run('init', '--dry-run', '--apply', plan)).code).toBe(0)
  expect(text(cursor)).toBe(CURSOR)
  expect(existsSync(config)).toBe(false)
})

test('a file of many comments takes no time', async () => {
  mkdirSync(join(home, 'project'))
  writeFileSync(join(home, 'project', '.mcp.json'), `${'/**/'.repeat(60)}{}`)
  const began = performance.now()
  const { code } = await runProgram(['init', '--dry-run'], { cwd: join(home, 'project') })
  expect(code).toBe(0)
  expect(performance.now() - began).toBeLessThan(20_000)
})

test('a plan is printed, carried out, and refused once it is old', async () => {
  const { stdout } = await run('init', '--json')
  expect(stdout).not.toContain('hidden')
  const plan = scratch.write('plan.json', stdout)
  const applied = await run('init', '--apply', plan, '--json')
  expect(JSON.parse(applied.stdout)).toMatchObject({
    added: ['files'],
    files: [{ file: cursor, outcome: { state: 'changed' } }],
  })
  const again = await run('init', '--apply', plan)
  expect(again).toMatchObject({ code: 1, stdout: '' })
  expect(again.stderr).toMatch(/nothing was changed: .* has changed since\. Make a new one/)
  expect((await run('init', '--apply', cursor)).stderr).toContain('It is no plan of this version')
  expect((await run('init', '--apply', join(home, 'none.json'))).stderr).toContain('there is no such file')
})

test('init --keep changes no client file, and --only looks at some applications', async () => {
  await run('init', '--yes', '--keep')
  expect(text(cursor)).toBe(CURSOR)
  expect(JSON.parse(text(config))).toHaveProperty('mcpServers.files')
  expect((await run('init', '--only', 'zed')).stdout).toContain('No servers were found.')
  const wrong = await run('init', '--only', 'curser')
  expect(wrong).toMatchObject({ code: 1, stdout: '' })
  expect(wrong.stderr).toContain('There is no application "curser". Did you mean "cursor"?')
})

describe('install and uninstall', () => {
  test('add and remove one entry', async () => {
    const none = await run('install', 'cursor')
    expect(none.code).toBe(1)
    expect(none.stderr).toMatch(/There is no configuration .* init/)
    scratch.write('servers.json', { mcpServers: {} })
    expect((await run('install', 'cursor')).stdout).toContain('has the entry "gw". Restart Cursor.')
    expect(Object.keys((JSON.parse(text(cursor)) as { mcpServers: object }).mcpServers)).toEqual([
      'gw',
      'files',
    ])
    expect((await run('install', 'cursor')).stdout).toContain('has the entry "gw" already.')
    const http = await run('install', 'cursor', '--http', '--json')
    expect(JSON.parse(http.stdout)).toMatchObject({ state: 'changed', file: cursor })
    expect(JSON.parse(text(cursor))).toHaveProperty('mcpServers.gw', { url: 'http://127.0.0.1:3333/mcp' })
    expect((await run('uninstall', 'cursor')).stdout).toContain('has no entry of the gateway any more.')
    expect(text(cursor)).toBe(CURSOR)
    expect((await run('uninstall', 'cursor')).stdout).toContain(
      'No file of Cursor has an entry of the gateway.',
    )
  })

  test('an entry with a URL has the key that the gateway asks for, or is not written', async () => {
    scratch.write('servers.json', { mcpServers: {}, clients: { ci: {} } })
    const refused = await run('install', 'cursor', '--http')
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/keys create <client>[^]*install cursor --http --key <key>/)
    expect(text(cursor)).toBe(CURSOR)
    expect((await run('install', 'cursor', '--http', '--print')).stdout).toContain('Bearer <key>')
    expect((await run('install', 'cursor', '--key', 'k')).stderr).toContain('--key is for --http')
    expect((await run('install', 'cursor', '--http', '--key', '${env:KEY}')).code).toBe(0)
    expect(JSON.parse(text(cursor))).toHaveProperty('mcpServers.gw', {
      url: 'http://127.0.0.1:3333/mcp',
      headers: { Authorization: 'Bearer ${env:KEY}' },
    })
    const codex = await run('install', 'codex', '--http', '--key', 'k', '--print')
    expect(codex.stdout).toMatch(/http_headers.*[^]*Authorization = "Bearer k"/)
    for (const auth of [{ allowAnonymous: true }, { jwt: { issuer: 'https://issuer.example' } }]) {
      scratch.write('servers.json', { mcpServers: {}, clients: { ci: {} }, gateway: { auth } })
      expect((await run('install', 'cursor', '--http', '--print')).stdout).not.toContain('Authorization')
    }
  })

  test('print what to paste, and name what is not possible', async () => {
    scratch.write('servers.json', { mcpServers: {} })
    const codex = await run('install', 'codex', '--print')
    expect(codex.stdout).toMatch(/^\[mcp_servers\.gw\]\ncommand = /)
    const jetbrains = await run('install', 'jetbrains')
    expect(JSON.parse(jetbrains.stdout)).toHaveProperty('mcpServers.gw')
    expect(jetbrains.stderr).toContain('Paste this into the settings of JetBrains AI Assistant:')
    expect((await run('install', 'claude-desktop', '--http')).stderr).toContain('takes no URL in its file')
    expect((await run('install', 'windsurf', '--scope', 'project', '--print')).stderr).toContain(
      'has no file of the project',
    )
    expect((await run('install')).stdout).toMatch(/claude-desktop +Claude Desktop/)
  })

  test('a broken file is left, with the text to paste', async () => {
    scratch.write('servers.json', { mcpServers: {} })
    writeFileSync(cursor, '{')
    const { code, stdout, stderr } = await run('install', 'cursor')
    expect(code).toBe(1)
    expect(stderr).toMatch(/is not JSON.*Paste this into it:/s)
    expect(JSON.parse(stdout)).toHaveProperty('mcpServers.gw')
    expect(text(cursor)).toBe('{')
  })
})
