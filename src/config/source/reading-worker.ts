import { parentPort, type MessagePort } from 'node:worker_threads'
import { readConfig, type ReadRequest } from './reading.ts'

/**
 * A thread of `reading-threads.ts`: loads a configuration for each message and sends it through the port of the message
 * in parts, the first one without the entries that follow. Then it tells its parent. It runs until it is terminated.
 */

/** Entries per part: a thousand policy rules are received within a millisecond. */
const PART = 8

interface WorkerRequest extends ReadRequest {
  readonly port: MessagePort
}

parentPort?.on('message', ({ port, ...request }: WorkerRequest) => void read(request, port))

async function read(request: ReadRequest, port: MessagePort): Promise<void> {
  const put = (message: object): void => port.postMessage(message, [])
  const { reading, ...about } = await readConfig(request)
  if (reading.config === undefined) put({ reading, ...about })
  else {
    const { servers, clients, ...rest } = reading.config
    put({ reading: { ...reading, config: { ...rest, servers: [], clients: [] } }, ...about })
    for (let at = 0; at < servers.length; at += PART) put({ servers: servers.slice(at, at + PART) })
    for (let at = 0; at < clients.length; at += PART) put({ clients: clients.slice(at, at + PART) })
  }
  parentPort?.postMessage('ready', [])
}
