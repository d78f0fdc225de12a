import { monotonicNow } from '../../../core/clock.ts'
import { spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** Whether children are started as leaders of process groups, so that all their descendants can be signalled. */
export const HAS_GROUPS = process.platform !== 'win32'

/**
 * Sends `signal` to a child and its descendants. Ignores processes that have ended. On Windows any signal ends the
 * whole tree at once.
 */
export function signalTree(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  if (!HAS_GROUPS) {
    spawn('taskkill', ['/pid', String(pid), '/T', '/F'], { stdio: 'ignore', windowsHide: true }).on(
      'error',
      () => {},
    )
    return
  }
  try {
    process.kill(-pid, signal)
    // A stopped process (SIGSTOP) handles no other signal.
    if (signal === 'SIGTERM') process.kill(-pid, 'SIGCONT')
  } catch {
    // ESRCH: all have ended. EPERM: they run as another user now, and cannot be signalled.
  }
}

/**
 * Whether any process of the group still runs. On Linux zombies do not count: in a container they stay if its first
 * process does not reap them. Always false on Windows, which has no groups.
 */
export function groupRuns(pid: number): boolean {
  if (!HAS_GROUPS) return false
  try {
    process.kill(-pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return process.platform === 'linux' ? hasLivingMember(pid) : true
}

function hasLivingMember(group: number): boolean {
  let names: string[]
  try {
    names = readdirSync('/proc')
  } catch {
    return true
  }
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The program name, in parentheses, may contain anything. The state, a number and the group follow it.
      const [state, , member] = stat.slice(stat.lastIndexOf(')') + 2).split(' ', 3)
      if (Number(member) === group && state !== 'Z' && state !== 'X') return true
    } catch {
      // The process has ended since the directory was read.
    }
  }
  return false
}

const POLL_MS = 20

/**
 * Resolves when the group is empty or `ms` have passed. Polls, since the system does not report the end of another
 * process's children.
 */
export async function groupGone(pid: number, ms: number): Promise<void> {
  const end = monotonicNow() + ms
  while (groupRuns(pid) && monotonicNow() < end) await new Promise(resolve => setTimeout(resolve, POLL_MS))
}
