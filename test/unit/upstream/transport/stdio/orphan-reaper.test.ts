import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createReaper, processReaper } from '../../../../../src/upstream/transport/stdio/orphan-reaper.ts'

const DRIVER = new URL('../../../../fixtures/programs/start-servers.js', import.meta.url).pathname
const IGNORE_SIGTERM = new URL('../../../../fixtures/servers/ignore-sigterm.js', import.meta.url).pathname

let marks = 0

/** Processes whose arguments hold `text`, without those that only wait to be collected. */
function processes(text: string): string[] {
  const { stdout } = spawnSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' })
  return stdout.split('\n').filter(line => line.includes(text) && !/^\s*\d+\s+\d+\s+Z/.test(line))
}

async function noneLeft(text: string): Promise<void> {
  while (processes(text).length > 0) await new Promise(resolve => setTimeout(resolve, 50))
}

/** A process that runs two servers that ignore SIGTERM, each with a child that does; all carry `mark` in their arguments. */
async function startDriver(
  then: 'wait' | 'exit',
): Promise<{ pid: number; mark: string; ended: Promise<unknown> }> {
  const mark = `ignore-sigterm-${process.pid}-${marks++}`
  const child = spawn(process.execPath, [DRIVER, then, process.execPath, IGNORE_SIGTERM, mark], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    for (const line of processes(mark)) process.kill(Number.parseInt(line, 10), 'SIGKILL')
  })
  const ended = once(child, 'exit')
  const [first] = (await once(child.stdout, 'data')) as [Buffer]
  expect(first.toString()).toBe('started\n')
  return { pid: child.pid ?? 0, mark, ended }
}

/** Other gateways may run on this machine, so only the children of `pid` count. */
const reapersOf = (pid: number): number[] =>
  processes('mcp-manifold-reaper')
    .filter(text => new RegExp(`^\\s*\\d+\\s+${pid}\\s`).test(text))
    .map(line => Number.parseInt(line, 10))
const reaperOf = (pid: number): number | undefined => reapersOf(pid)[0]

describe.skipIf(process.platform === 'win32')('no server outlives its gateway', () => {
  it('when the gateway is killed', async () => {
    const { pid, mark, ended } = await startDriver('wait')
    expect(processes(mark)).toHaveLength(5)
    const reaper = reaperOf(pid)
    expect(reaper).toBeDefined()
    process.kill(pid, 'SIGKILL')
    await ended
    await noneLeft(mark)
    await noneLeft(`${reaper} 1 `)
  })

  it('when the gateway exits without closing anything', async () => {
    const { mark, ended } = await startDriver('exit')
    await ended
    await noneLeft(mark)
  })

  it('when its whole process group gets a signal to end', async () => {
    const { pid, mark, ended } = await startDriver('wait')
    for (const signal of ['SIGINT', 'SIGHUP', 'SIGTERM'] as const) process.kill(reaperOf(pid) ?? -1, signal)
    process.kill(pid, 'SIGTERM')
    await ended
    await noneLeft(mark)
  })
})

/** A process in a group of its own that would run for long. */
function startSleeper(): { pid: number; ended: Promise<unknown[]> } {
  const child = spawn('sleep', ['600'], { detached: true, stdio: 'ignore' })
  onTestFinished(() => void child.kill('SIGKILL'))
  return { pid: child.pid ?? 0, ended: once(child, 'exit') }
}

describe.skipIf(process.platform === 'win32')('without a file descriptor left', () => {
  it('a start fails with its cause, nothing else does, and all is well afterwards', () => {
    const program = new URL('../../../../fixtures/programs/no-descriptors.js', import.meta.url).pathname
    const run = spawnSync(
      '/bin/sh',
      ['-c', 'ulimit -n 60 && exec "$0" "$@"', process.execPath, program, 'sleep', '60'],
      { encoding: 'utf8' },
    )
    expect(run).toMatchObject({ status: 0, stderr: '' })
    const [without, after, reapers] = run.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line) as unknown)
    expect(without).toMatchObject({
      code: 'upstream_start_failed',
      message: expect.stringMatching(/"peer".*EMFILE.*Fix: raise the limit of open files/),
    })
    expect([after, reapers]).toEqual([{ started: true }, { reapers: 1 }])
  })
})

describe.skipIf(process.platform === 'win32')('createReaper', () => {
  it('ends what is registered, and never what was released', async () => {
    const [first, second, third] = [startSleeper(), startSleeper(), startSleeper()]
    const reaper = createReaper()
    for (const { pid } of [first, second, third]) reaper.register(pid)
    reaper.release(second.pid)
    reaper.release(12_345_678)
    await reaper.close()
    expect((await first.ended)[1]).toBe('SIGTERM')
    expect((await third.ended)[1]).toBe('SIGTERM')
    process.kill(second.pid, 'SIGKILL')
    expect((await second.ended)[1]).toBe('SIGKILL')
  })

  it('starts no process before it is needed, and one at most', async () => {
    const reaper = createReaper()
    const before = reapersOf(process.pid).length
    reaper.release(1)
    expect(reapersOf(process.pid)).toHaveLength(before)
    reaper.prepare()
    reaper.prepare()
    expect(reapersOf(process.pid)).toHaveLength(before + 1)
    await reaper.close()
    expect(reapersOf(process.pid)).toHaveLength(before)
    await reaper.close()
  })

  it('gives all groups to a new shell when the old one was ended', async () => {
    const sleeper = startSleeper()
    const reaper = createReaper()
    reaper.register(sleeper.pid)
    const first = reaperOf(process.pid) ?? -1
    // One that ends at once is taken for unusable.
    await new Promise(resolve => setTimeout(resolve, 150))
    process.kill(first, 'SIGKILL')
    for (;;) {
      const now = reaperOf(process.pid)
      if (now !== undefined && now !== first) break
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    await reaper.close()
    expect((await sleeper.ended)[1]).toBe('SIGTERM')
  })

  it('does not keep its process running', () => {
    const code = `
      import { createReaper } from ${JSON.stringify(new URL('../../../../../dist/upstream/transport/stdio/orphan-reaper.js', import.meta.url).href)}
      createReaper().prepare()`
    const { status } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { timeout: 10_000 })
    expect(status).toBe(0)
  })

  it('is one for the process', () => {
    expect(processReaper()).toBe(processReaper())
  })
})
