import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { openRedisStore } from '../../../src/state/redis.ts'
import type { Store } from '../../../src/state/store.ts'
import { DataKeys } from '../../../src/vault/data-key/data-keys.ts'
import { SealedVault } from '../../../src/vault/sealed-vault.ts'
import { hasRedis, startRedis } from '../../helpers/redis-server.ts'
import { makeScratch } from '../../helpers/scratch.ts'

/** What is on the disk holds no credential, neither of a record that stands nor of one that was replaced or removed. */

const SECRETS = Array.from({ length: 30 }, (_, at) => `the-secret-number-${at}-of-this-test`)
const ABSENT = {
  read: () => Promise.reject(new Error('none')),
  write: () => Promise.reject(new Error('none')),
}

/** Every form in which a secret could be found. */
function formsOf(secret: string): Buffer[] {
  const base64 = [0, 1, 2].map(at =>
    Buffer.from(`${' '.repeat(at)}${secret}`)
      .toString('base64')
      .slice(4, -4),
  )
  return [secret, Buffer.from(secret).toString('hex'), ...base64].map(form => Buffer.from(form))
}

async function fill(store: Store, folder: string): Promise<Buffer[]> {
  const keys = new DataKeys({ store, logger: SILENT, keyring: ABSENT, keys: [], keySource: 'file', folder })
  const vault = new SealedVault({ store, logger: SILENT, keys })
  onTestFinished(() => vault.close())
  for (const [at, secret] of SECRETS.entries()) {
    const name = { kind: 'tokens', server: `s${at % 10}`, owner: 'gateway' } as const
    await vault.write(name, { issuer: 'https://as.example', value: { refreshToken: secret } })
    if (at % 3 === 0) await vault.remove(name)
  }
  // What is looked for can be found.
  await store.set('plain', 'the-plain-text-of-this-test')
  const key = readFileSync(join(folder, 'vault.key'), 'latin1').trim()
  return [Buffer.from(key), Buffer.from(key, 'base64'), ...SECRETS.flatMap(formsOf)]
}

function expectNone(files: readonly string[], secrets: readonly Buffer[]): void {
  const contents = files.map(file => readFileSync(file))
  expect(contents.some(content => content.includes('the-plain-text-of-this-test'))).toBe(true)
  expect(contents.some(content => content.includes('https://as.example'))).toBe(true)
  const found = secrets.filter(secret => contents.some(content => content.includes(secret)))
  expect(found.map(String)).toEqual([])
}

function filesOf(folder: string): string[] {
  return (readdirSync(folder, { recursive: true }) as string[])
    .map(name => join(folder, name))
    .filter(path => statSync(path).isFile())
}

it('LMDB', async () => {
  await using scratch = makeScratch()
  const folder = join(scratch.path, 'state')
  const store = openLmdbStore(folder)
  const secrets = await fill(store, scratch.path)
  await store.close()
  expectNone(filesOf(folder), secrets)
})

it.runIf(hasRedis())('Redis, in its dump and its log of commands', async () => {
  await using scratch = makeScratch()
  const redis = await startRedis(undefined, [
    '--dir',
    scratch.path,
    '--appendonly',
    'yes',
    '--save',
    '3600 1',
  ])
  onTestFinished(() => redis.stop())
  const store = await openRedisStore(redis.url, { logger: SILENT })
  const secrets = await fill(store, scratch.path)
  await store.close()
  const { createClient } = await import('@redis/client')
  const client = createClient({ url: redis.url })
  await client.connect()
  await client.sendCommand(['SAVE'])
  await client.close()
  const files = filesOf(scratch.path).filter(file => !file.endsWith('vault.key'))
  expect(files.join('\n')).toMatch(/\.rdb\b[^]*\.aof|\.aof\b[^]*\.rdb/)
  expectNone(files, secrets)
})
