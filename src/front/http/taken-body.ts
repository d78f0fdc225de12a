import type { IncomingMessage } from 'node:http'
import { HttpError } from '../../core/http-error.ts'

/** Members in which frameworks leave the body of a request that they have read. */
interface ReadRequest extends IncomingMessage {
  readonly rawBody?: unknown
  readonly body?: unknown
}

/**
 * The original bytes of a body that a framework has read before the gateway.
 * @throws HttpError 500 if only the parsed value is available: large numbers and the order of keys are then lost
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
