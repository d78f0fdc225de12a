import { GatewayError } from '../core/errors.ts'

export function unknownMethod(method: string): GatewayError {
  return new GatewayError('unknown_method', `The method ${method.slice(0, 100)} is not known here.`)
}
