import { spawnSync } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import type { GatewayError } from '../../../../../src/core/errors.ts'
import type { LogFields, Logger } from '../../../../../src/core/logger.ts'
import { createReaper } from '../../../../../src/upstream/transport/stdio/orphan-reaper.ts'
import { createStdioTransport } from '../../../../../src/upstream/transport/stdio/stdio.ts'
import type { StdioTransportOptions } from '../../../../../src/upstream/transport/stdio/stdio-transport-options.ts'
import type { Receiver, Transport } from '../../../../../src/upstream/transport/shared/transport.ts'

const FIXTURES = new URL('../../../../fixtures/servers/', import.meta.url).pathname
const reaper = createReaper()
afterAll(() => reaper.close())

/** Records what a transport reports; `next` waits for an event that was not taken yet. */
class Events implements Receiver {
  readonly #seen: Event[] = []
  #wake = (): void => {}
  onMessage(text: string): void {
    this.#add({ text })
  }
  onFailure(id: number, error: GatewayError): void {
    this.#add({ id, error })
  }
  onClose(error: GatewayError): void {
    this.#add({ closed: true, error })
  }
  ownerOf(): undefined {}

  waits(): boolean {
    return true
  }
  onSessionLost(): void {}
  onGap(): void {}
  onMemoryLimitExceeded(): void {}
  get left(): readonly Event[] {
    return this.#seen
  }
  async next(): Promise<Event> {
    for (;;) {
      const event = this.#seen.shift()
      if (event) return event
      await new Promise<void>(resolve => (this.#wake = resolve))
    }
  }
  /** The next message, parsed. */
  async message(): Promise<{ id: number; result: Record<string, unknown> }> {
    const event = await this.next()
    if (event.text === undefined) throw new Error('no message', { cause: event.error })
    return JSON.parse(event.text) as { id: number; result: Record<string, unknown> }
  }
  #add(event: Event): void {
    this.#seen.push(event)
    this.#wake()
  }
}
interface Event {
  text?: string
  id?: number
  closed?: boolean
  error?: GatewayError
}

interface Line extends LogFields {
  readonly level: string
  readonly message: string
}
function recorder(lines: Line[], fields: LogFields = {}): Logger {
  const write = (level: string) => (message: string, more?: LogFields) =>
    void lines.push({ ...fields, ...more, level, message })
  return {
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    child: more => recorder(lines, { ...fields, ...more }),
  }
}

interface Setup {
  transport: Transport
  events: Events
  log: Line[]
  request(id: number, method: string, params?: object): void
}

function create(
  options: Partial<StdioTransportOptions> & { command?: string; args?: string[]; cwd?: string } = {},
): Setup {
  const {
    command = process.execPath,
    args = [`${FIXTURES}transport-peer.js`],
    cwd = process.cwd(),
    ...rest
  } = options
  const log: Line[] = []
  const transport = createStdioTransport({
    server: 'pup',
    endpoint: { kind: 'stdio', command, args, env: { CONFIGURED: 'yes' }, cwd },
    maxMessageBytes: 1_000_000,
    logger: recorder(log),
    reaper,
    ...rest,
  })
  onTestFinished(() => transport.close())
  const request = (id: number, method: string, params: object = {}): void =>
    transport.send({ id, method, text: JSON.stringify({ jsonrpc: '2.0', id, method, params }) })
  return { transport, events: new Events(), log, request }
}

async function start(options: Parameters<typeof create>[0] = {}): Promise<Setup> {
  const setup = create(options)
  await setup.transport.open(setup.events)
  return setup
}

/** Those that run, without what only waits to be collected. */
function running(pids: readonly unknown[]): number[] {
  const { stdout } = spawnSync('ps', ['-o', 'pid=,stat=', '-p', pids.join(',')], { encoding: 'utf8' })
  const found = stdout.split('\n').map(line => line.trim().split(/\s+/))
  return found.filter(([pid, stat]) => pid && !stat?.startsWith('Z')).map(([pid]) => Number(pid))
}

async function failure(options: Parameters<typeof create>[0]): Promise<GatewayError> {
  const { transport, events } = create(options)
  const error = await transport.open(events).then(
    () => undefined,
    (reason: GatewayError) => reason,
  )
  expect(error).toMatchObject({ code: 'upstream_start_failed', delivery: 'not_sent', server: 'pup' })
  await transport.close()
  expect(events.left).toEqual([])
  return error as GatewayError
}

/** Children, pipes and timers that keep this process busy. */
function handles(): number {
  return process.getActiveResourcesInfo().filter(name => /Process|Pipe|Timeout/.test(name)).length
}

describe('messages', () => {
  it('go out and come in unchanged and in order', async () => {
    const { events, request } = await start()
    for (let id = 1; id <= 500; id++) request(id, 'echo', { text: `é 🙂 \n ${id}` })
    for (let id = 1; id <= 500; id++) {
      expect(await events.message()).toEqual({ jsonrpc: '2.0', id, result: { text: `é 🙂 \n ${id}` } })
    }
  })

  it('of 30 MB pass both ways', async () => {
    const { events, request } = await start({ maxMessageBytes: 40_000_000 })
    const text = 'x'.repeat(30_000_000)
    request(1, 'echo', { text })
    const { result } = await events.message()
    expect(result['text'] === text).toBe(true)
  })

  it('are told from noise, blank lines, carriage returns and a byte order mark', async () => {
    const { events, request, log } = await start()
    const text =
      'Starting…\n\n  \t\r\n\uFEFF{"a":1}\r\n  [{"b":2}]  \n42\n"x"\n[info] up\n{ level: 30 }\n{"broken\n{"c":3}\n'
    request(1, 'print', { text })
    const texts = [await events.next(), await events.next(), await events.next(), await events.next()]
    expect(texts.map(event => event.text)).toEqual(['{"a":1}', '[{"b":2}]', '{"broken', '{"c":3}'])
    const warnings = log.filter(line => line.level === 'warn')
    expect(warnings.map(line => line['line'])).toEqual([
      'Starting…',
      '42',
      '"x"',
      '[info] up',
      '{ level: 30 }',
    ])
    expect(warnings[0]).toMatchObject({ server: 'pup' })
    expect(warnings[0]?.message).toMatch(/Server "pup".*Fix:/)
  })

  it('are unharmed by floods of noise, which the log does not follow', async () => {
    const { events, request, log } = await start()
    const lines = Array.from({ length: 1000 }, (_, n) => `${n} ${'z'.repeat(5000)}\n`)
    request(1, 'print', { text: lines.join('') })
    request(2, 'echo')
    expect((await events.message()).id).toBe(2)
    const warnings = log.filter(line => line.level === 'warn')
    expect(warnings).toHaveLength(10)
    expect(String(warnings[0]?.['line'])).toHaveLength(200)
  })

  it('end the server when the noise goes on, and say why', async () => {
    const { events, request } = await start()
    request(1, 'print', { text: `${'z'.repeat(200)}\n`.repeat(100_000) })
    const { closed, error } = await events.next()
    expect(closed).toBe(true)
    expect(error?.message).toMatch(
      /"pup" is gone: it sent more than 16 MiB that is no message within a minute/,
    )
  })

  it('count without their newline at the end', async () => {
    const { events, request } = await start()
    request(1, 'exit', { text: '{"last":1}' })
    expect(await events.next()).toEqual({ text: '{"last":1}' })
    expect((await events.next()).closed).toBe(true)
  })

  it.each([false, true])('that are too long fail their request alone (id last: %s)', async idLast => {
    const { events, request, log } = await start({ maxMessageBytes: 100_000 })
    request(1, 'large', { size: 5_000_000, idLast })
    request(2, 'echo')
    const { id, error } = await events.next()
    expect(id).toBe(1)
    expect(error).toMatchObject({ code: 'too_large', delivery: 'answered', server: 'pup' })
    expect(error?.message).toMatch(/"pup".*100000.*Fix:/)
    expect((await events.message()).id).toBe(2)
    expect(log.filter(line => line.level === 'warn')).toHaveLength(1)
  })

  it('to a server that does not read are refused once too much waits', async () => {
    const { events, request } = await start({ exitGraceMs: 200 })
    request(1, 'stop-reading')
    const text = 'x'.repeat(10 * 1024 * 1024)
    for (let id = 2; id <= 9; id++) request(id, 'echo', { text })
    const refused = [await events.next(), await events.next()]
    expect(refused.map(event => [event.id, event.error?.code, event.error?.delivery])).toEqual([
      [8, 'overloaded', 'not_sent'],
      [9, 'overloaded', 'not_sent'],
    ])
  })
})

describe('the environment of a server', () => {
  it('has what is configured and little else', async () => {
    process.env['SECRET_OF_THE_GATEWAY'] = 'x'
    onTestFinished(() => void delete process.env['SECRET_OF_THE_GATEWAY'])
    const { events, request } = await start({ cwd: tmpdir() })
    request(1, 'env')
    request(2, 'where')
    const env = (await events.message()).result
    expect(env).toMatchObject({ CONFIGURED: 'yes', PATH: process.env['PATH'] })
    expect(env).not.toHaveProperty('SECRET_OF_THE_GATEWAY')
    expect(env).not.toHaveProperty('NODE_ENV')
    expect((await events.message()).result['cwd']).toContain(tmpdir())
  })

  it('leads its stderr to the log, a record a line', async () => {
    const { events, request, log } = await start()
    request(1, 'complain', { text: `one\r\n\ntwo\n${'y'.repeat(10_000)}\nend` })
    request(2, 'exit')
    await events.message()
    await events.next()
    const lines = log.filter(line => line['source'] === 'stderr')
    expect(lines.map(line => line.message.slice(0, 10))).toEqual(['one', 'two', 'yyyyyyyyyy', 'end'])
    expect(lines[2]?.message).toMatch(/^y{512}… \(10000 bytes\)$/)
    expect(lines[0]).toMatchObject({ level: 'info', server: 'pup' })
  })
})

describe('a start that fails', () => {
  it('names a missing command', async () => {
    expect((await failure({ command: 'no-such-command-here' })).message).toBe(
      'Server "pup" could not be started: command "no-such-command-here" was not found on PATH. ' +
        'Fix: install it, or give its absolute path as "command".',
    )
    expect((await failure({ command: '/no/such/file' })).message).toContain('no file "/no/such/file"')
  })

  it('names a missing working directory', async () => {
    expect((await failure({ cwd: '/no/such/folder' })).message).toMatch(
      /working directory "\/no\/such\/folder".*Fix:/,
    )
  })

  it('names a command that may not be executed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'manifold-stdio-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const file = join(folder, 'tool')
    await writeFile(file, 'x')
    await chmod(file, 0o600)
    expect((await failure({ command: file })).message).toMatch(/may not be executed.*chmod/)
  })
})

describe('the end of a server', () => {
  it('is reported with its code, and its last words only as the cause', async () => {
    const { transport, events, request } = await start()
    request(1, 'complain', { text: 'Error: no licence\n    at x (y.js:1)\n\nNode.js v20.0.0\n' })
    request(2, 'exit', { code: 3, text: '{"last":1}\n' })
    await events.message()
    expect((await events.next()).text).toBe('{"last":1}')
    const { closed, error } = await events.next()
    expect(closed).toBe(true)
    expect(error).toMatchObject({ code: 'upstream_closed', delivery: 'unknown', server: 'pup' })
    expect(error?.message).toMatch(/"pup".*code 3.*Fix:/)
    expect(error?.message).not.toContain('licence')
    expect(String(error?.cause)).toContain('Error: no licence')

    request(3, 'echo')
    expect(await events.next()).toMatchObject({
      id: 3,
      error: { code: 'upstream_closed', delivery: 'not_sent' },
    })
    await transport.close()
    expect(events.left).toEqual([])
  })

  it('is reported with its signal', async () => {
    const { events, request } = await start()
    request(1, 'where')
    process.kill(Number((await events.message()).result['pid']), 'SIGKILL')
    expect((await events.next()).error?.message).toContain('SIGKILL')
  })

  it('takes its descendants along', async () => {
    const { transport, events, request } = await start()
    request(1, 'fork', { inherit: true })
    const { pid } = (await events.message()).result
    expect(running([pid])).toHaveLength(1)
    request(2, 'exit')
    expect((await events.next()).closed).toBe(true)
    await transport.close()
    expect(running([pid])).toEqual([])
  })

  it('comes when it no longer reads', async () => {
    const { transport, events, request } = await start({ exitGraceMs: 100 })
    request(1, 'close-stdin')
    request(2, 'where')
    // Answered, as it came along with the request before it.
    await events.message()
    request(3, 'echo')
    expect(await events.next()).toMatchObject({ error: { code: 'upstream_closed', delivery: 'unknown' } })
    for (;;) if ((await events.next()).closed) break
    await transport.close()
  })

  it('comes when it no longer can answer', async () => {
    const { events, request } = await start({ exitGraceMs: 100 })
    request(1, 'close-stdout')
    expect(await events.next()).toMatchObject({ closed: true, error: { code: 'upstream_closed' } })
  })

  it('leaves what was never written to be sent elsewhere', async () => {
    const { events, request } = await start()
    request(1, 'where')
    const { pid } = (await events.message()).result
    request(2, 'stop-reading')
    for (let id = 3; id <= 6; id++) request(id, 'echo', { text: 'x'.repeat(5_000_000) })
    // Handed to the system, which takes only as much as a pipe holds.
    await new Promise(setImmediate)
    process.kill(Number(pid), 'SIGKILL')
    const deliveries = new Map<number, string | undefined>()
    for (let event = await events.next(); !event.closed; event = await events.next()) {
      deliveries.set(event.id ?? 0, event.error?.delivery)
    }
    expect([...deliveries]).toEqual([
      [3, 'unknown'],
      [4, 'not_sent'],
      [5, 'not_sent'],
      [6, 'not_sent'],
    ])
  })
})

describe('close', () => {
  it('lets a server exit by itself, after what was sent before', async () => {
    const { transport, events, request, log } = await start()
    request(1, 'where')
    const { pid } = (await events.message()).result
    transport.send({
      id: undefined,
      method: 'complain',
      text: '{"method":"complain","params":{"text":"bye\\n"}}',
    })
    await Promise.all([transport.close(), transport.close()])
    expect(running([pid])).toEqual([])
    expect(events.left).toEqual([])
    expect(log.some(line => line.message === 'bye')).toBe(true)
    expect(log.some(line => line.message.includes('SIGTERM'))).toBe(false)
  })

  it('ends one that ignores the end of stdin and SIGTERM, and its descendants', async () => {
    const { transport, events } = await start({ args: [`${FIXTURES}ignore-sigterm.js`], exitGraceMs: 100 })
    const { pids } = JSON.parse((await events.next()).text ?? '') as { pids: number[] }
    expect(running(pids)).toHaveLength(2)
    await transport.close()
    expect(running(pids)).toEqual([])
    expect(events.left).toEqual([])
  })

  it('ends descendants that outlive their leader', async () => {
    const { transport, events, request } = await start()
    request(1, 'fork')
    const { pid } = (await events.message()).result
    await transport.close()
    expect(running([pid])).toEqual([])
  })

  it('works before, while and after a start', async () => {
    const { transport: never } = create()
    await never.close()
    const { transport, events } = create()
    const opening = transport.open(events)
    await Promise.all([expect(opening).rejects.toMatchObject({ code: 'upstream_closed' }), transport.close()])
    await transport.close()
    expect(events.left).toEqual([])
  })

  it('leaves nothing behind in fifty rounds', async () => {
    const before = handles()
    const pids: unknown[] = []
    for (let round = 0; round < 50; round += 2) {
      await Promise.all(
        [round, round + 1].map(async () => {
          const { transport, events, request } = await start()
          request(1, 'where')
          pids.push((await events.message()).result['pid'])
          await transport.close()
        }),
      )
    }
    expect(pids).toHaveLength(50)
    expect(running(pids)).toEqual([])
    await new Promise(setImmediate)
    expect(handles()).toBeLessThanOrEqual(before + 2)
  })
})
