import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** Responses that wait for earlier ones, by their connection. */
const queues = new WeakMap<Socket, Set<ServerResponse>>()

/**
 * Has a response that waits for earlier ones on its connection emit `close` when the connection is gone: Node.js tells only the response that is being
 * sent.
 */
export function closeWithConnection(response: ServerResponse): void {
  const { socket } = response.req
  // One that does not wait has its connection already.
  if (response.socket) return
  let queue = queues.get(socket)
  if (!queue) {
    const queued = new Set<ServerResponse>()
    queue = queued
    queues.set(socket, queued)
    socket.once('close', () => {
      for (const one of queued) {
        one.destroyed = true
        one.emit('close')
      }
    })
  }
  queue.add(response)
  const leave = (): void => void queue.delete(response)
  // From then on, Node.js tells it.
  response.once('socket', leave)
  response.once('close', leave)
}
