import { GatewayError } from '../core/errors.ts'
import { uriProblem } from '../core/uri-readings.ts'

/** @throws GatewayError `resource_not_found` */
export function notFound(uri: string): never {
  throw new GatewayError('resource_not_found', `Resource not found: ${uri.slice(0, 500)}`, { data: { uri } })
}

/** @throws GatewayError `invalid_params` for what is no URI that every server reads in one way */
export function checkUri(uri: unknown): asserts uri is string {
  if (typeof uri !== 'string') throw new GatewayError('invalid_params', '"uri" must be a string.')
  const problem = uriProblem(uri)
  if (problem !== undefined)
    throw new GatewayError('invalid_params', `The URI ${problem}. Send it as the server lists it.`)
}
