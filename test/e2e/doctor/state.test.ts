import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { cp, mkdir, readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { checkState } from '../../../src/doctor/check-state.ts'
import { newExamination } from '../../../src/doctor/examination.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { openVault } from '../../../src/vault/open.ts'
import { diagnose, LISTING } from '../../helpers/diagnose.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { freePort } from '../../helpers/served.ts'
import type { World } from '../../../src/doctor/world.ts'

/** Faults of the state store and of the vault in it, one test each. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const within = (state: string, more: object = {}, servers: object = { a: LISTING }): object => ({
  mcpServers: servers,
  gateway: { state, ...more },
})
const modeOf = (path: string): number => statSync(path).mode & 0o777

/** A folder as a gateway makes it. */
function stateFolder(mode = 0o700): string {
  const path = `${scratch.path}/state`
  mkdirSync(path, { mode })
  chmodSync(path, mode)
  return path
}

describe('a state without a fault', () => {
  test('has no findings, whether its folder is there yet or not, and is not created', async () => {
    const path = `${scratch.path}/new/state`
    expect((await diagnose(scratch, within(`lmdb:${path}`))).findings).toEqual([])
    expect(existsSync(path)).toBe(false)
    expect((await diagnose(scratch, within(`lmdb:${stateFolder()}`))).findings).toEqual([])
  })
})

describe('doctor finds, in the state,', () => {
  test('a file where a folder is expected', async () => {
    const file = scratch.write('file', '')
    const found = await diagnose(scratch, within(`lmdb:${file}/state`))
    const { layer, cause, set } = found.only('state_unusable')
    expect({ code: found.code, layer }).toEqual({ code: 13, layer: 'state' })
    expect(cause).toContain(file)
    expect(set?.key).toBe('gateway.state')
  })

  test('a fault whose command can be copied, whatever is in the path', async () => {
    const file = scratch.write("Ada's $(touch never) file", '')
    const found = await diagnose(scratch, within(`lmdb:${file}/state`))
    const { command } = found.only('state_unusable')
    execFileSync('sh', ['-c', `${command} || true`], { cwd: scratch.path, stdio: 'ignore' })
    expect(existsSync(`${scratch.path}/never`)).toBe(false)
    expect(command).toContain(String.raw`'${scratch.path}/Ada'\''s $(touch never) file'`)
  })

  test('a folder that this user may not write to', async () => {
    mkdirSync(`${scratch.path}/closed`, { mode: 0o500 })
    const found = await diagnose(scratch, within(`lmdb:${scratch.path}/closed/state`), { obeysModes: true })
    expect(found.only('state_unusable').cause).toContain('may not write')
    expect(found.code).toBe(13)
  })

  test('a file that is damaged, and leaves it alone', async () => {
    const path = stateFolder()
    writeFileSync(`${path}/data.mdb`, randomBytes(8192))
    const found = await diagnose(scratch, within(`lmdb:${path}`))
    expect(found.only('state_damaged')).toMatchObject({ layer: 'state', severity: 'error' })
    expect(found.only('state_damaged').command).toContain(`mv ${path}/data.mdb`)
    expect(await readdir(path)).toEqual(['data.mdb'])
  })

  test('a folder that others may use, and restricts it with --fix', async () => {
    const path = stateFolder(0o755)
    const found = await diagnose(scratch, within(`lmdb:${path}`))
    expect(found.only('state_exposed')).toMatchObject({ layer: 'state', command: `chmod 700 ${path}` })
    expect(modeOf(path)).toBe(0o755)
    const mended = await diagnose(scratch, within(`lmdb:${path}`), { args: ['--fix'] })
    expect(mended.mended).toMatchObject([{ code: 'state_exposed', done: `Set the mode of ${path} to 700.` }])
    expect({ mode: modeOf(path), findings: mended.findings }).toEqual({ mode: 0o700, findings: [] })
  })

  test('a folder that others share on purpose, and leaves it as it is', async () => {
    const shared = stateFolder(0o770)
    chmodSync(shared, 0o2770)
    writeFileSync(`${scratch.path}/state/notes.txt`, '')
    for (const mode of [0o2770, 0o1777, 0o755]) {
      chmodSync(shared, mode)
      const found = await diagnose(scratch, within(`lmdb:${shared}`), { args: ['--fix'] })
      const { command, set } = found.only('state_exposed')
      expect({ command, set, mended: found.mended }).toEqual({
        command: undefined,
        set: { key: 'gateway.state' },
        mended: [],
      })
      expect(statSync(shared).mode & 0o7777).toBe(mode)
    }
  })

  test('that LMDB has no library here', async () => {
    const copy = `${scratch.path}/package`
    await mkdir(`${copy}/node_modules`, { recursive: true })
    for (const name of ['bin', 'dist', 'docs', 'package.json'])
      await cp(`${ROOT}${name}`, `${copy}/${name}`, { recursive: true })
    for (const name of await readdir(`${ROOT}node_modules`))
      if (name !== '@lmdb') symlinkSync(`${ROOT}node_modules/${name}`, `${copy}/node_modules/${name}`)
    const bin = `${copy}/bin/mcp-manifold.cjs`
    const found = await diagnose(scratch, within(`lmdb:${stateFolder()}`), { bin })
    const { layer, command } = found.only('lmdb_missing')
    expect({ code: found.code, layer }).toEqual({ code: 13, layer: 'state' })
    expect(command).toContain('--include=optional')
  })

  test('a disk that is almost full', async () => {
    const config = await configFrom(within(`lmdb:${scratch.path}/state`))
    const world = { freeBytes: () => 5 * 1024 * 1024, platform: process.platform } as unknown as World
    const exam = Object.assign(newExamination(world), { config })
    expect(await checkState(exam)).toMatchObject([
      { code: 'disk_full', layer: 'state', severity: 'warning', command: `df -h ${scratch.path}/state` },
    ])
  })

  test('a Redis that is not there', async () => {
    const port = await freePort()
    const found = await diagnose(scratch, within(`redis://127.0.0.1:${port}`))
    expect(found.only('redis_unreachable')).toMatchObject({
      layer: 'state',
      command: `redis-cli -h 127.0.0.1 -p ${port} ping`,
    })
    expect(found.code).toBe(13)
  })
})

describe.runIf(hasRedis())('doctor finds, in a Redis,', () => {
  test('that it wants a password', async () => {
    const redis = await startRedis(undefined, ['--requirepass', 'secret-word'])
    try {
      const found = await diagnose(scratch, within(redis.url))
      expect(found.only('redis_refused').cause).toContain('NOAUTH')
      expect(found.only('redis_refused').set?.key).toBe('gateway.state')
      const url = redis.url.replace('//', '//:secret-word@')
      expect((await diagnose(scratch, within(url))).findings).toEqual([])
    } finally {
      await redis.stop()
    }
  })

  test('that it removes values when it is full', async () => {
    const redis = await startRedis(undefined, ['--maxmemory-policy', 'allkeys-lru'])
    try {
      const found = await diagnose(scratch, within(redis.url))
      const { layer, severity, command } = found.only('redis_evicts')
      expect({ layer, severity, code: found.code }).toEqual({ layer: 'state', severity: 'warning', code: 0 })
      expect(command).toContain('config set maxmemory-policy noeviction')
    } finally {
      await redis.stop()
    }
  })
})

describe('doctor finds, in the vault,', () => {
  const KEY = randomBytes(32).toString('base64')
  /** A state with a login whose key is in the file of the vault. */
  async function withLogin(key: string): Promise<{ path: string; file: string; config: object }> {
    const path = stateFolder()
    const file = `${path}/vault.key`
    const store = openLmdbStore(path)
    const vault = openVault({ store, logger: SILENT, keys: [key], keySource: 'file', folder: path })
    const name = { kind: 'tokens', server: 'mail', owner: 'gateway' } as const
    await vault.write(name, { issuer: 'https://login.example', value: { accessToken: 'a' } })
    await vault.close()
    await store.close()
    writeFileSync(file, KEY, { mode: 0o600 })
    return { path, file, config: within(`lmdb:${path}`, { vault: { keySource: 'file' } }) }
  }

  test('nothing where its key opens the logins', async () => {
    const { config } = await withLogin(KEY)
    expect((await diagnose(scratch, config)).findings).toEqual([])
  })

  test('a login that its key does not open', async () => {
    const { config } = await withLogin(randomBytes(32).toString('base64'))
    const found = await diagnose(scratch, config)
    const { layer, cause, set } = found.only('vault_key_other')
    expect({ code: found.code, layer, key: set?.key }).toEqual({
      code: 14,
      layer: 'vault',
      key: 'gateway.vault.keys',
    })
    expect(cause).toContain('mail')
  })

  test('a key that others may read, and restricts it with --fix', async () => {
    const { config, file } = await withLogin(KEY)
    chmodSync(file, 0o644)
    const found = await diagnose(scratch, config)
    expect(found.only('vault_key_exposed')).toMatchObject({ layer: 'vault', command: `chmod 600 ${file}` })
    expect(found.code).toBe(14)
    const mended = await diagnose(scratch, config, { args: ['--fix'] })
    expect({ mode: modeOf(file), code: mended.code }).toEqual({ mode: 0o600, code: 0 })
  })

  test('a file that holds no key', async () => {
    const { config, file } = await withLogin(KEY)
    writeFileSync(file, 'no key')
    const found = await diagnose(scratch, config)
    expect(found.only('vault_key_damaged')).toMatchObject({ layer: 'vault', command: `rm ${file}` })
    expect(found.code).toBe(14)
  })

  test('a keyring that cannot be used', async () => {
    const { path } = await withLogin(KEY)
    const env = { DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere' }
    const found = await diagnose(scratch, within(`lmdb:${path}`, { vault: { keySource: 'keyring' } }), {
      env,
    })
    expect(found.only('keyring_unusable')).toMatchObject({
      layer: 'vault',
      set: { key: 'gateway.vault.keySource', value: 'file' },
    })
    expect(found.code).toBe(14)
  })
})

test('doctor finds a budget that is used up', async () => {
  const path = stateFolder()
  const store = openLmdbStore(path)
  const until = new Date()
  until.setUTCHours(24, 0, 0, 0)
  const spent = { limit: 5, want: 5, atLeast: 5, spend: 5, window: { until: until.getTime() } }
  await store.take({ key: 'quota/client:ci/calls/day', ...spent })
  await store.close()
  const found = await diagnose(scratch, {
    mcpServers: { a: LISTING },
    clients: { ci: { budget: { calls: '5/day' } } },
    gateway: { state: `lmdb:${path}`, timeZone: 'UTC' },
  })
  const { layer, severity, cause, command } = found.only('quota_exhausted')
  expect({ layer, severity, code: found.code }).toEqual({ layer: 'quotas', severity: 'warning', code: 0 })
  expect(cause).toContain('calls/day of client:ci')
  expect(command).toMatch(/ usage\b/)
})
