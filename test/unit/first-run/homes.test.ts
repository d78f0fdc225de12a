import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { APPLICATIONS } from '../../../src/client-files/applications/applications.ts'
import { loadFormat } from '../../../src/client-files/load-format.ts'
import { readRecords } from '../../../src/first-run/record.ts'
import { installEntry, targetOf, uninstallEntry } from '../../../src/first-run/install.ts'
import { undo, undoSteps } from '../../../src/first-run/undo.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { apply, contentsOf, entryOf, fillHome, GATEWAY, gatewayOf, look, PLATFORMS, runIn } from './homes.ts'

/** The whole first run on homes of every application and of three systems. */

const ADDRESS = { host: '127.0.0.1', port: 3333 }
const WITH_FILES = APPLICATIONS.filter(({ id }) => id !== 'jetbrains')

let scratch: Scratch
beforeEach(() => {
  scratch = makeScratch()
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

describe.each(PLATFORMS)('on %s', platform => {
  test('servers of every application are found, merged, replaced and put back to the byte', async () => {
    const run = runIn(scratch.path, platform)
    const files = await fillHome(run.machine)
    const ofUser = files.filter(({ scope }) => scope === 'user')
    const before = contentsOf(scratch.path)

    const found = await look(run)
    expect(contentsOf(scratch.path)).toEqual(before)
    expect(found.plan.files.map(({ application }) => application)).toEqual(WITH_FILES.map(({ id }) => id))
    expect(found.plan.servers.map(({ name }) => name).sort()).toEqual(
      ['shared', ...WITH_FILES.map(({ id }) => `of-${id}`)].sort(),
    )
    expect(found.plan.servers.find(({ name }) => name === 'shared')?.from).toHaveLength(WITH_FILES.length)
    expect(found.ofProject.length).toBe(files.length - ofUser.length)

    const applied = await apply(run, found)
    expect(applied.files.map(({ outcome }) => outcome.state)).toEqual(WITH_FILES.map(() => 'changed'))
    const config = JSON.parse(readFileSync(run.configFile, 'utf8')) as { mcpServers: object }
    expect(config.mcpServers).toMatchObject({
      shared: { command: 'node', args: ['shared.js'], env: { MODE: 'x' } },
      'of-codex': { command: 'node', args: ['of-codex.js'], env: { MODE: 'x' } },
    })
    expect(statSync(run.configFile).mode & 0o777).toBe(0o600)
    for (const application of WITH_FILES) {
      const file = application.files(run.machine).find(({ scope }) => scope === 'user')
      if (!file) throw new Error(`${application.id} has no file`)
      const text = readFileSync(file.file, 'utf8')
      const format = await loadFormat(file.syntax)
      expect(format.entries(text, file.section)).toEqual([
        { name: 'gw', value: valueOf(application.write(gatewayOf(run), 'gw'), file.section.kind) },
      ])
      expect(text).toContain('kept')
      expect(statSync(file.file).mode & 0o777).toBe(0o640)
    }

    const again = await look(run)
    expect(again.plan.files.every(({ change, own }) => !change && own.length === 1)).toBe(true)
    expect(again.servers).toEqual([])

    const [record] = await readRecords(run.stateFolder)
    if (!record) throw new Error('there is no record')
    for (const file of Object.values(contentsOf(join(run.stateFolder, 'undo')))) expect(file).toMatch(/^600 /)
    await undo(run.stateFolder, record, await undoSteps(record), () => false)
    expect(contentsOf(scratch.path)).toEqual(before)
    expect(await readRecords(run.stateFolder)).toEqual([])
  })

  test('servers of the project are taken when they are asked for, and run in its folder', async () => {
    const run = runIn(scratch.path, platform)
    const files = await fillHome(run.machine)
    const before = contentsOf(scratch.path)
    const found = await look(run, { project: true })
    // The file of Claude Code has two places with servers.
    expect(found.files).toHaveLength(files.length + 1)
    const applied = await apply(run, found)
    expect(applied.files.every(({ outcome }) => outcome.state === 'changed')).toBe(true)
    const { mcpServers } = JSON.parse(readFileSync(run.configFile, 'utf8')) as {
      mcpServers: Record<string, object>
    }
    // The server of the user and that of the project are two, because they run in two folders.
    expect(Object.values(mcpServers).filter(entry => 'cwd' in entry).length).toBeGreaterThan(5)
    const [record] = await readRecords(run.stateFolder)
    if (!record) throw new Error('there is no record')
    await undo(run.stateFolder, record, await undoSteps(record), () => false)
    expect(contentsOf(scratch.path)).toEqual(before)
  })

  test.each(WITH_FILES.map(application => [application.id, application] as const))(
    '%s: the entry is installed and uninstalled, in a file that is there and in none',
    async (_, application) => {
      const run = runIn(scratch.path, platform)
      for (const isThere of [false, true]) {
        if (isThere) await fillHome(run.machine, [application])
        const before = contentsOf(run.machine.home)
        const target = async (): Promise<NonNullable<Awaited<ReturnType<typeof targetOf>>>> => {
          const found = await targetOf(application, 'user', { ...run, address: ADDRESS })
          if (!found) throw new Error('there is no file')
          return found
        }
        const installing = { entry: GATEWAY, name: 'gw', stateFolder: run.stateFolder, command: 'install' }
        expect(await installEntry({ ...installing, target: await target() })).toEqual({
          state: 'changed',
          name: 'gw',
        })
        expect(await installEntry({ ...installing, target: await target() })).toEqual({
          state: 'there',
          name: 'gw',
        })
        // Another Node, as after an update: the entry is replaced.
        const entry = { ...GATEWAY, command: '/opt/24/node' }
        expect(await installEntry({ ...installing, entry, target: await target() })).toEqual({
          state: 'changed',
          name: 'gw',
        })
        expect(await uninstallEntry(await target(), run.stateFolder, 'uninstall')).toEqual({
          state: 'changed',
        })
        expect(await uninstallEntry(await target(), run.stateFolder, 'uninstall')).toEqual({
          state: 'absent',
        })
        if (isThere) expect(contentsOf(run.machine.home)).toEqual(before)
        for (const record of await readRecords(run.stateFolder))
          await undo(run.stateFolder, record, await undoSteps(record), () => false)
        expect(contentsOf(run.machine.home)).toEqual(before)
      }
    },
  )
})

test('what an application writes is what it reads', () => {
  for (const application of APPLICATIONS)
    expect(application.read(entryOf(application, 'a')), application.id).toMatchObject({
      entry: { command: 'node', args: ['a.js'], env: { MODE: 'x' } },
    })
})

test('files of the Microsoft Store, and of folders that variables name, are found', async () => {
  const { machine } = runIn(scratch.path, 'win32')
  const filesOf = (id: string, env: Record<string, string>): string[] =>
    (APPLICATIONS.find(application => application.id === id)?.files({ ...machine, env }) ?? []).map(
      ({ file }) => file,
    )
  const [store, usual] = filesOf('claude-desktop', { APPDATA: '/roaming', LOCALAPPDATA: '/local' })
  expect(store).toContain(join('/local', 'Packages', 'Claude_'))
  expect(usual).toBe(join('/roaming', 'Claude', 'claude_desktop_config.json'))
  expect(filesOf('claude-code', { CLAUDE_CONFIG_DIR: '/cc' })[0]).toBe(join('/cc', '.claude.json'))
  expect(filesOf('codex', { CODEX_HOME: '/cx' })[0]).toBe(join('/cx', 'config.toml'))
  expect(filesOf('zed', { APPDATA: '/roaming' })[0]).toBe(join('/roaming', 'Zed', 'settings.json'))
})

function valueOf(value: object, kind: 'table' | 'list'): object {
  return kind === 'list' ? Object.fromEntries(Object.entries(value).filter(([key]) => key !== 'name')) : value
}
