import { GatewayError } from '../../../core/errors.ts'
import { SaidBeforeEnd } from './stderr-tail.ts'

/**
 * Adds a hint to the error of a failed greeting, if the program was silent or exited without output on its standard
 * error, and has printed a `line` that is no message: most likely it is no server, or not in its stdio mode. Other
 * errors are more specific and stay unchanged.
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
