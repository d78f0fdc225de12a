import { randomUUID } from 'node:crypto'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { processesWith } from '../helpers/leftovers.ts'
import { RunningTime } from '../helpers/running-time.ts'

/** Commands that crash, hang, grow or are slow to start, and what of that their clients notice. */

const FAILING = fileURLToPath(new URL('../fixtures/servers/failing.js', import.meta.url))
/** The command line carries the mark, so that the processes can be counted from outside. */
const failing = (mark: string, ...options: string[]): { command: string; args: string[] } => ({
  command: process.execPath,
  args: [FAILING, mark, ...options],
})

/** Nothing reports the end of processes of others. */
const until = (what: () => boolean): Promise<void> => expect.poll(what).toBe(true)

/** Longer than a process of these tests takes to start, or to be ended against its will. */
const settled = (): Promise<void> => later(2000)

const count = (mark: string): number => processesWith(mark).length

/** Without `/proc` processes cannot be counted, and nothing is measured the same way. */
describe.runIf(process.platform === 'linux')('a command', () => {
  test('that crashes at each call is a crash loop: calls fail at once, and nothing is left', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'fork=1'), restartLimit: 3 } },
    })
    const client = await openSession(served.origin)
    let crashes = 0
    // Calls that come while a start is put off are told so, or wait for it.
    while (served.gateway.status()[0]?.state !== 'stopped' && crashes < 10) {
      const said = await client.call('one__crash')
      expect(said).toContain('exited with code 9')
      if (!said.includes('Next attempt')) crashes++
    }
    expect(crashes).toBe(3)
    const said = await client.call('one__pid')
    expect(said).toMatch(/crash loop: 3 starts in a row.*exited with code 9.*Next attempt in (?:300|29\d) s/)
    expect(served.gateway.status()).toMatchObject([
      { state: 'stopped', error: expect.stringContaining('crash loop') },
    ])
    await until(() => processesWith(mark).length === 0)
  })

  test('of several replicas that is in a crash loop holds nothing up', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: {
        one: {
          restartLimit: 2,
          isolation: 'shared',
          replicas: [
            { ...failing(mark), name: 'good' },
            { command: process.execPath, args: ['-e', 'process.exit(1)', mark], name: 'bad' },
          ],
        },
      },
    })
    const client = await openSession(served.origin)
    const pids = new Set<string>()
    const times: number[] = []
    using time = new RunningTime()
    for (let n = 0; n < 60; n++) {
      const since = time.ms
      pids.add(await client.call('one__pid'))
      times.push(time.ms - since)
      if (n > 0) await later(50)
    }
    expect([...pids]).toEqual([expect.stringMatching(/^\d+$/)])
    // Whatever was tried beside, no call but the first waited for a start.
    expect(Math.max(...times.slice(1))).toBeLessThan(5000)
  })

  test('that hangs is ended with its children, and the next call gets a fresh one', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'fork=1'), timeout: '1s', health: { timeout: '1s' } } },
    })
    const client = await openSession(served.origin)
    const first = await client.call('one__pid')
    process.kill(Number(first), 'SIGSTOP')
    expect(await client.call('one__pid')).toContain('did not answer tools/call within 1 s')
    await until(() => !processesWith(mark).includes(Number(first)))
    const second = await client.call('one__pid')
    expect(second).toMatch(/^\d+$/)
    expect(second).not.toBe(first)
    await until(() => count(mark) === 2)
  })

  test('that is only slow goes on', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark), timeout: '1s', health: { timeout: '1s' } } },
    })
    const client = await openSession(served.origin)
    const first = await client.call('one__pid')
    expect(await client.call('one__never')).toContain('did not answer')
    await later(1500)
    expect(await client.call('one__pid')).toBe(first)
  })

  test('that is stopped ends with the gateway', async () => {
    const mark = randomUUID()
    {
      await using served = await startGateway({ mcpServers: { one: failing(mark, 'fork=1') } })
      const client = await openSession(served.origin)
      process.kill(Number(await client.call('one__pid')), 'SIGSTOP')
    }
    expect(processesWith(mark)).toEqual([])
  })

  test('that uses too much memory is replaced without a pause, and finishes what it is at', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'fork=1', 'start=3000'), memoryLimit: '300MiB' } },
    })
    const client = await openSession(served.origin)
    const first = await client.call('one__pid')
    expect(await client.call('one__grow', { mib: 300 })).toBe(first)
    const late = client.call('one__wait', { ms: 9000 })
    const times: number[] = []
    let pid = first
    await until(() => count(mark) > 2)
    using time = new RunningTime()
    while (pid === first) {
      const since = time.ms
      pid = await client.call('one__pid')
      times.push(time.ms - since)
      await later(20)
    }
    expect(pid).toMatch(/^\d+$/)
    // Less than a start.
    expect(Math.max(...times)).toBeLessThan(2500)
    expect(await late).toBe(first)
    await until(() => count(mark) === 2)
    await settled()
    expect(count(mark)).toBe(2)
    expect(processesWith(mark)).not.toContain(Number(first))
    expect(await client.call('one__pid')).toBe(pid)
  })

  test('that uses far too much memory is ended at once', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'fork=1'), memoryLimit: '160MiB' } },
    })
    const client = await openSession(served.origin)
    const first = await client.call('one__grow', { mib: 300 })
    const said = await client.call('one__wait', { ms: 20_000 })
    expect(said).toMatch(/it used \d+\.\d MiB of memory, far more than the 160.0 MiB/)
    await until(() => processesWith(mark).length === 0)
    const second = await client.call('one__pid')
    expect(second).toMatch(/^\d+$/)
    expect(second).not.toBe(first)
  })

  test('with a spare is replaced by it after kill -9, with no start in between', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'fork=1', 'start=1000'), warmInstances: 1 } },
    })
    const client = await openSession(served.origin)
    let pid = await client.call('one__pid')
    for (let round = 0; round < 2; round++) {
      await until(() => count(mark) >= 4)
      await settled()
      // Two processes with a child each: of the dead one, not even that is left.
      expect(count(mark)).toBe(4)
      const running = processesWith(mark)
      process.kill(Number(pid), 'SIGKILL')
      await until(() => !processesWith(mark).includes(Number(pid)))
      await later(50)
      const next = await client.call('one__pid')
      expect(next).not.toBe(pid)
      expect(running).toContain(Number(next))
      pid = next
    }
    await until(() => count(mark) >= 4)
    await settled()
    expect(count(mark)).toBe(4)
    await served.gateway.close()
    expect(processesWith(mark)).toEqual([])
  })

  test('with a spare serves a new session from it; one that dies while it waits is replaced', async () => {
    const mark = randomUUID()
    await using served = await startGateway({
      mcpServers: { one: { ...failing(mark, 'start=1000'), warmInstances: 1, isolation: 'session' } },
    })
    const first = await openSession(served.origin)
    const pid = await first.call('one__pid')
    await until(() => count(mark) === 2)
    const waiting = processesWith(mark).find(other => String(other) !== pid) as number
    process.kill(waiting, 'SIGKILL')
    await until(() => count(mark) === 2 && !processesWith(mark).includes(waiting))
    await settled()
    const running = processesWith(mark)
    const second = await openSession(served.origin)
    const own = await second.call('one__pid')
    expect(running).toContain(Number(own))
    expect([pid, String(waiting)]).not.toContain(own)
    expect(await first.call('one__pid')).toBe(pid)
  })
})
