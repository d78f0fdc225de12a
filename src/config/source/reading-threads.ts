import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { ClientConfig, Config, ServerConfig } from '../types.ts'
import type { FileReading, ReadRequest } from './reading.ts'

/** A thousand clients with a hundred rules each take two seconds. */
const TIMEOUT_MS = 120_000
/** A thread starts in 200 ms of processor time and reads in a few; an idle one holds about 20 MB. */
const IDLE_MS = 60_000

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

  /** Starts a reading. */
  read(request: ReadRequest): StartedReading {
    const { promise: stopped, reject: stop } = withStop()
    return { reading: this.#read(request, stopped), stop }
  }

  /** Ends the idle thread. Readings under way end theirs. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#taken()?.terminate()
  }

  async #read(request: ReadRequest, stopped: Promise<never>): Promise<FileReading> {
    const worker = this.#taken() ?? this.#started()
    worker.ref()
    const { port1, port2 } = new MessageChannel()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const why = `Loading it took longer than ${TIMEOUT_MS / 1000} s. Look for files that it refers to and that do not answer.`
      timer = setTimeout(() => reject(new Error(why)), TIMEOUT_MS)
    })
    const answer = nextMessage(worker)
    try {
      worker.postMessage({ ...request, port: port2 }, [port2])
      await Promise.race([answer.came, stopped, late])
      const reading = await joined(port1)
      this.#keep(worker)
      return reading
    } catch (error) {
      await worker.terminate()
      if (error instanceof GatewayError) throw error
      return { reading: { digest: '', problem: describeError(error) }, marks: [] }
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
    if (this.#idle || this.#closed) return void worker.terminate()
    worker.unref()
    this.#idle = worker
    this.#timer = setTimeout(() => void this.#taken()?.terminate(), IDLE_MS)
    this.#timer.unref()
  }

  #started(): Worker {
    const worker = new Worker(new URL('./reading-worker.js', import.meta.url))
    // An error is followed by `exit`; without a listener it would end the process.
    worker.on('error', () => {})
    worker.on('exit', () => {
      if (this.#idle === worker) this.#taken()
    })
    return worker
  }
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
  const { reading, marks } = first
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
