import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from './served.ts'

/** A real Redis of this process alone, which keeps nothing on disk. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** Takes the process's answers away but not its connections. */
  freeze(): void
  thaw(): void
  /** Kills it; everything in it is gone. Idempotent. */
  stop(): Promise<void>
}

/** Whether there is a `redis-server` to start. Where there is none, tests that need it are skipped, and say so; on CI it has to be there. */
export function hasRedis(): boolean {
  const found = spawnSync('redis-server', ['--version']).status === 0
  if (!found && process.env['CI'])
    throw new Error('redis-server is not installed, and CI has to test with it.')
  if (!found) console.warn('Skipped: tests with a real Redis, because there is no redis-server here.')
  return found
}

/** Starts one on `port`, a free one unless it says otherwise. `args` as on its command line. */
export async function startRedis(port?: number, args: readonly string[] = []): Promise<RedisServer> {
  const at = port ?? (await freePort())
  const child = spawn(
    'redis-server',
    ['--port', String(at), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', ...args],
    { stdio: ['ignore', 'pipe', 'inherit'], cwd: '/' },
  )
  await ready(child)
  return {
    port: at,
    url: `redis://127.0.0.1:${at}`,
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function ready(child: ChildProcess): Promise<void> {
  let said = ''
  for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
    said += chunk.toString()
    if (said.includes('Ready to accept connections')) break
  }
  child.stdout?.resume()
  if (!said.includes('Ready to accept')) throw new Error(`redis-server did not start: ${said}`)
}
