import { GatewayError } from '../../core/errors.ts'
import { SaidBeforeEnd } from '../transport/stdio/stderr-tail.ts'

/**
 * Why a program could not be greeted, where it was silent or ended without a word on its standard error, and has printed a `line`
 * that is no message: most likely it is no server, or not in its mode for stdio. Any other error says more and stays.
 */
export function withStray(error: unknown, line: string | undefined): unknown {
  if (line === undefined || !(error instanceof GatewayError)) return error
  const { code, server, delivery, cause } = error
  if (code !== 'upstream_timeout' && (code !== 'upstream_closed' || cause instanceof SaidBeforeEnd))
    return error
  const message = `Server "${server}" printed plain text in place of JSON-RPC messages and answered nothing. Fix: check that "command" and "args" start an MCP server over stdio, and let it log to standard error.`
  return new GatewayError(code, message, {
    delivery,
    cause: new SaidBeforeEnd(line, { cause: error }),
    ...(server !== undefined && { server }),
  })
}
