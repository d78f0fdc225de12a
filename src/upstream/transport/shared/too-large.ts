import { GatewayError } from '../../../core/errors.ts'

/** Error for a message of a server that is longer than `maxBytes`. `size` in bytes if known. */
export function tooLarge(server: string, maxBytes: number, size?: number): GatewayError {
  const length =
    size === undefined ? `more than ${maxBytes} bytes` : `${size} bytes; at most ${maxBytes} are accepted`
  const message =
    `Server "${server}" sent a message of ${length}. ` +
    'Fix: ask it for less at once, or raise "maxMessage" of this server.'
  return new GatewayError('too_large', message, { server, delivery: 'answered' })
}
