import { mkdirSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { toolTag } from '../../../src/cache/tags.ts'
import { StatsReport, type CacheReport, type CacheReports } from '../../../src/cache/shared/reports.ts'
import type { CountersOf } from '../../../src/cache/stats.ts'
import { NO_COUNTS } from '../../../src/cache/shared/store-tier.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { openStore } from '../../../src/state/open.ts'
import { entryOf, startProcess, type Process } from '../../contract/tier.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { runProgram } from './program.ts'

const HOUR = 3_600_000

let scratch: Scratch
beforeAll(() => {
  scratch = makeScratch()
})
afterAll(() => scratch[Symbol.asyncDispose]())

let next = 0

/** A gateway that runs, with three results of two servers, and its configuration. */
async function running(): Promise<{ gateway: Process; cwd: string; left: () => Promise<string[]> }> {
  const cwd = `${scratch.path}/${next++}`
  mkdirSync(cwd)
  const state = `lmdb:${cwd}/state`
  scratch.write(`${next - 1}/servers.json`, {
    mcpServers: { a: { command: 'x' }, 'a/b': { command: 'x' }, s: { command: 'x' } },
    gateway: { state },
  })
  const store = await openStore(state, SILENT)
  onTestFinished(() => store.close())
  const gateway = await startProcess(store, { cached: ['s', 'a/b'] })
  const kept = [
    ['s', 'one'],
    ['s', 'two'],
    ['a/b', 'one'],
  ] as const
  for (const [server, tool] of kept) gateway.tier.set(server, tool, entryOf('1', [toolTag(tool)]), HOUR)
  await gateway.tier.idle()
  gateway.heard.length = 0
  const left = async (): Promise<string[]> => {
    const found = await Promise.all(kept.map(([server, tool]) => gateway.tier.get(server, tool)))
    return kept.flatMap(([server, tool], at) => (found[at] ? [`${server} ${tool}`] : []))
  }
  expect(await left()).toHaveLength(3)
  return { gateway, cwd, left }
}

describe('cache clear', () => {
  it.each([
    { args: [], said: 'everything: 3', left: [], heard: ['a/b', 's'] },
    { args: ['s'], said: 's: 2', left: ['a/b one'], heard: ['s'] },
    { args: ['s/two'], said: 's/two: 1', left: ['s one', 'a/b one'], heard: ['s tool:two'] },
    { args: ['a/b/one'], said: 'a/b/one: 1', left: ['s one', 's two'], heard: ['a/b tool:one'] },
  ])('$args', async ({ args, said, left, heard }) => {
    const { gateway, cwd, left: rest } = await running()
    const done = runProgram(['cache', 'clear', ...args], { cwd })
    // Within about a second, and before the command says that it is done.
    await done
    const names = gateway.heard.map(([server, tags]) => [server, ...(tags ?? [])].join(' '))
    expect([...new Set(names)].sort()).toEqual(heard)
    expect(await done).toMatchObject({ code: 0, stdout: '' })
    expect((await done).stderr).toContain(`Cleared ${said} stored result`)
    expect(await rest()).toEqual(left)
    expect(await gateway.store.keys('cache/')).toHaveLength(left.length)
  })

  it('says in JSON how many results it has cleared', async () => {
    const { cwd } = await running()
    const { code, stdout } = await runProgram(['cache', 'clear', 's', '--json'], { cwd })
    expect({ code, done: JSON.parse(stdout) as unknown }).toEqual({ code: 0, done: { of: 's', cleared: 2 } })
  })

  it('has a list of the servers', async () => {
    const { cwd } = await running()
    const { code, stderr } = await runProgram(['cache', 'clear', 'nope'], { cwd })
    expect(code).toBe(1)
    expect(stderr).toContain('There is no server "nope"')
    expect(stderr).toContain('There are: a, a/b, s.')
  })

  it('says that memory is cleared by a restart', async () => {
    mkdirSync(`${scratch.path}/memory`)
    scratch.write('memory/servers.json', { mcpServers: {}, gateway: { state: 'memory' } })
    const { code, stderr } = await runProgram(['cache', 'clear'], { cwd: `${scratch.path}/memory` })
    expect(code).toBe(1)
    expect(stderr).toContain('only a restart clears it')
  })
})

describe('cache stats', () => {
  const counts = (tool: string, hits: number): CountersOf => ({
    server: 's',
    tool,
    hits,
    staleHits: 1,
    misses: 2,
    stores: 3,
    coalesced: 4,
    bytesSaved: 500,
    upstreamMsSaved: 6000,
  })

  it('adds up what the processes report, and leaves out those that are gone', async () => {
    const { gateway, cwd } = await running()
    const none = await runProgram(['cache', 'stats'], { cwd })
    expect(none.stdout).toContain('No running gateway')
    const report = (tools: CountersOf[]): StatsReport => {
      const memory = { entries: 2, bytes: 300 }
      const counts: CacheReport = { tools, memory, stored: { ...NO_COUNTS, hits: 5, damaged: 1, dropped: 2 } }
      return new StatsReport(gateway.store, () => counts, SILENT)
    }
    const reports = [report([counts('one', 6), counts('two', 1)]), report([counts('one', 4)]), report([])]
    await Promise.all(reports.map(one => one.write()))
    // What was not written by a gateway, or only in part.
    const odd = [
      '',
      '{}',
      'null',
      '[1]',
      '{"tools":[{}],"memory":{},"stored":{}}',
      '{"tools":[null]}',
      '{"tools":0',
    ]
    for (const [at, text] of odd.entries()) await gateway.store.set(`cache-stats/odd${at}`, text)
    const json = async (): Promise<CacheReports> =>
      JSON.parse((await runProgram(['cache', 'stats', '--json'], { cwd })).stdout) as CacheReports
    const { tools, memory, stored } = await json()
    expect(tools).toEqual([
      {
        server: 's',
        tool: 'one',
        hits: 10,
        staleHits: 2,
        misses: 4,
        stores: 6,
        coalesced: 8,
        bytesSaved: 1000,
        upstreamMsSaved: 12_000,
      },
      counts('two', 1),
    ])
    expect(memory).toEqual({ entries: 4, bytes: 600 })
    expect(stored).toEqual({
      ...NO_COUNTS,
      hits: 10,
      damaged: 2,
      dropped: 4,
      ...(await gateway.store.zone('cache')),
    })
    expect(stored.entries).toBe(3)
    const { stdout } = await runProgram(['cache', 'stats'], { cwd })
    expect(stdout.split('\n')[1]).toMatch(/^ *s +one +10 +2 +4 +71 % +6 +8 +1000 +12\.0 s$/)
    expect(stdout).toMatch(/\n *memory +4 +600\n *store +3 +\d+ +268435456 +10 +0 +0 +0 +2 +0 +4\n$/)
    for (const at of odd.keys()) await gateway.store.delete(`cache-stats/odd${at}`)
    await Promise.all(reports.map(one => one.close()))
    expect(await gateway.store.keys('cache-stats/')).toEqual([])
  })
})
