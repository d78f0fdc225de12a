import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { markTimers, timersSince } from './timers.ts'

/** What a process holds open at one moment. */
export interface Holdings {
  /** Active resources by kind, as Node names them: `TCPSocketWrap`, `Timeout`, `ProcessWrap`, … */
  readonly resources: ReadonlyMap<string, number>
  /** Process ids of the children of this process. Empty where there is no `/proc`. */
  readonly children: ReadonlySet<number>
  /** Timers set later than this are new. */
  readonly timerMark: number
}

/** Kinds that come and go with any asynchronous code and hold nothing. */
const PASSING = new Set(['Immediate', 'TickObject', 'FSReqCallback', 'FSReqPromise', 'GetAddrInfoReqWrap'])

/** How long closing may take to show: sockets are gone some turns of the event loop after `close()` resolves. */
const SETTLE_MS = 20_000

/** Takes stock of what this process holds now; compare with `assertNothingLeft`. */
export function takeStock(): Holdings {
  const resources = new Map<string, number>()
  for (const kind of process.getActiveResourcesInfo())
    if (!PASSING.has(kind)) resources.set(kind, (resources.get(kind) ?? 0) + 1)
  return { resources, children: childrenOf(process.pid), timerMark: markTimers() }
}

/**
 * Waits until this process holds no more than it did at `before`.
 * @throws Error that lists what is left when that does not happen in time, twenty seconds by default
 */
export async function assertNothingLeft(before: Holdings, settleMs = SETTLE_MS): Promise<void> {
  const until = performance.now() + settleMs
  let left = surplus(before)
  while (left.length > 0 && performance.now() < until) {
    // There is no event for "nothing is left".
    await setTimeout(10, undefined, { ref: false })
    left = surplus(before)
  }
  if (left.length > 0) throw new Error(`left behind: ${left.join(', ')}`)
}

function surplus(before: Holdings): string[] {
  const now = takeStock()
  const left: string[] = []
  for (const [kind, count] of now.resources) {
    if (kind === 'Timeout') continue
    const more = count - (before.resources.get(kind) ?? 0)
    if (more > 0) left.push(`${more} × ${kind}`)
  }
  for (const pid of now.children)
    if (!before.children.has(pid)) left.push(`process ${pid} (${commandOf(pid)})`)
  for (const place of timersSince(before.timerMark)) left.push(`timer set at ${place}`)
  return left
}

/** Process ids whose parent is `parent`; without `/proc`, none. */
export function childrenOf(parent: number): Set<number> {
  const children = new Set<number>()
  for (const { pid, ppid } of processes()) if (ppid === parent) children.add(pid)
  return children
}

/** Process ids of every live process whose command line contains `text`; without `/proc`, none. */
export function processesWith(text: string): number[] {
  return processes()
    .filter(({ pid }) => pid !== process.pid && commandOf(pid).includes(text))
    .map(({ pid }) => pid)
}

function processes(): { pid: number; ppid: number }[] {
  let entries: string[]
  try {
    entries = readdirSync('/proc').filter(entry => /^\d+$/.test(entry))
  } catch {
    return []
  }
  return entries.flatMap(entry => {
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, 'latin1')
      // The command, in parentheses, may hold spaces; state and parent follow it.
      const [state, ppid] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return state === 'Z' ? [] : [{ pid: Number(entry), ppid: Number(ppid) }]
    } catch {
      return []
    }
  })
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
  } catch {
    return ''
  }
}
