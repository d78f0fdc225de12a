import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'
import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { describeError, GatewayError } from '../../core/errors.ts'
import { keepOutputs, keptOutputs } from '../../kept-outputs.ts'
import type { ClientConfig, Config, ServerConfig } from '../types.ts'
import type { FileReading, ReadRequest } from './reading.ts'

/** A thousand clients with a hundred rules each take two seconds. */
const TIMEOUT_MS = 120_000
/** A thread starts in 200 ms of processor time and reads in a few; an idle one holds about 20 MB. */
const IDLE_MS = 60_000
/** A thread that waits in a call to the system, such as that of a file on a dead network drive, does not end. */
const END_MS = 1000
/** Threads that wait for files which do not answer; each holds about 20 MB. */
const MAX_BLOCKED = 4

export interface ReadingThreadsOptions {
  /** After which a reading is given up; default 120 s. */
  readonly timeoutMs?: number
  /** The program of a thread; default: `reading-worker.js`. */
  readonly script?: URL
}

interface Part {
  readonly servers?: readonly ServerConfig[]
  readonly clients?: readonly ClientConfig[]
}

/** A reading under way. */
export interface StartedReading {
  /** Rejects with `cancelled` after `stop`; any other failure is a problem of the reading. */
  readonly reading: Promise<FileReading>
  readonly stop: () => void
}

/**
 * Loads configurations in separate threads, because a large one takes seconds, during which requests must be served.
 * The thread of a reading is kept for the next one for a minute. Readings at the same time have a thread each.
 */
export class ReadingThreads {
  /** The thread that waits for the next reading. */
  #idle: Worker | undefined
  #timer: NodeJS.Timeout | undefined
  #closed = false
  /** Those of the readings under way. */
  readonly #stops = new Set<() => void>()
  /** Threads that were told to end: resolves once one has ended or counts as blocked. */
  readonly #ending = new Map<Worker, Promise<void>>()
  /** Threads that have not ended a second after they were told to. */
  readonly #blocked = new Set<Worker>()
  readonly #timeoutMs: number
  readonly #script: URL

  constructor({ timeoutMs = TIMEOUT_MS, script }: ReadingThreadsOptions = {}) {
    this.#timeoutMs = timeoutMs
    this.#script = script ?? pathToFileURL(createRequire(import.meta.url).resolve('#reading-worker'))
  }

  /** Whether a thread does not end. `process.exit` would wait for it, perhaps without an end. */
  get isBlocked(): boolean {
    return this.#blocked.size > 0
  }

  /** Starts a reading. */
  read(request: ReadRequest): StartedReading {
    const { promise: stopped, reject: stop } = withStop()
    if (this.#closed) stop()
    this.#stops.add(stop)
    const reading = this.#read(request, stopped).finally(() => this.#stops.delete(stop))
    return { reading, stop }
  }

  /**
   * Ends all threads; readings under way are stopped. Idempotent. Waits for a blocked thread for a second at most.
   */
  async close(): Promise<void> {
    this.#closed = true
    for (const stop of this.#stops) stop()
    // The readings tell their threads to end.
    await new Promise(resolve => setImmediate(resolve))
    const idle = this.#taken()
    if (idle) this.#tellToEnd(idle)
    await Promise.all(this.#ending.values())
  }

  async #read(request: ReadRequest, stopped: Promise<never>): Promise<FileReading> {
    if (this.#closed) return await stopped
    if (this.#blocked.size >= MAX_BLOCKED) return failed(BLOCKED)
    const worker = this.#taken() ?? this.#started()
    worker.ref()
    const { port1, port2 } = new MessageChannel()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const why = `Loading it took longer than ${this.#timeoutMs / 1000} s. Look for files that it refers to and that do not answer.`
      timer = setTimeout(() => reject(new Error(why)), this.#timeoutMs)
    })
    const answer = nextMessage(worker)
    try {
      worker.postMessage({ ...request, outputs: keptOutputs(), port: port2 }, [port2])
      await Promise.race([answer.came, stopped, late])
      const reading = await joined(port1)
      this.#keep(worker)
      return reading
    } catch (error) {
      this.#tellToEnd(worker)
      await this.#ending.get(worker)
      if (error instanceof GatewayError) throw error
      return failed(describeError(error))
    } finally {
      answer.forget()
      clearTimeout(timer)
      port1.close()
    }
  }

  #taken(): Worker | undefined {
    const worker = this.#idle
    this.#idle = undefined
    clearTimeout(this.#timer)
    return worker
  }

  #keep(worker: Worker): void {
    if (this.#idle || this.#closed) return this.#tellToEnd(worker)
    worker.unref()
    this.#idle = worker
    this.#timer = setTimeout(() => {
      const idle = this.#taken()
      if (idle) this.#tellToEnd(idle)
    }, IDLE_MS)
    this.#timer.unref()
  }

  #tellToEnd(worker: Worker): void {
    // The id is -1 once it has ended.
    if (worker.threadId === -1) return
    const over = new Promise<void>(resolve => {
      const timer = setTimeout(() => {
        this.#blocked.add(worker)
        resolve()
      }, END_MS)
      worker.once('exit', () => {
        clearTimeout(timer)
        this.#ending.delete(worker)
        this.#blocked.delete(worker)
        resolve()
      })
    })
    this.#ending.set(worker, over)
    worker.unref()
    void worker.terminate()
  }

  #started(): Worker {
    const worker = new Worker(this.#script)
    // An error is followed by `exit`; without a listener it would end the process.
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (this.#idle === worker) this.#taken()
    })
    return worker
  }
}

const BLOCKED = `${MAX_BLOCKED} earlier readings still wait for files that do not answer, and more are not started. Look for a network drive that does not answer, or restart the gateway.`

function failed(problem: string): FileReading {
  return { reading: { digest: '', problem }, marks: [] }
}

/** The end of the reading that a thread has been asked for, or of the thread. */
function nextMessage(worker: Worker): { came: Promise<void>; forget: () => void } {
  let forget = (): void => {}
  const came = new Promise<void>((resolve, reject) => {
    const onMessage = (): void => resolve()
    const onExit = (): void => reject(new Error('The thread that loaded it ended early.'))
    forget = () => void worker.off('message', onMessage).off('error', reject).off('exit', onExit)
    worker.on('message', onMessage).on('error', reject).on('exit', onExit)
  })
  came.catch(() => {})
  return { came, forget }
}

/** Receives one part per turn of the event loop. */
async function joined(port: MessagePort): Promise<FileReading> {
  const first = receiveMessageOnPort(port)?.message as FileReading | undefined
  if (first === undefined) throw new Error('The thread that loaded it answered nothing.')
  const { reading, marks, outputs = [] } = first
  keepOutputs(outputs)
  if (reading.config === undefined) return { reading, marks }
  const servers: ServerConfig[] = []
  const clients: ClientConfig[] = []
  for (;;) {
    await new Promise(resolve => setImmediate(resolve))
    const part = receiveMessageOnPort(port)?.message as Part | undefined
    if (part === undefined) break
    servers.push(...(part.servers ?? []))
    clients.push(...(part.clients ?? []))
  }
  const config: Config = { ...reading.config, servers, clients }
  return { reading: { ...reading, config }, marks }
}

function withStop(): { promise: Promise<never>; reject: () => void } {
  let reject: () => void = () => {}
  const promise = new Promise<never>((_, fail) => {
    reject = () => fail(new GatewayError('cancelled', 'The configuration is not read any more.'))
  })
  promise.catch(() => {})
  return { promise, reject }
}
