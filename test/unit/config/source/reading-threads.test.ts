import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { Worker } from 'node:worker_threads'
import { expect, onTestFinished, test } from 'vitest'
import type {
  ReadingThreads,
  ReadingThreadsOptions,
  StartedReading,
} from '../../../../src/config/source/reading-threads.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

/** The threads of the built program: a thread loads its code from a file. */
async function threads(options: ReadingThreadsOptions = {}): Promise<{
  started: Worker[]
  ended: Set<Worker>
  threads: ReadingThreads
  read: (text: string) => StartedReading
}> {
  const built = new URL('../../../../dist/config/source/reading-threads.js', import.meta.url).href
  const { ReadingThreads: Threads } = (await import(built)) as {
    ReadingThreads: new (options: ReadingThreadsOptions) => ReadingThreads
  }
  const started: Worker[] = []
  const ended = new Set<Worker>()
  const onWorker = (worker: Worker): void => {
    started.push(worker)
    worker.once('exit', () => ended.add(worker))
  }
  process.on('worker', onWorker)
  const threads = new Threads(options)
  const scratch = makeScratch()
  onTestFinished(async () => {
    process.off('worker', onWorker)
    await threads.close()
    await scratch[Symbol.asyncDispose]()
  })
  const file = scratch.write('servers.json', '{}')
  return { started, ended, threads, read: text => threads.read({ file, overrides: {}, text }) }
}

const textOf = (...names: string[]): string =>
  JSON.stringify({ mcpServers: Object.fromEntries(names.map(name => [name, { command: 'x' }])) })

const TIMEOUT_MS = 60_000

test('one thread makes one reading after the other', { timeout: TIMEOUT_MS }, async () => {
  const { started, read } = await threads()
  for (const names of [['a'], ['a', 'b'], ['c']]) {
    const { reading } = await read(textOf(...names)).reading
    expect(reading.config?.servers.map(({ name }) => name)).toEqual(names)
  }
  expect((await read('{ nonsense').reading).reading.problem).toContain('is not JSON')
  expect((await read(textOf('d')).reading).reading.config?.servers).toHaveLength(1)
  expect(started).toHaveLength(1)
})

test('a thread keeps no listener of a reading', { timeout: TIMEOUT_MS }, async () => {
  const { started, read } = await threads()
  const counts: number[] = []
  for (let times = 0; times < 3; times++) {
    await read(textOf('a')).reading
    counts.push(
      ['error', 'exit', 'message'].reduce((sum, name) => sum + (started[0]?.listenerCount(name) ?? 0), 0),
    )
  }
  expect(counts).toEqual([counts[0], counts[0], counts[0]])
})

test('readings at the same time do not wait for each other', { timeout: TIMEOUT_MS }, async () => {
  const { started, ended, read } = await threads()
  const all = await Promise.all([read(textOf('a')).reading, read(textOf('b')).reading])
  expect(all.map(({ reading }) => reading.config?.servers[0]?.name)).toEqual(['a', 'b'])
  expect(started).toHaveLength(2)
  // One of them is kept.
  await expect.poll(() => ended.size, { timeout: TIMEOUT_MS }).toBe(1)
})

test(
  'a reading that is stopped ends its thread, and the next one has another',
  { timeout: TIMEOUT_MS },
  async () => {
    const { started, ended, threads: all, read } = await threads()
    await read(textOf('a')).reading
    const { reading, stop } = read(textOf('b'))
    stop()
    await expect(reading).rejects.toMatchObject({ code: 'cancelled' })
    expect(ended.size).toBe(1)
    expect((await read(textOf('c')).reading).reading.config?.servers[0]?.name).toBe('c')
    expect(started).toHaveLength(2)
    await all.close()
    expect(ended.size).toBe(2)
  },
)

test('a thread that has ended by itself is not used again', { timeout: TIMEOUT_MS }, async () => {
  const { started, ended, read } = await threads()
  await read(textOf('a')).reading
  await started[0]?.terminate()
  expect(ended.size).toBe(1)
  expect((await read(textOf('b')).reading).reading.config?.servers[0]?.name).toBe('b')
  expect(started).toHaveLength(2)
})

test('a thread that ends as usual does not count as blocked', { timeout: TIMEOUT_MS }, async () => {
  const { started, ended, threads: all, read } = await threads()
  await read(textOf('a')).reading
  const closed = all.close()
  await new Promise(resolve => setImmediate(resolve))
  expect(all.isBlocked).toBe(false)
  await closed
  expect(ended).toEqual(new Set(started))
  expect(all.isBlocked).toBe(false)
})

test.skipIf(process.platform === 'win32')(
  'a thread that waits for a file for ever holds up neither the limit, nor the end; of those there are four at most',
  { timeout: TIMEOUT_MS },
  async () => {
    const scratch = makeScratch()
    onTestFinished(() => scratch[Symbol.asyncDispose]())
    const pipe = join(scratch.path, 'pipe')
    execFileSync('mkfifo', [pipe])
    const script = scratch.write(
      'blocked.mjs',
      `import { openSync } from 'node:fs'\nopenSync(${JSON.stringify(pipe)})`,
    )
    const all = await threads({ timeoutMs: 4000, script: pathToFileURL(script) })
    const problems = await Promise.all(
      Array.from({ length: 4 }, async () => (await all.read('{}').reading).reading.problem),
    )
    for (const problem of problems) expect(problem).toContain('longer than 4 s')
    expect(all.threads.isBlocked).toBe(true)
    expect((await all.read('{}').reading).reading.problem).toContain('4 earlier readings still wait')
    await all.threads.close()
    expect(all.ended.size).toBe(0)
    await expect(all.read('{}').reading).rejects.toMatchObject({ code: 'cancelled' })
    // A writer lets the threads go on, and so end.
    writeFileSync(pipe, '')
    await expect.poll(() => all.ended.size, { timeout: 20_000 }).toBe(4)
    expect(all.threads.isBlocked).toBe(false)
  },
)
