import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { applicationOf } from '../../../src/client-files/applications/applications.ts'
import { installEntry, targetOf } from '../../../src/first-run/install.ts'
import { readRecords, type UndoRecord } from '../../../src/first-run/record.ts'
import { undo, undoSteps, type Undone } from '../../../src/first-run/undo.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { apply, contentsOf, GATEWAY, look, runIn, writeIn, type Run } from './homes.ts'
import type { OwnEntry } from '../../../src/client-files/applications/application.ts'

/** What is undone when a file is not what it was, and what stays in the record. */

const CURSOR = '{\n  "mcpServers": {\n    "files": { "command": "node", "args": ["f.js"] } // mine\n  }\n}\n'

let scratch: Scratch
let run: Run
let cursor: string
beforeEach(() => {
  scratch = makeScratch()
  run = runIn(scratch.path, 'linux')
  cursor = writeIn(join(run.machine.home, '.cursor', 'mcp.json'), CURSOR)
})
afterEach(async () => {
  await scratch[Symbol.asyncDispose]()
})

const text = (file: string): string => readFileSync(file, 'utf8')
async function lastRecord(): Promise<UndoRecord> {
  const [record] = await readRecords(run.stateFolder)
  if (!record) throw new Error('there is no record')
  return record
}
async function undoLast(isStopped = (): boolean => false): Promise<Undone[]> {
  const record = await lastRecord()
  return await undo(run.stateFolder, record, await undoSteps(record), isStopped)
}

describe('a client file that cannot be undone now stays in the record, and so does the configuration', () => {
  test.each<[string, () => void, () => void, RegExp]>([
    [
      'unreadable',
      () => {
        renameSync(cursor, `${cursor}.aside`)
        symlinkSync(cursor, cursor)
      },
      () => renameSync(`${cursor}.aside`, cursor),
      /was not read: its links lead in a circle/,
    ],
    [
      'a folder',
      () => {
        renameSync(cursor, `${cursor}.aside`)
        mkdirSync(cursor)
      },
      () => {
        rmSync(cursor, { recursive: true })
        renameSync(`${cursor}.aside`, cursor)
      },
      /it is a directory/,
    ],
    [
      'away with its folder',
      () => renameSync(dirname(cursor), `${dirname(cursor)}.aside`),
      () => renameSync(`${dirname(cursor)}.aside`, dirname(cursor)),
      /is not there any more, nor is its folder/,
    ],
    [
      'no text',
      () => writeFileSync(cursor, Buffer.from([0xff])),
      () => writeFileSync(cursor, CURSOR),
      /was not read.*UTF-8/,
    ],
    ['broken', () => writeFileSync(cursor, '{'), () => writeFileSync(cursor, CURSOR), /is not JSON/],
  ])('%s', async (_, breakIt, mendIt, reason) => {
    const before = contentsOf(run.machine.home)
    await apply(run, await look(run))
    const configured = text(run.configFile)
    breakIt()
    const undone = await undoLast()
    expect(undone.map(({ outcome }) => outcome)).toEqual([
      { state: 'left', reason: expect.stringMatching(reason) },
      { state: 'left', reason: 'stays, because an entry that starts the gateway may still need it' },
    ])
    expect(text(run.configFile)).toBe(configured)
    expect((await lastRecord()).files).toHaveLength(2)
    mendIt()
    await undoLast()
    expect(contentsOf(run.machine.home)).toEqual(before)
    expect(existsSync(run.configFile)).toBe(false)
    expect(await readRecords(run.stateFolder)).toEqual([])
  })

  test('when undo is stopped, nothing is forgotten', async () => {
    await apply(run, await look(run))
    let asked = 0
    await undoLast(() => ++asked > 1)
    expect(text(cursor)).toBe(CURSOR)
    expect(existsSync(run.configFile)).toBe(true)
    await undoLast()
    expect(existsSync(run.configFile)).toBe(false)
    expect(await readRecords(run.stateFolder)).toEqual([])
  })
})

test('a client file that is away is made again', async () => {
  await apply(run, await look(run))
  rmSync(cursor)
  expect((await undoLast()).map(({ step, outcome }) => [step.kind, outcome.state])).toEqual([
    ['again', 'changed'],
    ['remove', 'changed'],
  ])
  expect(text(cursor)).toBe(CURSOR)
})

describe('an entry that was brought up to date', () => {
  const install = async (entry: OwnEntry): Promise<void> => {
    const application = applicationOf('cursor')
    const target = application && (await targetOf(application, 'user', { ...run, address: ADDRESS }))
    if (!target) throw new Error('there is no file')
    const installing = { target, name: 'gw', stateFolder: run.stateFolder, command: 'install cursor' }
    expect(await installEntry({ ...installing, entry })).toMatchObject({ state: 'changed' })
  }
  const ADDRESS = { host: '127.0.0.1', port: 3333 }

  test('is what it was, also when the file has changed since', async () => {
    await install(GATEWAY)
    const before = text(cursor)
    await install({ ...GATEWAY, command: '/opt/24/node' })
    writeFileSync(cursor, `${text(cursor)}// changed\n`)
    await undoLast()
    expect(JSON.parse(text(cursor).replaceAll(/\/\/.*/g, ''))).toEqual(
      JSON.parse(before.replaceAll(/\/\/.*/g, '')),
    )
  })

  test('stays when it is another server now', async () => {
    await install(GATEWAY)
    const mine = text(cursor).replace(/"gw": \{.*?\n {4}\}/s, '"gw": { "command": "my-own" }')
    writeFileSync(cursor, mine)
    expect(await undoLast()).toMatchObject([{ notes: ['The entry "gw" stays: it is another server now.'] }])
    expect(text(cursor)).toBe(mine)
  })

  test('goes when it names another gateway of this program by then', async () => {
    await install({ url: 'http://127.0.0.1:3333/mcp' })
    writeFileSync(cursor, text(cursor).replace('/mcp"', '/mcp/team"'))
    await undoLast()
    expect(
      Object.keys(
        (JSON.parse(text(cursor).replaceAll(/\/\/ mine/g, '')) as { mcpServers: object }).mcpServers,
      ),
    ).toEqual(['files'])
  })
})
