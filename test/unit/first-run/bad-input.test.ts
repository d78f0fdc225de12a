import { execFileSync } from 'node:child_process'
import { chmodSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkedPlan, type Plan } from '../../../src/first-run/plan.ts'
import { readRecords, type UndoRecord } from '../../../src/first-run/record.ts'
import { undo, undoSteps, type Undone } from '../../../src/first-run/undo.ts'
import { windowsFiles } from '../../../src/first-run/windows-homes.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { apply, contentsOf, look, runIn, writeIn, type Run } from './homes.ts'

/** What files get that are not as they should be, and what happens when a run is interrupted. */

const CURSOR = '{\n  "mcpServers": {\n    "files": { "command": "node", "args": ["f.js"] } // mine\n  }\n}\n'
const WINDSURF = '{ "mcpServers": { "mail": { "serverUrl": "https://mail.example/mcp/secret-path" } } }\n'

let scratch: Scratch
let run: Run
let cursor: string
let windsurf: string
beforeEach(() => {
  scratch = makeScratch()
  run = runIn(scratch.path, 'linux')
  cursor = writeIn(join(run.machine.home, '.cursor', 'mcp.json'), CURSOR)
  windsurf = writeIn(join(run.machine.home, '.codeium', 'windsurf', 'mcp_config.json'), WINDSURF)
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

const text = (file: string): string => readFileSync(file, 'utf8')
const copyOf = (plan: Plan): Plan => JSON.parse(JSON.stringify(plan)) as Plan
async function lastRecord(): Promise<UndoRecord> {
  const [record] = await readRecords(run.stateFolder)
  if (!record) throw new Error('there is no record')
  return record
}
async function undoLast(): Promise<Undone[]> {
  const record = await lastRecord()
  return await undo(run.stateFolder, record, await undoSteps(record), () => false)
}

describe('files that are not used', () => {
  test.each<[string, string | Buffer, RegExp]>([
    ['broken', '{ "mcpServers": {', /is not JSON: .*not closed/],
    ['not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), /not UTF-8/],
    ['too deep', `${'{"a":'.repeat(80)}1${'}'.repeat(80)}`, /nested too deep/],
  ])('one that is %s is left alone and named', async (_, content, problem) => {
    writeFileSync(windsurf, content)
    const found = await look(run)
    const planned = found.plan.files.find(({ file }) => file === windsurf)
    expect(planned).toMatchObject({ change: false, moved: [] })
    expect(planned?.problem).toMatch(problem)
    const applied = await apply(run, found)
    expect(applied.files.map(({ file }) => file)).toEqual([cursor])
    expect(readFileSync(windsurf)).toEqual(Buffer.from(content))
  })

  test('a pipe is not opened, and a folder is no file', async () => {
    execFileSync('mkfifo', [join(run.machine.home, '.claude.json')])
    mkdirSync(join(run.machine.home, '.gemini', 'settings.json'), { recursive: true })
    const { plan } = await look(run)
    expect(plan.files.filter(({ problem }) => problem !== undefined).map(({ problem }) => problem)).toEqual([
      expect.stringMatching(/it is a pipe/),
      expect.stringMatching(/it is a directory/),
    ])
  })

  test('a broken configuration stops the run, and nothing is changed', async () => {
    writeIn(run.configFile, '{ "mcpServers": ')
    const before = contentsOf(scratch.path)
    await expect(look(run)).rejects.toThrow(/is not JSON.*Correct it first/s)
    expect(contentsOf(scratch.path)).toEqual(before)
  })

  test('a file that is written in a way that cannot be changed is left, with the text to paste', async () => {
    writeFileSync(
      cursor,
      '{ "mcpServers": { "a": { "command": "x" } }, "mcpServers": { "b": { "command": "y" } } }',
    )
    const before = text(cursor)
    const applied = await apply(run, await look(run))
    const left = applied.files.find(({ file }) => file === cursor)
    expect(left?.outcome).toMatchObject({
      state: 'left',
      reason: expect.stringMatching(/cannot be changed|twice/),
    })
    expect(JSON.parse(left?.snippet ?? '')).toHaveProperty('mcpServers.gw')
    expect(text(cursor)).toBe(before)
  })
})

describe('files that change', () => {
  test('a plan is refused when a file or the configuration is another one', async () => {
    const { plan } = await look(run)
    writeFileSync(cursor, `${CURSOR}\n`)
    expect(checkedPlan(copyOf(plan), (await look(run)).plan)).toBe(`${cursor} has changed since.`)
    writeFileSync(cursor, CURSOR)
    writeIn(run.configFile, '{}')
    expect(checkedPlan(copyOf(plan), (await look(run)).plan)).toBe(`${run.configFile} has changed since.`)
  })

  test('a plan may leave things out, and says nothing else', async () => {
    const { plan } = await look(run)
    const edited = copyOf(plan)
    Object.assign(edited.servers[0] ?? {}, { take: false })
    expect(checkedPlan(edited, plan)).toEqual(edited)
    for (const wrong of [
      { ...copyOf(plan), version: 2 },
      { ...copyOf(plan), servers: [...plan.servers, { ...plan.servers[0], name: 'more' }] },
      { ...copyOf(plan), config: { ...plan.config, file: '/etc/passwd' } },
      { ...copyOf(plan), servers: 'all' },
      [],
      null,
    ])
      expect(typeof checkedPlan(wrong, plan)).toBe('string')
  })

  test('what a plan leaves out stays where it is', async () => {
    const found = await look(run)
    const plan = copyOf(found.plan)
    Object.assign(plan.servers.find(({ name }) => name === 'mail') ?? {}, { take: false })
    await apply(run, found, plan)
    expect(Object.keys((JSON.parse(text(run.configFile)) as { mcpServers: object }).mcpServers)).toEqual([
      'files',
    ])
    expect(text(windsurf)).toBe(WINDSURF)
  })

  test('a file that changes between the plan and its turn is left as it is now', async () => {
    const found = await look(run)
    writeFileSync(windsurf, '{ "mcpServers": {} } // changed\n')
    const applied = await apply(run, found)
    expect(applied.files.find(({ file }) => file === windsurf)?.outcome).toEqual({
      state: 'left',
      reason: 'has changed meanwhile',
    })
    expect(text(windsurf)).toBe('{ "mcpServers": {} } // changed\n')
    expect(text(cursor)).toContain('"gw"')
  })

  test('undo of a file that has changed since takes the entry out and puts back what was moved', async () => {
    await apply(run, await look(run))
    writeFileSync(
      cursor,
      text(cursor)
        .replace('{\n', '{\n  // new\n  "theme": 1,\n')
        .replace('"gw": {', '"extra": {\n      "command": "e"\n    },\n    "gw": {'),
    )
    expect(await undoLast()).toMatchObject([
      { step: { kind: 'restore' } },
      { step: { kind: 'edit' } },
      { step: { kind: 'remove' } },
    ])
    expect(JSON.parse(text(cursor).replaceAll(/\/\/.*/g, ''))).toEqual({
      theme: 1,
      mcpServers: { files: { command: 'node', args: ['f.js'] }, extra: { command: 'e' } },
    })
    expect(text(cursor)).toContain('// new')
    expect(text(windsurf)).toBe(WINDSURF)
  })

  test('a configuration that has changed since stays', async () => {
    await apply(run, await look(run))
    writeFileSync(run.configFile, '{ "mcpServers": { "own": { "command": "o" } } }')
    const config = (await undoLast()).at(-1)
    expect(config?.outcome).toMatchObject({
      state: 'left',
      reason: expect.stringContaining('has changed since'),
    })
    expect(text(run.configFile)).toContain('"own"')
    expect(text(cursor)).toBe(CURSOR)
    expect(await readRecords(run.stateFolder)).toEqual([])
  })
})

describe('files that cannot be written', () => {
  test('a read-only file is named, and all others are changed; undo names it as well, and works later', async () => {
    chmodSync(windsurf, 0o444)
    const applied = await apply(run, await look(run))
    expect(applied.files.find(({ file }) => file === windsurf)?.outcome).toEqual({
      state: 'left',
      reason: 'is read-only',
    })
    expect(text(windsurf)).toBe(WINDSURF)
    chmodSync(cursor, 0o444)
    const configured = text(run.configFile)
    expect((await undoLast()).find(({ step }) => step.recorded.file === cursor)?.outcome).toEqual({
      state: 'left',
      reason: 'is read-only',
    })
    // The entry that is still there starts a gateway that needs it.
    expect(text(run.configFile)).toBe(configured)
    chmodSync(cursor, 0o644)
    await undoLast()
    expect(text(cursor)).toBe(CURSOR)
    expect(await readRecords(run.stateFolder)).toEqual([])
  })

  test('without the configuration no client file is changed', async () => {
    writeIn(join(scratch.path, 'config'), 'a file where a folder should be')
    const applied = await apply(run, await look(run))
    expect(applied.config.state).toBe('left')
    expect(text(cursor)).toBe(CURSOR)
    expect(text(windsurf)).toBe(WINDSURF)
  })

  test('a link is written through and stays one', async () => {
    const dotfile = writeIn(join(scratch.path, 'dotfiles', 'cursor.json'), CURSOR)
    execFileSync('rm', [cursor])
    symlinkSync(dotfile, cursor)
    chmodSync(dotfile, 0o600)
    await apply(run, await look(run))
    expect(lstatSync(cursor).isSymbolicLink()).toBe(true)
    expect(text(dotfile)).toContain('"gw"')
    expect(lstatSync(dotfile).mode & 0o777).toBe(0o600)
    await undoLast()
    expect(lstatSync(cursor).isSymbolicLink()).toBe(true)
    expect(text(dotfile)).toBe(CURSOR)
  })

  test('two names of one file are one file', async () => {
    execFileSync('rm', [windsurf])
    symlinkSync(cursor, windsurf)
    const { plan } = await look(run)
    expect(plan.files).toHaveLength(1)
  })
})

describe('servers', () => {
  test('of two with one name and other values both are kept', async () => {
    writeFileSync(windsurf, '{ "mcpServers": { "files": { "command": "node", "args": ["other.js"] } } }')
    const found = await look(run)
    expect(found.plan.servers.map(({ name, conflict }) => [name, conflict])).toEqual([
      ['files', undefined],
      ['files-windsurf', 'files'],
    ])
    await apply(run, found)
    expect(JSON.parse(text(run.configFile))).toEqual({
      mcpServers: {
        files: { command: 'node', args: ['f.js'] },
        'files-windsurf': { command: 'node', args: ['other.js'] },
      },
    })
  })

  test('of the configuration stay as they are written, and the same one is not added again', async () => {
    const own =
      '{\n  // mine\n  "mcpServers": {\n    "docs": { "command": "node", "args": ["f.js"] },\n    "mail": { "command": "m" }\n  }\n}\n'
    writeIn(run.configFile, own)
    const found = await look(run)
    expect(found.plan.servers.map(({ name, isKnown }) => [name, isKnown])).toEqual([
      ['docs', true],
      ['mail-windsurf', false],
    ])
    await apply(run, found)
    expect(text(run.configFile).startsWith(own.slice(0, own.indexOf('\n  }\n}')))).toBe(true)
    await undoLast()
    expect(text(run.configFile)).toBe(own)
  })

  test('whose command does not exist are named', async () => {
    writeFileSync(cursor, '{ "mcpServers": { "a": { "command": "no-such-program" } } }')
    expect((await look(run)).plan.servers[0]?.hint).toBe('its command is not found here')
  })

  test('secrets are named in a plan, and not in it', async () => {
    writeFileSync(
      cursor,
      JSON.stringify({
        mcpServers: {
          a: {
            command: 'npx',
            args: ['-y', '--token', 'hidden-1', 'pkg', 'hidden-2'],
            env: {
              API_KEY: 'hidden-3',
              REF: '${KEY}',
              GH_PAT: 'hidden-8',
              MONGODB_URI: 'mongodb://u:hidden-9@db.example',
              PATTERN: 'no secret',
            },
          },
          b: {
            url: 'https://u:hidden-4@b.example/hidden-5?k=hidden-6',
            headers: { Authorization: 'Bearer hidden-7' },
          },
        },
      }),
    )
    const found = await look(run, { secrets: 'keyring' })
    const plan = JSON.stringify(found.plan)
    expect(plan).not.toContain('hidden')
    expect(found.plan.servers.map(({ secrets, shown }) => [secrets, shown])).toContainEqual([
      ['API_KEY', 'GH_PAT', 'MONGODB_URI'],
      'npx',
    ])
    expect(found.plan.servers.map(({ otherSecrets }) => otherSecrets)).toEqual(
      expect.arrayContaining([['an argument'], ['the address']]),
    )
    const stored = new Map<string, string>()
    const storeSecret = async (account: string, secret: string): Promise<void> => {
      stored.set(account, secret)
    }
    await apply(run, found, found.plan, { storeSecret })
    expect(Object.fromEntries(stored)).toEqual({
      'a.API_KEY': 'hidden-3',
      'a.GH_PAT': 'hidden-8',
      'a.MONGODB_URI': 'mongodb://u:hidden-9@db.example',
      'b.Authorization': 'Bearer hidden-7',
    })
    expect(text(run.configFile)).toContain('"API_KEY": "${keyring:mcp-manifold/a.API_KEY}"')
    expect(text(run.configFile)).not.toMatch(/hidden-[3789]/)
  })

  test.skipIf(process.platform === 'win32')(
    'secrets in a configuration that others can read are said, and in a new one they cannot',
    async () => {
      writeFileSync(cursor, '{ "mcpServers": { "a": { "command": "a", "env": { "TOKEN": "hidden" } } } }')
      const fresh = await apply(run, await look(run))
      expect([fresh.isReadByOthers, statSync(run.configFile).mode & 0o777]).toEqual([false, 0o600])
      await undoLast()
      mkdirSync(dirname(run.configFile), { recursive: true })
      writeFileSync(run.configFile, '{ "mcpServers": {} }', { mode: 0o644 })
      chmodSync(run.configFile, 0o644)
      expect((await apply(run, await look(run))).isReadByOthers).toBe(true)
      await undoLast()
      chmodSync(run.configFile, 0o600)
      expect((await apply(run, await look(run))).isReadByOthers).toBe(false)
    },
  )

  test('when the keyring cannot be used, nothing is changed', async () => {
    writeFileSync(cursor, '{ "mcpServers": { "a": { "command": "a", "env": { "TOKEN": "hidden" } } } }')
    const found = await look(run, { secrets: 'keyring' })
    const before = contentsOf(scratch.path)
    const storeSecret = async (): Promise<void> => {
      throw new Error('it is locked')
    }
    await expect(apply(run, found, found.plan, { storeSecret })).rejects.toThrow(
      /a\.TOKEN was not stored.*it is locked.*Nothing was changed/,
    )
    expect(contentsOf(scratch.path)).toEqual(before)
  })
})

test('a run that is stopped leaves every file whole, and is undone', async () => {
  const before = contentsOf(run.machine.home)
  const found = await look(run)
  let asked = 0
  const applied = await apply(run, found, found.plan, { isStopped: () => ++asked > 1 })
  expect(applied.files.map(({ outcome }) => outcome.state)).toEqual(['changed', 'left'])
  expect(text(cursor)).toContain('"gw"')
  expect(text(windsurf)).toBe(WINDSURF)
  await undoLast()
  expect(contentsOf(run.machine.home)).toEqual(before)
})

test('a run that ends after the record and before any file leaves nothing to undo but the record', async () => {
  const before = contentsOf(run.machine.home)
  await apply(run, await look(run))
  const after = { cursor: text(cursor), windsurf: text(windsurf) }
  writeFileSync(cursor, CURSOR)
  writeFileSync(windsurf, WINDSURF)
  expect((await undoSteps(await lastRecord())).map(({ kind }) => kind)).toEqual([
    'nothing',
    'nothing',
    'remove',
  ])
  await undoLast()
  expect(contentsOf(run.machine.home)).toEqual(before)
  expect(after.cursor).not.toBe(CURSOR)
})

test('client files of Windows are seen from WSL, and stay', () => {
  const mounted = join(scratch.path, 'c')
  const desktop = join(mounted, 'ada', 'AppData', 'Roaming', 'Claude', 'claude_desktop_config.json')
  writeIn(desktop, '{}')
  writeIn(join(mounted, 'Public', '.cursor', 'mcp.json'), '{}')
  const wsl = { ...run.machine, env: { WSL_DISTRO_NAME: 'Debian' } }
  expect(windowsFiles(wsl, mounted)).toEqual([desktop])
  expect(windowsFiles(run.machine, mounted)).toEqual([])
})
