import { createServer } from 'node:net'
import type { Config } from '../config/types.ts'

/** An address of the configuration that a gateway listens on. */
export interface ListenedAddress {
  /** `gateway.http`, or the key whose value is the whole address. */
  readonly key: 'gateway.http' | 'gateway.admin.listen'
  readonly host: string
  readonly port: number
}

export function listenedAddresses({ gateway: { http, admin } }: Config): ListenedAddress[] {
  const { host, port } = http
  const listen = /^\[?(.*?)\]?:(\d+)$/.exec(admin.listen ?? '')
  return [
    { key: 'gateway.http', host, port },
    ...(listen
      ? [{ key: 'gateway.admin.listen' as const, host: listen[1] ?? '', port: Number(listen[2]) }]
      : []),
  ]
}

/** Listens for a moment. The code of the error when that is not possible. */
export async function listenError({
  host,
  port,
}: Pick<ListenedAddress, 'host' | 'port'>): Promise<string | undefined> {
  const server = createServer()
  return await new Promise<string | undefined>(resolve => {
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'unknown'))
    server.listen(port, host, () => server.close(() => resolve(undefined)))
  })
}
