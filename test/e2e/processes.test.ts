import { randomUUID } from 'node:crypto'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { processesWith } from '../helpers/leftovers.ts'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'
import { failureOf, startStdio } from '../helpers/stdio-client.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** However the gateway ends, the servers it started end with it. */

const MISBEHAVING = fileURLToPath(new URL('../fixtures/servers/misbehaving.js', import.meta.url))
/** The command line of a server carries this, so that its processes can be counted from outside. */
const marked = (how: string, mark: string): object => ({
  command: process.execPath,
  args: [MISBEHAVING, how, mark],
})

/** Without `/proc` processes cannot be counted. */
const countable = process.platform === 'linux'

function configure(
  scratch: Scratch,
  servers: Record<string, object>,
  more: object = {},
): { config: string; env: Record<string, string> } {
  const config = scratch.write('servers.json', {
    mcpServers: servers,
    gateway: { http: { port: 0 }, state: 'memory', log: 'debug', ...more },
  })
  return { config, env: { HOME: scratch.path, XDG_STATE_HOME: scratch.path } }
}

/** Nothing reports the end of processes of others. */
async function gone(mark: string): Promise<void> {
  for (let tries = 0; tries < 500 && processesWith(mark).length > 0; tries++) await later(20)
  expect(processesWith(mark)).toEqual([])
}

describe.runIf(countable)('no server outlives the gateway', () => {
  test.each(['SIGKILL', 'SIGTERM', 'SIGINT', 'SIGHUP'] as const)('on stdio that gets %s', async signal => {
    await using scratch = makeScratch()
    const mark = randomUUID()
    const { config, env } = configure(scratch, { one: marked('good', mark), two: marked('stubborn', mark) })
    await using client = startStdio(config, { env })
    await client.initialize()
    expect(await client.call('one__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.call('two__echo', { a: 1 })).toBe('{"a":1}')
    expect(processesWith(mark)).toHaveLength(2)
    client.kill(signal)
    const { code, signal: endedBy } = await client.exited
    if (signal === 'SIGKILL') expect(endedBy).toBe('SIGKILL')
    else expect(code).toBe(0)
    await gone(mark)
  })

  test('on stdio whose client closes its end', async () => {
    await using scratch = makeScratch()
    const mark = randomUUID()
    const { config, env } = configure(scratch, { one: marked('good', mark) })
    await using client = startStdio(config, { env })
    await client.initialize()
    await client.call('one__echo')
    expect(processesWith(mark)).toHaveLength(1)
    expect(await client.leave()).toBe(0)
    await gone(mark)
  })

  test('that is asked to end while a server is still starting', async () => {
    await using scratch = makeScratch()
    const mark = randomUUID()
    const { config, env } = configure(scratch, { mute: marked('mute', mark) }, { shutdownTimeout: '1s' })
    await using client = startStdio(config, { env })
    await client.initialize()
    client.write('{"jsonrpc":"2.0","id":"list","method":"tools/list"}\n')
    await client.logged(/Server started/)
    using time = new RunningTime()
    client.kill('SIGTERM')
    expect((await client.exited).code).toBe(0)
    expect(time.ms).toBeLessThan(5000)
    await gone(mark)
  })

  test('with an answer still due when the client closes its end', async () => {
    await using scratch = makeScratch()
    const mark = randomUUID()
    const { config, env } = configure(
      scratch,
      { one: marked('mute-at-call', mark) },
      { shutdownTimeout: '1s' },
    )
    await using client = startStdio(config, { env })
    await client.initialize()
    await client.call('one__pid')
    client.write('{"jsonrpc":"2.0","id":"due","method":"tools/call","params":{"name":"one__echo"}}\n')
    expect(await client.leave()).toBe(0)
    expect(failureOf(await client.next(({ id }) => id === 'due'))).toMatchObject({ code: 'shutting_down' })
    await gone(mark)
  })

  test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)('over HTTP that gets %s', async signal => {
    await using scratch = makeScratch()
    const mark = randomUUID()
    const { config, env } = configure(scratch, {
      one: marked('good', mark),
      two: marked('exit-at-call', mark),
    })
    await using served = await serveGateway(config, { env })
    const client = await openSession(served.origin)
    expect(await client.call('one__echo', { a: 1 })).toBe('{"a":1}')
    expect(await client.call('two__pid')).toMatch(/^\d+$/)
    expect(processesWith(mark)).toHaveLength(2)
    process.kill(served.pid, signal)
    await gone(mark)
    // A second signal, as that of `stop`, would end it at once.
    expect(await served.exited).toBe(signal === 'SIGKILL' ? null : 0)
  })
})

describe('a server that comes and goes', () => {
  test('is started once for many calls, and anew after a crash', async () => {
    await using served = await startGateway({ mcpServers: { one: marked('exit-at-call', 'x') } })
    const client = await openSession(served.origin)
    const pids = await Promise.all(Array.from({ length: 10 }, () => client.call('one__pid')))
    expect(new Set(pids).size).toBe(1)
    expect(await client.call('one__echo')).toContain('exited with code 7')
    const second = await client.call('one__pid')
    expect(second).toMatch(/^\d+$/)
    expect(second).not.toBe(pids[0])
  })

  test('that crashes again and again is not started for every call', async () => {
    await using served = await startGateway({
      mcpServers: { one: { ...marked('exit-at-call', 'x'), restartLimit: 2 } },
    })
    const client = await openSession(served.origin)
    await client.call('one__pid')
    expect(await client.call('one__echo')).toContain('exited with code 7')
    expect(await client.call('one__echo')).toContain('exited with code 7')
    const answer = await client.request('tools/call', { name: 'one__echo', arguments: {} })
    expect(JSON.stringify(answer.result)).toMatch(/exited with code 7.*Next attempt in \d+ s/)
    const details = failureOf(answer)
    expect(details).toMatchObject({ retryAfterMs: expect.any(Number), server: 'one' })
    expect(served.gateway.status()).toMatchObject([{ state: 'stopped' }])
  })

  test.runIf(countable)('is stopped when idle, and started again by the next call', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...marked('good', mark), idle: '10s' } },
    })
    const client = await openSession(served.origin)
    const first = await client.call('one__pid')
    expect(processesWith(mark).map(String)).toEqual([first])
    await gone(mark).catch(() => gone(mark))
    expect(served.gateway.status()).toMatchObject([{ state: 'idle', listed: true }])
    expect(await client.names('tools')).toEqual(['one__echo', 'one__pid'])
    const second = await client.call('one__pid')
    expect(second).not.toBe(first)
  })
})

test('a client that disappears in the middle of a call does not disturb another one', async () => {
  await using served = await startGateway({ mcpServers: { one: marked('mute-at-call', 'x') } })
  const client = await openSession(served.origin)
  await client.names('tools')
  const leaving = new AbortController()
  const body = JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'tools/call',
    params: { name: 'one__echo', arguments: {} },
  })
  const headers = {
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'mcp-session-id': client.session,
  }
  const lost = fetch(`${served.origin}/mcp`, { method: 'POST', headers, body, signal: leaving.signal })
  const pid = await client.call('one__pid')
  leaving.abort()
  await expect(lost).rejects.toThrow()
  const other = await openSession(served.origin)
  expect(await other.call('one__pid')).toBe(pid)
})
