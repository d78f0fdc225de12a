import { withHelp, type GatewayError } from '../core/errors.ts'
import type { OwnResult } from '../core/exchange.ts'
import { OWN_META_PREFIX } from './revisions.ts'
import { textResult } from './text-result.ts'

/**
 * How a failure of the gateway is reported to a client: code, safe text and an id to find it in the log. Programs find
 * the code in `data.code` or `_meta`; the text of a result, which models and people read, ends with it.
 */

/** Raw JSON of a JSON-RPC error object. */
export function failureObject(error: GatewayError): string {
  return JSON.stringify({
    code: error.kind.rpc,
    message: shownText(error),
    data: { ...error.data, ...details(error) },
  })
}

/**
 * A failed `tools/call` that a model can act on, as a result with `isError`. Legacy HTTP clients treat error statuses,
 * and some treat protocol errors, as a broken connection.
 */
export function failureResult(error: GatewayError, modern: boolean, serverInfo: string): OwnResult {
  const meta = [`"${OWN_META_PREFIX}error":${JSON.stringify({ ...error.data, ...details(error) })}`]
  return textResult(withHelp(error), { modern, serverInfo, isError: true, meta })
}

function details(error: GatewayError): Record<string, unknown> {
  const { code, server, retryAfterMs, errorId, link } = error
  return { code, server, retryAfterMs, errorId, link }
}

function shownText({ message, link }: GatewayError): string {
  return link === undefined ? message : `${message} ${link}`
}
