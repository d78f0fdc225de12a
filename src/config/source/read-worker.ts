import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { readConfig, type FileReading, type ReadRequest } from './reading.ts'

/**
 * The thread of `read-in-thread.ts`: loads a configuration and sends it through the port in parts, the first one
 * without the entries that follow. It runs until it is terminated, so that the port stays open.
 */

/** Entries per part: a thousand policy rules are received within a millisecond. */
const PART = 8

export interface WorkerRequest extends ReadRequest {
  readonly port: MessagePort
}

const { port, ...request } = workerData as WorkerRequest
const { reading, marks }: FileReading = await readConfig(request)
if (reading.config === undefined) put({ reading, marks })
else {
  const { servers, clients, ...rest } = reading.config
  put({ reading: { ...reading, config: { ...rest, servers: [], clients: [] } }, marks })
  for (let at = 0; at < servers.length; at += PART) put({ servers: servers.slice(at, at + PART) })
  for (let at = 0; at < clients.length; at += PART) put({ clients: clients.slice(at, at + PART) })
}
parentPort?.on('message', () => {})
parentPort?.postMessage('ready', [])

function put(message: object): void {
  port.postMessage(message, [])
}
