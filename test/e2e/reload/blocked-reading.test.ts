import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { startRawServer } from '../../fixtures/servers/raw.js'
import { scriptedHttp } from '../../helpers/scripted-servers.ts'
import { LegacySession } from '../../helpers/wire-clients.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { serveGateway, type Served } from '../../helpers/served.ts'

/** The reading of a changed configuration waits in a call to the system, as on a dead network drive. */

const PRELOAD = fileURLToPath(new URL('../../fixtures/blocked-threads.cjs', import.meta.url))
const TIMEOUT_MS = 60_000

/** A gateway whose reading of its changed file is blocked. */
async function blocked(scratch: Scratch, url: string): Promise<Served> {
  const pipe = join(scratch.path, 'pipe')
  execFileSync('mkfifo', [pipe])
  const configOf = (log: string): object => ({
    mcpServers: { up: { url } },
    gateway: { http: { port: 0 }, state: 'memory', log },
  })
  const file = scratch.write('servers.json', configOf('info'))
  const env = { HOME: scratch.path, XDG_STATE_HOME: scratch.path }
  const served = await serveGateway(file, {
    env: { ...env, NODE_OPTIONS: `--require ${PRELOAD}`, BLOCKING_PIPE: pipe },
  })
  // The watch begins after the start.
  await expect
    .poll(
      () => {
        scratch.write('servers.json', configOf('debug'))
        return existsSync(`${pipe}.waits`)
      },
      { timeout: 20_000, interval: 500 },
    )
    .toBe(true)
  return served
}

describe.skipIf(process.platform === 'win32')('a gateway whose file does not answer', () => {
  test(
    'goes on to serve, stops its front at the first signal, and ends',
    { timeout: TIMEOUT_MS },
    async () => {
      await using scratch = makeScratch()
      const server = await startRawServer({ era: 'modern' })
      await using served = await blocked(scratch, server.url)
      expect((await fetch(`${served.origin}/healthz`)).status).toBe(200)
      const began = performance.now()
      process.kill(served.pid, 'SIGTERM')
      // By SIGKILL, because the thread cannot end.
      expect(await served.exited).toBeNull()
      expect(performance.now() - began).toBeLessThan(12_000)
      expect(served.said).toContain('A file of the configuration does not answer')
      expect(served.said).not.toContain('Closing took longer')
      await server.close()
    },
  )

  test('ends at once with a second signal', { timeout: TIMEOUT_MS }, async () => {
    await using scratch = makeScratch()
    const server = await startRawServer({ era: 'modern' })
    await using served = await blocked(scratch, server.url)
    process.kill(served.pid, 'SIGTERM')
    process.kill(served.pid, 'SIGINT')
    const began = performance.now()
    await served.exited
    expect(performance.now() - began).toBeLessThan(8000)
    await server.close()
  })
})

test(
  'a gateway whose reading thread is ending gives a second signal its exit code',
  { timeout: TIMEOUT_MS },
  async () => {
    await using scratch = makeScratch()
    await using up = await scriptedHttp({ sessions: true })
    const configOf = (log: string): object => ({
      mcpServers: { up: up.entry },
      gateway: { http: { port: 0 }, state: 'memory', log },
    })
    const file = scratch.write('servers.json', configOf('info'))
    await using served = await serveGateway(file, {
      env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path },
    })
    await expect
      .poll(
        () => {
          scratch.write('servers.json', configOf('debug'))
          return served.said
        },
        { timeout: 20_000, interval: 500 },
      )
      .toContain('is in effect')
    // A call in flight, which the first signal waits for.
    const session = await LegacySession.open(served.origin)
    const call = session.request('1', 'tools/call', '{"name":"up__t","arguments":{}}').catch(() => 'gone')
    await up.called('t')
    // Two of the same signal are one to a process that has not run in between.
    process.kill(served.pid, 'SIGINT')
    await new Promise(resolve => setTimeout(resolve, 2))
    process.kill(served.pid, 'SIGTERM')
    expect(await served.exited).toBe(143)
    await call
  },
)
