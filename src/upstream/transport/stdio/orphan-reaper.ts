import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { monotonicNow } from '../../../core/clock.ts'
import { HAS_GROUPS } from './process-group.ts'

/**
 * Ends process groups that outlive this process, however it ends, even by `kill -9`: a small shell holds the other end
 * of a pipe, and when the pipe breaks it signals the registered groups. Does nothing on Windows.
 */
export interface OrphanReaper {
  /** Starts the shell if it is not running. Called before a child is started, so that there is no gap afterwards. */
  prepare(): void
  /** From now on the group of `pid` does not outlive this process. */
  register(pid: number): void
  /** The group has ended. It is never signalled again, even if the system reuses its number. */
  release(pid: number): void
  /** Ends the shell if no group is registered, as after a failed start. */
  relax(): void
  /** Ends the shell, which first ends the groups that are still registered. Resolves when it has exited. */
  close(): Promise<void>
}

/**
 * `+<pgid>` registers, `-<pgid>` releases. Built-in commands do everything but the waiting, so it runs in any POSIX
 * shell. It ignores the signals that end a gateway from its terminal, because its work begins then.
 */
const SCRIPT = `
trap '' INT TERM HUP QUIT
groups=' '
while IFS= read -r line; do
  id=\${line#?}
  case $groups in *" $id "*) groups="\${groups%%" $id "*} \${groups#*" $id "}" ;; esac
  case $line in +*) groups="$groups$id " ;; esac
done
[ "$groups" = ' ' ] && exit 0
for id in $groups; do kill -s TERM -- "-$id" 2>/dev/null; done
for second in 1 2; do
  sleep 1
  left=' '
  for id in $groups; do kill -s 0 -- "-$id" 2>/dev/null && left="$left$id "; done
  groups=$left
  [ "$groups" = ' ' ] && exit 0
done
for id in $groups; do kill -s KILL -- "-$id" 2>/dev/null; done
exit 0
`

const SHORT_LIFE_MS = 100
const RETRY_MS = 2000
const EXHAUSTED: ReadonlySet<string> = new Set(['EMFILE', 'ENFILE', 'EAGAIN', 'ENOMEM'])

/** Creates a reaper. Its shell starts with `prepare` or the first `register`. */
export function createReaper(): OrphanReaper {
  return new ShellReaper()
}

let shared: OrphanReaper | undefined

/** The reaper of this process: one shell suffices, however many gateways run in it. */
export function processReaper(): OrphanReaper {
  shared ??= createReaper()
  return shared
}

class ShellReaper implements OrphanReaper {
  readonly #groups = new Set<number>()
  #shell: ChildProcess | undefined
  /** Set when there is no usable shell. The gateway works without it, but cannot clean up after a kill. */
  #broken = !HAS_GROUPS
  #retry: NodeJS.Timeout | undefined

  prepare(): void {
    if (this.#broken || this.#shell) return
    let shell: ChildProcess
    try {
      shell = spawn('/bin/sh', ['-c', SCRIPT, 'mcp-manifold-reaper'], {
        stdio: ['pipe', 'ignore', 'ignore'],
        // In a session of its own, it survives signals to the gateway's session.
        detached: true,
        cwd: '/',
        env: { PATH: '/usr/bin:/bin' },
      })
    } catch (error) {
      this.#failed(error)
      return
    }
    shell.on('error', error => {
      if (this.#shell !== undefined && this.#shell !== shell) return
      this.#shell = undefined
      this.#failed(error)
    })
    const pipe = shell.stdin as Socket | undefined
    // Nothing was started, and the error event follows.
    if (shell.pid === undefined || !pipe) return
    this.#shell = shell
    shell.unref()
    pipe.unref()
    pipe.on('error', () => {})
    const started = monotonicNow()
    shell.on('exit', () => {
      if (this.#shell !== shell) return
      // If the shell was killed, another one is started. A shell that exits at once is useless.
      this.#shell = undefined
      if (monotonicNow() - started < SHORT_LIFE_MS) this.#broken = true
      else if (this.#groups.size > 0) this.prepare()
    })
    for (const pid of this.#groups) pipe.write(`+${pid}\n`)
  }

  /** A lack of files or processes is temporary. Any other error is permanent. */
  #failed(error: unknown): void {
    const { code } = error as NodeJS.ErrnoException
    if (!EXHAUSTED.has(code ?? '')) {
      this.#broken = true
      return
    }
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined
      if (this.#groups.size > 0) this.prepare()
    }, RETRY_MS).unref()
  }

  register(pid: number): void {
    if (this.#groups.has(pid)) return
    if (this.#shell === undefined) {
      this.#groups.add(pid)
      this.prepare()
      return
    }
    this.#groups.add(pid)
    this.#shell.stdin?.write(`+${pid}\n`)
  }

  release(pid: number): void {
    if (!this.#groups.delete(pid)) return
    this.#shell?.stdin?.write(`-${pid}\n`)
    this.relax()
  }

  relax(): void {
    // The next child starts another shell.
    if (this.#groups.size === 0) void this.close()
  }

  async close(): Promise<void> {
    const shell = this.#shell
    this.#shell = undefined
    this.#groups.clear()
    clearTimeout(this.#retry)
    this.#retry = undefined
    if (!shell || shell.exitCode !== null || shell.signalCode !== null) return
    await new Promise<void>(resolve => {
      shell.once('exit', () => resolve())
      shell.ref()
      shell.stdin?.end()
    })
  }
}
