import type { ChildProcess } from 'node:child_process'
import { receptionFrom } from '../../../core/buffer-limit.ts'
import { GatewayError, type Delivery } from '../../../core/errors.ts'
import type { Logger } from '../../../core/logger.ts'
import type { Reception } from '../../../core/reception.ts'
import { within } from '../../../core/timeout.ts'
import { childEnv } from './child-env.ts'
import { Junk, TOO_MUCH_JUNK } from '../shared/junk.ts'
import { StderrTail, SaidBeforeEnd } from './stderr-tail.ts'
import { LineSplitter } from './line-splitter.ts'
import { beginsMessage, isSpace } from './message-line.ts'
import { processMemory, readableBytes, type MemoryWatch } from './memory-watch.ts'
import { groupGone, groupRuns, HAS_GROUPS, signalTree } from './process-group.ts'
import { NotTaken } from '../shared/not-taken.ts'
import { Printed, type PrintedByOne } from './printed.ts'
import { processReaper, type OrphanReaper } from './orphan-reaper.ts'
import { startError } from './start-error.ts'
import type { Outgoing, Receiver, Transport } from '../shared/transport.ts'
import { WriteQueue } from './write-queue.ts'
import type { StdioTransportOptions } from './stdio-transport-options.ts'
import { STDIO_TRAITS } from './traits.ts'

/** Time a server gets after each step of its shutdown: its stdin closed, SIGTERM, SIGKILL. */
const DEFAULT_EXIT_GRACE_MS = 2000

/** A server that reads nothing while this much waits for it is stuck. More would only fill the memory. */
const MAX_OUTSTANDING_BYTES = 64 * 1024 * 1024
/** Answers written just before an exit are still read. Descendants that keep the pipes open are not waited for. */
const DRAIN_MS = 500
const MAX_STDERR_LINE_BYTES = 4096
const NOISE_CHARS = 200
/** A process that exceeds its ceiling by this factor is ended at once, without a replacement first. */
const FAR_ABOVE = 1.5

/**
 * Connects to a program that this process starts: JSON-RPC messages as lines on its stdin and stdout. Its stderr is
 * logged, only once if each start prints the same and fails. The program leads a process group, and all of the group
 * has ended when `close()` resolves.
 */
export function createStdioTransport(options: StdioTransportOptions): Transport {
  return new StdioTransport(options)
}

class StdioTransport implements Transport {
  readonly kind = 'stdio'
  readonly traits = STDIO_TRAITS
  readonly sessionful = true
  readonly #options: StdioTransportOptions
  readonly #logger: Logger
  readonly #reaper: OrphanReaper
  readonly #memory: MemoryWatch
  readonly #graceMs: number
  readonly #stderrTail = new StderrTail()
  readonly #junk = new Junk()
  readonly #printed: PrintedByOne
  #receiver: Receiver | undefined
  #running: Running | undefined
  #closed = false
  /** Why the gateway has ended it, if it has. */
  #verdict: string | undefined
  /** Whether its group has ended. Its number may then be reused. */
  #ended = false
  #lost: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: StdioTransportOptions) {
    this.#options = options
    this.#logger = options.logger.child({ server: options.server })
    this.#printed = options.printed ?? new Printed().begin(this.#logger)
    this.#reaper = options.reaper ?? processReaper()
    this.#memory = options.memory ?? processMemory()
    this.#graceMs = options.exitGraceMs ?? DEFAULT_EXIT_GRACE_MS
  }

  async open(receiver: Receiver): Promise<void> {
    const { server, endpoint } = this.#options
    this.#receiver = receiver
    const { default: spawn } = await import('cross-spawn')
    if (this.#closed) throw this.#closedError('it was closed while it started', 'not_sent')
    this.#reaper.prepare()
    try {
      const child = spawn(endpoint.command, [...endpoint.args], {
        cwd: endpoint.cwd,
        env: childEnv(endpoint.env),
        stdio: ['pipe', 'pipe', 'pipe'],
        detached: HAS_GROUPS,
        windowsHide: true,
      })
      if (child.pid !== undefined) this.#attach(child, child.pid)
      await new Promise<void>((resolve, reject) => {
        child.once('spawn', resolve)
        child.once('error', reject)
      })
    } catch (error) {
      this.#reaper.relax()
      throw startError(server, endpoint, error)
    }
    if (this.#closed) {
      await this.#stop()
      throw this.#closedError('it was closed while it started', 'not_sent')
    }
    this.#logger.debug('Server started.', { pid: this.#running?.pid })
  }

  send(message: Outgoing): void {
    const outcome = this.#running?.queue.push(message) ?? 'closed'
    if (outcome === 'taken') return
    const { server } = this.#options
    const error =
      outcome === 'closed'
        ? this.#closedError('it is not running', 'not_sent')
        : new GatewayError(
            'overloaded',
            `Server "${server}" does not read what it is sent; try again later.`,
            { server },
          )
    // Deferred, so that a caller has recorded its request before it gets the failure.
    queueMicrotask(() => this.#fail(message, error))
  }

  use(): void {}
  listen(): void {}

  /** Requests have no stream of their own here. A request that still waits for the pipe is removed. */
  abandon(id: number): boolean {
    return this.#running?.queue.drop(id) ?? false
  }

  unreadMs(_id: number, moment: number): number {
    return this.#running?.reception.pausedMs(moment) ?? 0
  }

  async close(force = false): Promise<void> {
    this.#closed = true
    if (force) this.#kill()
    await this.#stop()
    this.#printed.stopped()
  }

  #attach(child: ChildProcess, pid: number): void {
    this.#reaper.register(pid)
    const { stdin, stdout, stderr } = child
    if (!stdin || !stdout || !stderr) {
      signalTree(pid, 'SIGKILL')
      this.#reaper.release(pid)
      throw new Error('A child has no pipes.')
    }
    const { memoryBytes } = this.#options
    if (memoryBytes !== undefined)
      this.#memory.watch(pid, memoryBytes, this.#logger, used =>
        this.#onMemoryLimitExceeded(used, memoryBytes()),
      )
    const queue = new WriteQueue(stdin, MAX_OUTSTANDING_BYTES, (message, delivery) =>
      this.#fail(message, this.#closedError('it stopped reading', delivery)),
    )
    const notTaken = new NotTaken({ ...this.#options, logger: this.#logger }, (id, error) => {
      if (!this.#closed) this.#receiver?.onFailure(id, error)
    })
    const messages = new LineSplitter(this.#options.maxMessageBytes, {
      onLine: (bytes, start, end) => this.#onLine(bytes, start, end),
      onLongLine: (head, tail, size) => notTaken.ended(head.toString(), tail.toString(), size),
    })
    const log = new LineSplitter(MAX_STDERR_LINE_BYTES, {
      onLine: (bytes, start, end) => this.#onStderr(bytes.toString('utf8', start, end)),
      onLongLine: (head, _tail, size) => this.#onStderr(`${head.toString()}… (${size} bytes)`),
    })
    const exited = new Promise<void>(resolve => {
      child.once('exit', () => resolve())
      // On Windows a missing command causes an error event instead of an exit.
      child.on('error', () => resolve())
    })
    const drained = new Promise<void>(resolve => child.once('close', () => resolve()))
    const owner = (): string | undefined => this.#receiver?.ownerOf(undefined)
    const reception = receptionFrom(this.#options.server, owner, stdout, why =>
      notTaken.stopped(messages.skip().toString(), why),
    )
    this.#running = { child, pid, queue, messages, reception, log, exited, drained }
    for (const pipe of [stdin, stdout, stderr]) pipe.on('error', () => {})
    stdin.once('close', () => void this.#lose())
    stdout.on('data', (chunk: Buffer) => {
      messages.push(chunk)
      reception.at(messages.held)
    })
    stdout.once('close', () => reception.end())
    stderr.on('data', (chunk: Buffer) => log.push(chunk))
    // Without stdout a server can answer nothing, even if it continues to run.
    stdout.once('end', () => void this.#lose())
    void exited.then(() => this.#lose())
  }

  #onLine(bytes: Buffer, from: number, end: number): void {
    if (this.#closed) return
    let start = from
    // A byte order mark, as some Windows programs print it.
    if (bytes[start] === 0xef && bytes[start + 1] === 0xbb && bytes[start + 2] === 0xbf) start += 3
    while (start < end && isSpace(bytes[start])) start++
    while (end > start && isSpace(bytes[end - 1])) end--
    if (start === end) return
    if (beginsMessage(bytes, start, end)) {
      this.#receiver?.onMessage(bytes.toString('utf8', start, end), undefined)
      return
    }
    const { log, held, tooMuch } = this.#junk.note(end - start)
    if (tooMuch) {
      this.#verdict ??= TOO_MUCH_JUNK
      this.#kill()
    }
    if (!log) return
    const sample = bytes.toString('utf8', start, Math.min(end, start + 4 * NOISE_CHARS)).slice(0, NOISE_CHARS)
    if (!this.#printed.strayed(sample)) return
    this.#logger.warn(
      `Server "${this.#options.server}" printed something that is no message to its standard output; it was ignored. Fix: let it log to standard error.`,
      { line: sample, ...(held > 0 && { ignoredBefore: held }) },
    )
  }

  #onMemoryLimitExceeded(bytes: number, ceiling: number): void {
    if (bytes <= ceiling * FAR_ABOVE) {
      if (!this.#closed) this.#receiver?.onMemoryLimitExceeded(bytes)
      return
    }
    this.#verdict = `it used ${readableBytes(bytes)} of memory, far more than the ${readableBytes(ceiling)} that "memoryLimit" allows, and was ended`
    this.#logger.warn(`Server "${this.#options.server}" used so much memory that it was ended at once.`, {
      used: readableBytes(bytes),
      allowed: readableBytes(ceiling),
      pid: this.#running?.pid,
    })
    this.#kill()
  }

  #kill(): void {
    if (this.#running && !this.#ended) signalTree(this.#running.pid, 'SIGKILL')
  }

  #onStderr(line: string): void {
    const text = line.trimEnd()
    if (text === '') return
    this.#stderrTail.add(text)
    this.#printed.line(text)
  }

  /** The server has ended, or is unusable: ends the rest of it and reports that once. */
  #lose(): Promise<void> {
    this.#lost ??= this.#loseOnce()
    return this.#lost
  }

  async #loseOnce(): Promise<void> {
    const running = this.#running
    if (!running) return
    void this.#stop()
    await within(running.drained, DRAIN_MS)
    running.messages.end()
    running.log.end()
    running.queue.fail()
    if (this.#closed) return
    this.#printed.failed()
    this.#receiver?.onClose(
      this.#closedError(this.#verdict ?? describeExit(running.child), 'unknown', this.#stderrTail.telling),
    )
  }

  #stop(): Promise<void> {
    this.#stopped ??= this.#stopOnce()
    return this.#stopped
  }

  async #stopOnce(): Promise<void> {
    const running = this.#running
    if (!running) return
    const { child, pid, queue, exited, drained } = running
    queue.end()
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (await within(exited, this.#graceMs)) break
      this.#logger.debug(`Server does not exit; it gets ${signal}.`, { pid })
      signalTree(pid, signal)
    }
    await within(exited, this.#graceMs)
    // The leader has ended, its descendants perhaps not: `npx` starts a shell that starts the server.
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      if (!groupRuns(pid)) break
      signalTree(pid, signal)
      await groupGone(pid, this.#graceMs)
    }
    this.#ended = true
    this.#reaper.release(pid)
    this.#memory.release(pid)
    await within(drained, DRAIN_MS)
    queue.fail()
    child.stdout?.destroy()
    child.stderr?.destroy()
    this.#logger.debug(`Server ended: ${describeExit(child)}.`, { pid })
  }

  #fail(message: Outgoing, error: GatewayError): void {
    if (message.id !== undefined) this.#receiver?.onFailure(message.id, error)
    else this.#logger.debug('A message could not be sent.', { method: message.method, reason: error.code })
  }

  #closedError(what: string, delivery: Delivery, stderrTail?: string): GatewayError {
    const { server } = this.#options
    return new GatewayError(
      'upstream_closed',
      `Server "${server}" is gone: ${what}. Fix: try again; if it goes on, run its command in a terminal to see why.`,
      {
        server,
        delivery,
        ...(stderrTail !== undefined && { cause: new SaidBeforeEnd(stderrTail) }),
      },
    )
  }
}

/** State of one child. */
interface Running {
  readonly child: ChildProcess
  readonly pid: number
  readonly queue: WriteQueue
  readonly messages: LineSplitter
  readonly reception: Reception
  readonly log: LineSplitter
  readonly exited: Promise<void>
  /** Resolves when it has exited and its pipes are read to the end. */
  readonly drained: Promise<void>
}

function describeExit(child: ChildProcess): string {
  if (child.signalCode !== null) return `it was ended by ${child.signalCode}`
  if (child.exitCode !== null) return `it exited with code ${child.exitCode}`
  return 'it closed its standard input or output'
}
