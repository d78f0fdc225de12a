import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'

/** How far a connection to an address gets, one step after the other. */
export type ConnectionOutcome =
  | { readonly step: 'connection'; readonly why: 'refused' | 'silent' | 'unreachable'; readonly code: string }
  | {
      readonly step: 'tls'
      readonly code: string
      readonly names: readonly string[]
      readonly until: string | undefined
    }
  | { readonly step: 'open' }

/** Time for one connection with its TLS. */
const TIMEOUT_MS = 5000
/** Addresses of one host that are tried. */
const MOST_ADDRESSES = 3

export interface ConnectionOptions {
  /** To connect to in place of the host of the URL, in this order. */
  readonly addresses?: readonly string[] | undefined
  /** Ends the attempt. */
  readonly signal: AbortSignal
}

/** Connects to the host of a URL, and begins TLS where it says so. Tells of the first address, or of one that works. */
export async function reach(
  url: URL,
  { addresses = [], signal }: ConnectionOptions,
): Promise<ConnectionOutcome> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const isTls = url.protocol === 'https:'
  const port = Number(url.port || (isTls ? 443 : 80))
  const [main = host, ...others] = addresses.slice(0, MOST_ADDRESSES)
  const to = async (address: string): Promise<ConnectionOutcome> => {
    const at = { host: address, port }
    return await begin(isTls ? () => openTls(at, host) : () => connectPlain(at), isTls, signal)
  }
  const first = await to(main)
  for (const other of others) {
    if (first.step !== 'connection') break
    const outcome = await to(other)
    if (outcome.step !== 'connection') return outcome
  }
  return first
}

function openTls(to: { readonly host: string; readonly port: number }, servername: string): TLSSocket {
  return connectTls({ ...to, ...(isIP(servername) === 0 && { servername }), host: to.host })
}

function begin(open: () => Socket, isTls: boolean, signal: AbortSignal): Promise<ConnectionOutcome> {
  return new Promise(resolve => {
    const socket = open()
    let isConnected = false
    const end = (reached: ConnectionOutcome): void => {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      socket.destroy()
      resolve(reached)
    }
    const silent = (code: string): void => end({ step: 'connection', why: 'silent', code })
    const stop = (): void => silent('ECANCELED')
    // For the whole, however little the other side sends how often.
    const late = setTimeout(silent, TIMEOUT_MS, 'ETIMEDOUT')
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
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
  // Several addresses were tried.
  const own = (error as { errors?: readonly NodeJS.ErrnoException[] }).errors?.[0]?.code
  const code = own ?? error.code ?? 'unknown'
  if (code === 'ETIMEDOUT') return { step: 'connection', why: 'silent', code }
  if (isConnected) {
    const { subjectaltname, valid_to } = (error as { cert?: Presented }).cert ?? {}
    const names = (subjectaltname ?? '').split(', ').filter(name => name !== '')
    return { step: 'tls', code, names, until: valid_to }
  }
  return { step: 'connection', why: code === 'ECONNREFUSED' ? 'refused' : 'unreachable', code }
}
