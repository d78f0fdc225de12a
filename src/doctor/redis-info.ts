import { connect as connectPlain } from 'node:net'
import { connect as connectTls } from 'node:tls'

/** What a Redis says of itself. */
export type RedisInfo =
  | { readonly kind: 'info'; readonly fields: ReadonlyMap<string, string> }
  | { readonly kind: 'unreachable'; readonly why: string }
  | { readonly kind: 'refused'; readonly why: string }

const TIMEOUT_MS = 3000
const MAX_BYTES = 256 * 1024

/**
 * Asks a Redis for its facts (`INFO`) over a connection of its own, without the client library: that one connects again
 * and again, and an error of the first attempt is what is wanted.
 * @param signal ends the attempt
 */
export function redisInfo(address: string, signal: AbortSignal): Promise<RedisInfo> {
  const { protocol, hostname, port, username, password } = new URL(address)
  const host = hostname.replace(/^\[|\]$/g, '')
  const to = { host, port: Number(port || 6379) }
  const login =
    password === ''
      ? []
      : [['AUTH', ...(username === '' ? [] : [username]), password].map(decodeURIComponent)]
  const socket = protocol === 'rediss:' ? connectTls({ ...to, servername: host }) : connectPlain(to)
  return new Promise(resolve => {
    let said = ''
    const end = (info: RedisInfo): void => {
      clearTimeout(late)
      signal.removeEventListener('abort', stop)
      socket.destroy()
      resolve(info)
    }
    const stop = (): void =>
      end({ kind: 'unreachable', why: `it did not answer within ${TIMEOUT_MS / 1000} s` })
    // For the whole, however little it sends how often.
    const late = setTimeout(stop, TIMEOUT_MS)
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    socket.on('error', (error: NodeJS.ErrnoException) =>
      end({ kind: 'unreachable', why: error.code ?? error.message }),
    )
    socket.on('close', () => end({ kind: 'unreachable', why: 'it closed the connection' }))
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk
      const refusal = /(?:^|\r\n)-([^\r\n]{0,200})/.exec(said)
      if (refusal) return end({ kind: 'refused', why: refusal[1] as string })
      const fields = fieldsOf(said)
      if (fields) end({ kind: 'info', fields })
      else if (said.length > MAX_BYTES) end({ kind: 'unreachable', why: 'its answer is no INFO' })
    })
    for (const command of [...login, ['INFO', 'memory']]) socket.write(commandOf(command))
  })
}

function commandOf(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map(word => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

/** The fields of a complete answer to `INFO`; `undefined` while it is not complete. */
function fieldsOf(said: string): ReadonlyMap<string, string> | undefined {
  const match = /\$(\d+)\r\n/.exec(said)
  if (!match) return undefined
  const body = said.slice(match.index + match[0].length)
  if (Buffer.byteLength(body) < Number(match[1]) + 2) return undefined
  const lines = body.split('\r\n').map(line => line.split(':'))
  return new Map(lines.map(([name = '', ...value]) => [name, value.join(':')]))
}
