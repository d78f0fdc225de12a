import { checkExposure } from '../auth/exposure.ts'
import type { Config } from '../config/types.ts'
import { describeError } from '../core/errors.ts'
import { SILENT } from '../core/logger.ts'
import { listenedAddresses, listenError, type ListenedAddress } from '../doctor/listen-addresses.ts'

export interface NextStart {
  /** The configuration that the gateway would start with. */
  readonly next: Config
  /** The configuration that it was started with. */
  readonly started: Config
  /** Whether it listens on HTTP. */
  readonly listens: boolean
}

/**
 * Why a gateway would not start with a configuration; `undefined` when it would. A reload does not check this, because
 * it keeps the earlier values of the keys that take effect at the next start.
 */
export async function nextStartProblem({ next, started, listens }: NextStart): Promise<string | undefined> {
  const { tls } = next.gateway.http
  try {
    // Loaded with the front, and not before.
    if (tls && listens) await (await import('../front/http/listener.ts')).readCertificates(tls)
    if (listens) checkExposure(next, SILENT)
  } catch (error) {
    return describeError(error)
  }
  return listens ? await addressProblem(next, started) : undefined
}

async function addressProblem(next: Config, started: Config): Promise<string | undefined> {
  const known = listenedAddresses(started)
  for (const [at, address] of listenedAddresses(next).entries()) {
    const { key, host, port } = address
    if (known[at]?.host === host && known[at].port === port) continue
    const problem = await listeningProblem(address)
    if (problem !== undefined) return `${key}: the gateway cannot listen on ${host}:${port}: ${problem}`
  }
  return undefined
}

/** Tries the address. A port in use is no problem: this gateway, or one that ends before the next start, may use it. */
async function listeningProblem(address: ListenedAddress): Promise<string | undefined> {
  const code = await listenError(address)
  if (code === 'EACCES') return 'this user may not. Choose a port above 1023.'
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return 'that is no address of this machine. Choose another.'
  return undefined
}
