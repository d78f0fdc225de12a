import { randomInt } from 'node:crypto'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'

/** Absolute path of the built program. */
export const BIN = fileURLToPath(new URL('../../bin/mcp-manifold.cjs', import.meta.url))

/** A server in a process of its own. */
export interface Served extends AsyncDisposable {
  /** `http://127.0.0.1:<port>` */
  readonly origin: string
  readonly pid: number
  /** Everything it wrote so far, to either output. */
  readonly said: string
  /** Resolves with its exit code when it has ended; `null` when a signal has ended it. */
  readonly exited: Promise<number | null>
  /** Asks it to end (SIGTERM) and resolves with its exit code; `null` when it had to be killed. Idempotent. */
  stop(): Promise<number | null>
}

const START_TIMEOUT_MS = 40_000
const STOP_TIMEOUT_MS = 30_000

/**
 * Starts a Node program and waits until it writes `ready`.
 * @param openFiles its limit of file descriptors
 * @param obeysModes whether the modes of files hold for it, also where this user is root
 * @param ready its first group, or the whole match without one, is the origin, unless `origin` is given
 * @throws Error with what the program wrote when it ends first, or stays silent for forty seconds
 */
export async function serve(
  args: readonly string[],
  options: {
    ready?: RegExp
    origin?: string
    env?: Record<string, string>
    openFiles?: number
    obeysModes?: boolean
  } = {},
): Promise<Served> {
  const ready = options.ready ?? /http:\/\/127\.0\.0\.1:\d+/
  const { openFiles, obeysModes = false } = options
  const limited = ['-c', `ulimit -n ${openFiles} && exec "$0" "$@"`, process.execPath, ...args]
  const unprivileged = ['--bounding-set', '-dac_override,-dac_read_search', process.execPath, ...args]
  const [command, line] =
    obeysModes && process.getuid?.() === 0
      ? ['setpriv', unprivileged]
      : openFiles === undefined
        ? [process.execPath, args]
        : ['/bin/sh', limited]
  const child = spawn(command, line, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  let said = ''
  const origin = await new Promise<string>((resolve, reject) => {
    const fail = (what: string): void => reject(new Error(`${args[0]} ${what}; it wrote: ${said}`))
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      fail(`was not ready within ${START_TIMEOUT_MS} ms`)
    }, START_TIMEOUT_MS)
    const hear = (chunk: Buffer): void => {
      said += chunk.toString()
      const match = ready.exec(said)
      if (!match) return
      clearTimeout(timer)
      resolve(options.origin ?? match[1] ?? match[0])
    }
    child.stdout.on('data', hear)
    child.stderr.on('data', hear)
    void exited.then(([code]) => {
      clearTimeout(timer)
      fail(`ended with code ${code}`)
    })
  })
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    const [code] = await exited
    clearTimeout(timer)
    return code
  }
  return {
    origin,
    pid: child.pid ?? 0,
    exited: exited.then(([code]) => code),
    get said() {
      return said
    },
    stop,
    async [Symbol.asyncDispose]() {
      await stop()
    },
  }
}

/** Starts the built gateway with an HTTP front. Its configuration should ask for port 0. */
export function serveGateway(
  configFile: string,
  options: { env?: Record<string, string> } = {},
): Promise<Served> {
  return serve([BIN, 'serve', '--config', configFile], options)
}

/** A port that is free, and below those that systems give to connections and to listeners without a port. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(20_000, 32_000)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}
