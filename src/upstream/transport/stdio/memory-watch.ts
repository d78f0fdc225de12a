import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describeError } from '../../../core/errors.ts'
import type { Logger } from '../../../core/logger.ts'

/** Interval of the measurements. */
export const LOOK_EVERY_MS = 5000
/** Files that are read before other work gets its turn: far less than a millisecond. */
const FILES_AT_ONCE = 32
/**
 * Memory use of each process group, in bytes. Groups that have ended are left out. Shared memory counts for each
 * process, unless `exactly` is set, which costs a walk through the memory maps.
 */
export type MemoryReader = (groups: ReadonlySet<number>, exactly: boolean) => Promise<Map<number, number>>

interface Watched {
  readonly ceilingBytes: () => number
  readonly onAbove: (bytes: number) => void
}

/** Watches the memory use of processes. All share one timer, which runs only while a process is watched. */
export class MemoryWatch {
  readonly #measure: MemoryReader | undefined
  readonly #watched = new Map<number, Watched>()
  #timer: NodeJS.Timeout | undefined
  #looking = false
  #said = false

  /** Without `measure` this system supports no measurement. */
  constructor(measure: MemoryReader | undefined) {
    this.#measure = measure
  }

  /** `onAbove` is called at each measurement at which the process group exceeds its ceiling of that moment. */
  watch(group: number, ceilingBytes: () => number, logger: Logger, onAbove: (bytes: number) => void): void {
    if (!this.#measure) {
      if (!this.#said) logger.debug('"memoryLimit" has no effect on this system.')
      this.#said = true
      return
    }
    this.#watched.set(group, { ceilingBytes, onAbove })
    if (this.#timer) return
    this.#timer = setInterval(() => void this.#look(this.#measure as MemoryReader, logger), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  release(group: number): void {
    this.#watched.delete(group)
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  async #look(measure: MemoryReader, logger: Logger): Promise<void> {
    // If a measurement takes longer than the interval, a second one must not run beside it.
    if (this.#looking) return
    this.#looking = true
    try {
      const seen = [...(await measure(new Set(this.#watched.keys()), false))]
      const suspects = seen.filter(
        ([group, bytes]) => bytes > (this.#watched.get(group)?.ceilingBytes() ?? bytes),
      )
      if (suspects.length === 0) return
      const exact = await measure(new Set(suspects.map(([group]) => group)), true)
      for (const [group, bytes] of exact) {
        const watched = this.#watched.get(group)
        if (watched && bytes > watched.ceilingBytes()) watched.onAbove(bytes)
      }
    } catch (error) {
      logger.debug('The memory of processes cannot be measured.', { cause: describeError(error) })
    } finally {
      this.#looking = false
    }
  }
}

let shared: MemoryWatch | undefined

/** The watch of this process: one timer suffices, however many gateways run in it. */
export function processMemory(): MemoryWatch {
  shared ??= new MemoryWatch(measureHere())
  return shared
}

/** The measurement of this system. `undefined`: not supported. */
export function measureHere(): MemoryReader | undefined {
  if (process.platform === 'linux') return measureByProc
  return process.platform === 'win32' ? undefined : measureByPs
}

let pageBytes: number | undefined

/** Unit of the counts in `/proc/<pid>/stat`: 4 KiB nearly everywhere, 16 or 64 on some ARM systems. */
function pageSize(): number {
  const kib = /^KernelPageSize:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/smaps', 'latin1'))?.[1]
  return kib === undefined ? 4096 : Number(kib) * 1024
}

const measureByProc: MemoryReader = async (groups, exactly) => {
  pageBytes ??= pageSize()
  const used = new Map<number, number>()
  let files = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    if (++files % FILES_AT_ONCE === 0) await new Promise(resolve => setImmediate(resolve))
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'latin1')
      // The program name, in parentheses, may contain anything. The group is the third field after it, the resident
      // pages the twenty-second.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      const group = Number(fields[2])
      if (!groups.has(group)) continue
      const resident = Number(fields[21]) * pageBytes
      used.set(group, (used.get(group) ?? 0) + (exactly ? (proportional(name) ?? resident) : resident))
    } catch {
      // The process has ended since the directory was read.
    }
  }
  return used
}

/** Memory use with shared memory counted in part (`Pss`). `undefined`: not permitted. */
function proportional(pid: string): number | undefined {
  try {
    const kib = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1'))?.[1]
    return kib === undefined ? undefined : Number(kib) * 1024
  } catch {
    return undefined
  }
}

const measureByPs: MemoryReader = async groups => {
  const listed = await new Promise<string>((resolve, reject) => {
    execFile('ps', ['-A', '-o', 'pgid=,rss='], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout) =>
      error ? reject(error) : resolve(stdout),
    )
  })
  return sumOfPs(listed, groups)
}

/** Sums up lines with a group and KiB. */
export function sumOfPs(listed: string, groups: ReadonlySet<number>): Map<number, number> {
  const used = new Map<number, number>()
  for (const line of listed.split('\n')) {
    const [group = NaN, kib = NaN] = line.trim().split(/\s+/).map(Number)
    if (groups.has(group) && kib >= 0) used.set(group, (used.get(group) ?? 0) + kib * 1024)
  }
  return used
}

/** Formats a size as GiB or MiB with one decimal. */
export function readableBytes(bytes: number): string {
  const mib = bytes / 1024 ** 2
  return mib >= 1024 ? `${(mib / 1024).toFixed(1)} GiB` : `${mib.toFixed(1)} MiB`
}
