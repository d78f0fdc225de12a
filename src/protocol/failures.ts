import type { GatewayError } from '../core/errors.ts'
import type { OwnResult } from '../core/exchange.ts'
import { META, OWN_META_PREFIX } from './revisions.ts'

/** How a failure of the gateway is reported to a client: code, safe text and an id to find it in the log. */

/** Raw JSON of a JSON-RPC error object. */
export function failureObject(error: GatewayError): string {
  return JSON.stringify({
    code: error.kind.rpc,
    message: error.message,
    data: { ...error.data, ...details(error) },
  })
}

/**
 * A failed `tools/call` that a model can act on, as a result with `isError`. Legacy HTTP clients treat error statuses,
 * and some treat protocol errors, as a broken connection.
 */
export function failureResult(error: GatewayError, modern: boolean, serverInfo: string): OwnResult {
  const meta: string[] = [`"${OWN_META_PREFIX}error":${JSON.stringify({ ...error.data, ...details(error) })}`]
  if (modern) meta.push(`"${META.serverInfo}":${serverInfo}`)
  const content = `[{"type":"text","text":${JSON.stringify(error.message)}}]`
  const type = modern ? '"resultType":"complete",' : ''
  return { kind: 'own', text: `{${type}"content":${content},"isError":true,"_meta":{${meta.join(',')}}}` }
}

function details(error: GatewayError): Record<string, unknown> {
  return { code: error.code, server: error.server, retryAfterMs: error.retryAfterMs, errorId: error.errorId }
}
