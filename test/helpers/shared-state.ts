import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { startRedis } from './redis-server.ts'

/** Forms of `gateway.state` that the processes of one test share. What is behind them ends with the test. */

export async function sharedLmdb(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'manifold-quota-'))
  onTestFinished(() => rm(path, { recursive: true, force: true }))
  return `lmdb:${path}`
}

export async function sharedRedis(): Promise<string> {
  const server = await startRedis()
  onTestFinished(() => server.stop())
  return server.url
}
