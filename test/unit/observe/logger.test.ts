import { Writable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createLogger, type LoggerOptions } from '../../../src/observe/logger.ts'

const numbered = (word: string): string[] => Array.from({ length: 50 }, (_, index) => `${word} ${index}`)

class Memory extends Writable {
  text = ''
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString()
    done()
  }
  get lines(): string[] {
    return this.text.split('\n').slice(0, -1)
  }
}

function start(options: Partial<LoggerOptions> = {}): {
  memory: Memory
  logger: ReturnType<typeof createLogger>
} {
  const memory = new Memory()
  return { memory, logger: createLogger({ level: 'debug', stream: memory, ...options }) }
}

it('keeps the order of records from before and after winston is loaded, and loses none', async () => {
  const { memory, logger } = start()
  for (let index = 0; index < 50; index++) logger.info(`early ${index}`)
  const first = logger.flush()
  logger.warn('between')
  await first
  for (let index = 0; index < 50; index++) logger.info(`late ${index}`)
  await logger.flush()
  const messages = memory.lines.map(line => (JSON.parse(line) as { message: string }).message)
  expect(messages).toEqual([...numbered('early'), 'between', ...numbered('late')])
})

it('leaves out what is below the level', async () => {
  const { memory, logger } = start({ level: 'warn' })
  logger.debug('a')
  logger.info('b')
  await logger.flush()
  expect(memory.text).toBe('')
  logger.warn('c')
  logger.error('d')
  await logger.flush()
  expect(memory.lines).toHaveLength(2)
})

it('writes JSON with the fields of the record and of the child', async () => {
  const { memory, logger } = start()
  logger
    .child({ server: 'files', a: 1 })
    .info('hello', { a: 2, b: true, c: undefined, message: 'x', level: 'y' })
  await logger.flush()
  const { time, ...rest } = JSON.parse(memory.lines[0] ?? '') as Record<string, unknown>
  expect(rest).toEqual({ level: 'info', message: 'hello', server: 'files', a: 2, b: true })
  expect(new Date(String(time)).getTime()).toBeGreaterThan(Date.now() - 60_000)
})

it('writes one readable line for a terminal', async () => {
  const memory = new Memory()
  const stream = Object.assign(memory, { isTTY: true })
  const logger = createLogger({ level: 'info', stream })
  logger.warn('took long', { server: 'files', ms: 12, what: 'a "b" c', none: undefined })
  await logger.flush()
  expect(memory.text).toMatch(
    /^\d\d:\d\d:\d\d\.\d{3} WARN {2}took long server=files ms=12 what="a \\"b\\" c"\n$/,
  )
})

describe.each(['text', 'json'] as const)('as %s', format => {
  async function written(message: string, fields?: Record<string, string>): Promise<string> {
    const { memory, logger } = start({ format })
    logger.error(message, fields)
    await logger.flush()
    return memory.text
  }

  it('makes one line of whatever a server printed', async () => {
    const text = await written('a\nb\r\n\x1b[31mred\x1b[0m\x1b]0;title\x07\u2028\x85\x7fz\0', { x: '1\n2' })
    expect(text.endsWith('\n')).toBe(true)
    // oxlint-disable-next-line no-control-regex
    expect(text.slice(0, -1)).not.toMatch(/[\0-\x1f\x7f-\x9f\u2028\u2029]/)
    expect(text).toContain('a\\nb')
    expect(text).toContain('red')
    expect(text).not.toContain('[31m')
  })

  it('cuts what is too long', async () => {
    const text = await written('x'.repeat(100_000))
    expect(text.length).toBeLessThan(10_000)
    expect(text).toContain('(100000 characters)')
  })

  it('masks secrets in messages and fields', async () => {
    const text = await written(
      'GET https://user:hunter2@host/p?a=1&api_key=hunter2 with Bearer hunter2hunter2',
      {
        header: 'Authorization: Basic hunter2==',
        password: 'hunter2',
        url: 'http://h/?sig=hunter2&x=kept',
      },
    )
    expect(text).not.toContain('hunter2')
    expect(text).toContain('https://***@host/p?a=1&api_key=***')
    expect(text).toContain('x=kept')
  })
})

it('survives a stream that fails', async () => {
  const broken = new Writable({
    write: (_chunk, _encoding, done) => done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  })
  const logger = createLogger({ level: 'info', stream: broken })
  const closed = new Promise(resolve => broken.once('close', resolve))
  logger.info('one')
  await logger.flush()
  await closed
  logger.info('two')
  await logger.flush()
  expect(broken.errored).toMatchObject({ code: 'EPIPE' })
})

it('drops records rather than fill the memory when nothing reads, and says so', async () => {
  let held = true
  let text = ''
  let started: ((release: () => void) => void) | undefined
  const firstWrite = new Promise<() => void>(resolve => (started = resolve))
  const slow = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk.toString()
      if (held) started?.(done)
      else done()
    },
  })
  const logger = createLogger({ level: 'info', stream: slow })
  logger.info('first')
  const release = await firstWrite
  for (let index = 0; index < 2200; index++) logger.info('y'.repeat(8000))
  expect(slow.writableLength).toBeLessThan(17 * 1024 * 1024)
  const drained = new Promise<void>(resolve => slow.once('drain', resolve))
  held = false
  release()
  await drained
  logger.info('last')
  await logger.flush()
  expect(text).toMatch(/"message":"\d+ log records were dropped/)
  expect(text).toContain('last')
})
