import { lookup } from 'node:dns/promises'
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

/** How far a connection to an address gets, one step after the other. */
export type ConnectionOutcome =
  | { readonly step: 'name'; readonly why: string }
  | { readonly step: 'connection'; readonly why: 'refused' | 'silent' | 'unreachable'; readonly code: string }
  | {
      readonly step: 'tls'
      readonly code: string
      readonly names: readonly string[]
      readonly until: string | undefined
    }
  | { readonly step: 'open' }

const TIMEOUT_MS = 5000

/** Looks a host up, connects to it, and begins TLS where the URL says so. */
export async function reach(url: URL, addresses: readonly string[] = []): Promise<ConnectionOutcome> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'https:'
  const port = Number(url.port || (isTls ? 443 : 80))
  if (addresses.length === 0 && isIP(host) === 0) {
    const why = await unknownBecause(host)
    if (why !== undefined) return { step: 'name', why }
  }
  const to = { host: addresses[0] ?? host, port }
  return await begin(isTls ? () => openTls(to, host) : () => connectPlain(to), isTls)
}

async function unknownBecause(host: string): Promise<string | undefined> {
  let overdue: NodeJS.Timeout | undefined
  const late = new Promise<string>(resolve => {
    overdue = setTimeout(resolve, TIMEOUT_MS, `the name service did not answer within ${TIMEOUT_MS / 1000} s`)
  })
  try {
    const found = lookup(host).then(
      () => undefined,
      (error: NodeJS.ErrnoException) => error.code ?? error.message,
    )
    return await Promise.race([found, late])
  } finally {
    clearTimeout(overdue)
  }
}

function openTls(to: { readonly host: string; readonly port: number }, servername: string): TLSSocket {
  return connectTls({ ...to, ...(isIP(servername) === 0 && { servername }), host: to.host })
}

function begin(open: () => Socket, isTls: boolean): Promise<ConnectionOutcome> {
  return new Promise(resolve => {
    const socket = open()
    let isConnected = false
    const end = (reached: ConnectionOutcome): void => {
      socket.destroy()
      resolve(reached)
    }
    socket.setTimeout(TIMEOUT_MS, () =>
      end(
        isConnected
          ? { step: 'tls', code: 'ETIMEDOUT', names: [], until: undefined }
          : { step: 'connection', why: 'silent', code: 'ETIMEDOUT' },
      ),
    )
    socket.on('connect', () => {
      isConnected = true
      if (!isTls) end({ step: 'open' })
    })
    socket.on('secureConnect', () => end({ step: 'open' }))
    socket.on('error', (error: NodeJS.ErrnoException) => end(failed(error, isConnected)))
    socket.on('close', () => end(failed(Object.assign(new Error(), { code: 'ECONNRESET' }), isConnected)))
  })
}

/** A certificate, as far as an error of TLS carries it. */
interface Presented {
  readonly subjectaltname?: string
  readonly valid_to?: string
}

function failed(error: NodeJS.ErrnoException, isConnected: boolean): ConnectionOutcome {
  const { code = 'unknown' } = error
  if (isConnected) {
    const { subjectaltname, valid_to } = (error as { cert?: Presented }).cert ?? {}
    const names = (subjectaltname ?? '').split(', ').filter(name => name !== '')
    return { step: 'tls', code, names, until: valid_to }
  }
  // Several addresses were tried.
  const own = (error as { errors?: readonly NodeJS.ErrnoException[] }).errors?.[0]?.code ?? code
  if (own === 'ECONNREFUSED') return { step: 'connection', why: 'refused', code: own }
  const why = own === 'ETIMEDOUT' ? 'silent' : 'unreachable'
  return { step: 'connection', why, code: own }
}
