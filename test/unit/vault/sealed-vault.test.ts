import { afterAll, beforeAll, describe, onTestFinished } from 'vitest'
import { SILENT } from '../../../src/core/logger.ts'
import { openLmdbStore } from '../../../src/state/lmdb.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { openRedisStore } from '../../../src/state/redis.ts'
import { describeVault } from '../../contract/vault.ts'
import { hasRedis, startRedis, type RedisServer } from '../../helpers/redis-server.ts'
import { makeScratch } from '../../helpers/scratch.ts'

describeVault('memory', async () => createMemoryStore())

let folder = ''
describeVault(
  'lmdb',
  async () => {
    const scratch = makeScratch()
    onTestFinished(() => scratch[Symbol.asyncDispose]())
    return openLmdbStore((folder = scratch.path))
  },
  async () => openLmdbStore(folder),
)

describe.runIf(hasRedis())('redis', () => {
  let server: RedisServer
  let address = ''
  let next = 0
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  describeVault(
    'redis',
    () => openRedisStore((address = `${server.url}/0?prefix=v${next++}:`), { logger: SILENT }),
    () => openRedisStore(address, { logger: SILENT }),
  )
})
