import type { IncomingMessage } from 'node:http'
import { HttpError } from '../../core/http-error.ts'

/** Where frameworks leave the body of a request that they have read. */
interface ReadRequest extends IncomingMessage {
  readonly rawBody?: unknown
  readonly body?: unknown
}

/**
 * The bytes of a body that something has read before the gateway could, as they were sent.
 * @throws HttpError 500 where there is only what they were parsed to: large numbers and the order of keys are lost by then
 */
export function takenBody(request: ReadRequest): Buffer {
  for (const left of [request.rawBody, request.body]) {
    if (Buffer.isBuffer(left)) return left
    if (typeof left === 'string') return Buffer.from(left)
  }
  throw new HttpError(
    500,
    'The server that the gateway is mounted in has read the body of this request before. Mount the gateway in front of what parses bodies, such as express.json(), or have it keep the bytes: express.json({ verify: (request, response, bytes) => { request.rawBody = bytes } }).',
  )
}
