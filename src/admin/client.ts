import { request } from 'node:http'
import { isJsonObject } from '../core/json-object.ts'

/** The response of a running gateway. */
export interface SocketAnswer {
  readonly status: number
  readonly body: unknown
}

const MAX_ANSWER_BYTES = 16 * 1024 * 1024

/**
 * Sends a request over the socket of a running gateway. Without `timeoutMs` it waits as long as it takes, because a
 * reload may start servers.
 * @throws Error when the gateway ends, or the time is over, before it answers
 */
export async function askGateway(
  socketPath: string,
  {
    method,
    path,
    body,
    timeoutMs,
  }: { readonly method: string; readonly path: string; readonly body?: object; readonly timeoutMs?: number },
): Promise<SocketAnswer> {
  const text = body === undefined ? undefined : JSON.stringify(body)
  const headers = {
    host: 'localhost',
    ...(text !== undefined && {
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(text)),
    }),
  }
  return await new Promise((resolve, reject) => {
    const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs)
    const asked = request({ socketPath, method, path, headers, agent: false, signal }, response => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_ANSWER_BYTES) asked.destroy(new Error('its answer is too large'))
        chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: parsed(Buffer.concat(chunks).toString('utf8')) })
      })
    })
    asked.on('error', reject)
    asked.end(text)
  })
}

/** The `detail` of an error response. */
export function detailOf(body: unknown): string {
  const detail = isJsonObject(body) ? body['detail'] : undefined
  return typeof detail === 'string' ? detail : 'It gave no reason.'
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
