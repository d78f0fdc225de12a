import { spawn, type ChildProcess } from 'node:child_process'
import type { Socket } from 'node:net'
import { monotonicNow } from '../../../core/clock.ts'
import { HAS_GROUPS } from './process-group.ts'

/**
 * Ends process groups that outlive this process, however it ends, `kill -9` included: a tiny shell holds the other end of a
 * pipe, and when the pipe breaks it signals the groups that are still registered. Does nothing on Windows.
 */
export interface OrphanReaper {
  /** Starts the shell when it does not run yet. Called before a child is started, so that there is no gap afterwards. */
  prepare(): void
  /** From now on the group of `pid` does not outlive this process. */
  register(pid: number): void
  /** The group is gone; it is never signalled again, even if the system gives its number away. */
  release(pid: number): void
  /** Ends the shell when there is nothing to look after, as after a start that failed. */
  relax(): void
  /** Ends the shell. Groups still registered are ended by it. Resolves when it has exited. */
  close(): Promise<void>
}

/**
 * `+<pgid>` registers, `-<pgid>` releases. A builtin does everything but the waiting, so that it works with any POSIX shell. It ignores the
 * signals that end a gateway from its terminal; it has a job to do when they come.
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

/** Creates a reaper; its shell starts with `prepare` or the first `register`. */
export function createReaper(): OrphanReaper {
  return new ShellReaper()
}

let shared: OrphanReaper | undefined

/** The reaper of this process: one shell is enough, however many gateways run in it. */
export function processReaper(): OrphanReaper {
  shared ??= createReaper()
  return shared
}

class ShellReaper implements OrphanReaper {
  readonly #groups = new Set<number>()
  #shell: ChildProcess | undefined
  /** Set when there is no usable shell: the gateway works without, except that it cannot clean up after its own violent end. */
  #broken = !HAS_GROUPS
  #retry: NodeJS.Timeout | undefined

  prepare(): void {
    if (this.#broken || this.#shell) return
    let shell: ChildProcess
    try {
      shell = spawn('/bin/sh', ['-c', SCRIPT, 'mcp-manifold-reaper'], {
        stdio: ['pipe', 'ignore', 'ignore'],
        // In its own session, it survives what ends the gateway's.
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
    // Nothing was started, and the error is still to come.
    if (shell.pid === undefined || !pipe) return
    this.#shell = shell
    shell.unref()
    pipe.unref()
    pipe.on('error', () => {})
    const started = monotonicNow()
    shell.on('exit', () => {
      if (this.#shell !== shell) return
      // Someone ended it: another one takes over. One that does not even last is of no use.
      this.#shell = undefined
      if (monotonicNow() - started < SHORT_LIFE_MS) this.#broken = true
      else if (this.#groups.size > 0) this.prepare()
    })
    for (const pid of this.#groups) pipe.write(`+${pid}\n`)
  }

  /** A system that is out of files or processes has some later. Anything else will not change. */
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
