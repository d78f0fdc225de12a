import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  configFrom,
  loadConfigFile,
  loadText,
  loadWithSource,
  type LoadFileOptions,
} from '../../../../src/config/load/load.ts'
import { everyKey } from '../../../../src/config/options/keys.ts'
import type { Config } from '../../../../src/config/types.ts'

const URL = 'https://one.example/mcp'
let folder: string
let file: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'old-names-'))
  file = join(folder, 'servers.json')
})
afterAll(() => rmSync(folder, { recursive: true }))

function load(value: unknown): Promise<Config> {
  writeFileSync(file, JSON.stringify(value, null, 2))
  return loadConfigFile({ file, env: {}, home: folder })
}

const withoutWarnings = (config: Config): unknown => ({ ...config, warnings: [] })

describe('a file with an old name', () => {
  const OLD = {
    mcpServers: {
      a: {
        command: 'a',
        spares: 2,
        crashes: 3,
        memory: '1GiB',
        linkWait: '2s',
        concurrency: 7,
        health: { every: '20s', eject: '1s' },
        tools: { t: { concurrency: 1 } },
      },
      b: { replicas: [{ url: URL, tier: 1 }, { url: `${URL}2` }] },
    },
    clients: { ci: { keys: [`sha256:${'0'.repeat(64)}`], concurrency: 3 } },
    gateway: { concurrency: 9, fail: 'open', asks: { maxParked: 4 } },
  }
  const PRESENT = {
    mcpServers: {
      a: {
        command: 'a',
        warmInstances: 2,
        restartLimit: 3,
        memoryLimit: '1GiB',
        linkTimeout: '2s',
        maxConcurrentCalls: 7,
        health: { interval: '20s', baseEjectionTime: '1s' },
        tools: { t: { concurrency: 1 } },
      },
      b: { replicas: [{ url: URL, priority: 1 }, { url: `${URL}2` }] },
    },
    clients: { ci: { keys: [`sha256:${'0'.repeat(64)}`], concurrency: 3 } },
    gateway: { maxConcurrentCalls: 9, quotaFailureMode: 'open', asks: { maxSuspendedCalls: 4 } },
  }

  test('means the same as with the present one', async () => {
    const old = await load(OLD)
    expect(withoutWarnings(old)).toEqual(withoutWarnings(await load(PRESENT)))
    expect(old.servers[0]).toMatchObject({ warmInstances: 2, maxConcurrentCalls: 7, linkTimeoutMs: 2000 })
  })

  test('gets one warning for each name, which says the file, the key and the present name', async () => {
    const { warnings } = await load(OLD)
    const present = await load(PRESENT)
    const old = warnings.filter(warning => !present.warnings.includes(warning))
    expect(old).toContain(
      `${file}: mcpServers.a.spares has an old name. Write "warmInstances" in place of "spares".`,
    )
    expect(old).toContain(
      `${file}: gateway.fail has an old name. Write "quotaFailureMode" in place of "fail".`,
    )
    // `concurrency` of a server and of the gateway are one name.
    expect(old).toHaveLength(10)
  })

  test('gets one warning for a name that stands in many places', async () => {
    const mcpServers = Object.fromEntries(
      Array.from({ length: 40 }, (_, at) => [`s${at}`, { command: 'a', spares: 1 }]),
    )
    expect((await load({ mcpServers })).warnings.filter(text => text.includes('old name'))).toEqual([
      `${file}: mcpServers.s0.spares and 39 more have an old name. Write "warmInstances" in place of "spares".`,
    ])
  })

  test('is as it is in the file where a value is wrong', async () => {
    const { problems } = await loadProblems({ mcpServers: { a: { command: 'a', spares: 99 } } })
    expect(problems).toContain(
      'mcpServers.a.spares (line 5, column 17) is 99: expected a whole number from 0',
    )
  })

  test('differs in nothing from one with the present name', async () => {
    const [before, after] = await Promise.all(
      [OLD, PRESENT].map(async value => {
        const text = JSON.stringify(value)
        return (await loadText(text, { file, env: {}, home: folder })).raw
      }),
    )
    expect(before).toEqual(after)
  })

  test('and the present one as well is an error that names both', async () => {
    const { problems } = await loadProblems(
      {
        mcpServers: { a: { command: 'a', spares: 1, warmInstances: 2 } },
      },
      { isKnownValid: () => Promise.resolve(true) },
    )
    expect(problems).toContain(
      'mcpServers.a.spares (line 5, column 7) is the old name of "warmInstances", which is there as well. Remove "spares".',
    )
    await expect(
      configFrom({ mcpServers: {}, gateway: { fail: 'open', quotaFailureMode: 'open' } }),
    ).rejects.toThrow(
      'gateway.fail is the old name of "quotaFailureMode", which is there as well. Remove "fail".',
    )
  })

  async function loadProblems(
    value: unknown,
    options: LoadFileOptions = {},
  ): Promise<{ problems: string | undefined }> {
    writeFileSync(file, JSON.stringify(value, null, 2))
    return await loadWithSource({ file, env: {}, home: folder, ...options })
  }
})

test('an alias is the name of no key at the same place', () => {
  const keys = everyKey()
  const names = new Set(keys.map(({ path }) => path.join('.')))
  const taken = keys.flatMap(({ path, option }) =>
    option.aliases.map(alias => [...path.slice(0, -1), alias].join('.')).filter(alias => names.has(alias)),
  )
  expect(taken).toEqual([])
})
