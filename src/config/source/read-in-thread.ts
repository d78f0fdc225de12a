import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from 'node:worker_threads'
import { describeError, GatewayError } from '../../core/errors.ts'
import type { ClientConfig, Config, ServerConfig } from '../types.ts'
import type { FileReading, ReadRequest } from './reading.ts'

/** A thousand clients with a hundred rules each take two seconds. */
const TIMEOUT_MS = 120_000

interface Part {
  readonly servers?: readonly ServerConfig[]
  readonly clients?: readonly ClientConfig[]
}

/**
 * Loads a configuration in a separate thread, because a large one takes seconds, during which requests must be served.
 * A failure of the thread becomes a problem of the reading.
 * @throws GatewayError `cancelled` after `stop`
 */
export function readInThread(request: ReadRequest): { reading: Promise<FileReading>; stop: () => void } {
  const { port1, port2 } = new MessageChannel()
  const worker = new Worker(new URL('./read-worker.js', import.meta.url), {
    workerData: { ...request, port: port2 },
    transferList: [port2],
  })
  const { promise: stopped, reject: stop } = withStop()
  const ready = new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve())
    worker.once('error', reject)
    worker.once('exit', () => reject(new Error('The thread that loaded it ended early.')))
  })
  return { reading: received(worker, port1, Promise.race([ready, stopped])), stop }
}

async function received(worker: Worker, port: MessagePort, ready: Promise<void>): Promise<FileReading> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    const why = `Loading it took longer than ${TIMEOUT_MS / 1000} s. Look for files that it refers to and that do not answer.`
    timer = setTimeout(() => reject(new Error(why)), TIMEOUT_MS)
  })
  try {
    await Promise.race([ready, late])
    return await joined(port)
  } catch (error) {
    if (error instanceof GatewayError) throw error
    return { reading: { digest: '', problem: describeError(error) }, marks: [] }
  } finally {
    clearTimeout(timer)
    port.close()
    await worker.terminate()
  }
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
