import { open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { monotonicNow } from '../core/clock.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { makeFolder } from '../make-folder.ts'
import { removeTornLine, endsTorn } from './torn-line.ts'

export interface AppendFileOptions {
  /** Absolute path. */
  readonly file: string
  /** A file that would grow beyond this size is rotated. */
  readonly maxBytes: number
  /** Files to keep, the current one included. */
  readonly maxFiles: number
  readonly logger: Logger
  /** The line that replaces `count` lost lines. */
  readonly lost: (count: number) => string
  /** Appends bytes to an open file and returns how many were written; for tests. */
  readonly append?: (handle: FileHandle, bytes: Buffer) => Promise<number>
}

/** How long a line waits to be written together with others. */
const GATHER_MS = 100
/** Lines are written in parts of at most this size, one write each; a longer line is a part of its own. */
const PART_BYTES = 256 * 1024
/** Maximum of waiting bytes while the disk is slow or full; further lines are lost. */
export const MAX_WAITING_BYTES = 8 * 1024 * 1024
/** Maximum bytes of a UTF-16 unit in UTF-8. */
const MAX_CHAR_BYTES = 3
/** Delay between a failure and the next attempt. */
const RETRY_MS = 1000
/** Interval at which a lasting failure is logged. */
const COMPLAIN_MS = 60_000
/** A lock of this age belongs to a process that has died. */
const STALE_LOCK_MS = 10_000

const NEWLINE = 10

interface Part {
  readonly bytes: Buffer
  readonly lines: number
}

/**
 * A file of lines to which several processes may append. Lines are collected and appended whole, one write at a time,
 * to the file that currently has the name. A large file is renamed, and the oldest renamed files are removed. Failures
 * of the file never reach the caller of `write`.
 */
export class AppendFile {
  readonly #options: AppendFileOptions
  /**
   * Lines that are not in a part yet. As bytes, because strings that live until they are written burden the garbage
   * collector.
   */
  readonly #gathered = Buffer.allocUnsafeSlow(PART_BYTES)
  #used = 0
  #lines = 0
  /** Full parts, oldest first. */
  #parts: Part[] = []
  #waitingBytes = 0
  #lost = 0
  #timer: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  #complainedAt = -Infinity
  /** Whether the file ends with a partial line that could not be cut off; `undefined` before the first write. */
  #torn: boolean | undefined
  #failed = false
  #closed = false

  constructor(options: AppendFileOptions) {
    this.#options = options
  }

  /** Lines that could not be written and are not yet reported in the file. */
  get lost(): number {
    return this.#lost
  }

  /** Queues a line, without its line break. Returns immediately and never throws. */
  write(line: string): void {
    if (this.#closed || this.#waitingBytes + this.#used + line.length >= MAX_WAITING_BYTES) {
      this.#lost++
      return
    }
    const room = line.length * MAX_CHAR_BYTES + 1
    if (this.#used + room > PART_BYTES) {
      this.#endPart()
      if (room > PART_BYTES) this.#add({ bytes: Buffer.from(`${line}\n`), lines: 1 })
      if (!this.#failed) this.#start()
    }
    if (room <= PART_BYTES) {
      this.#used += this.#gathered.write(line, this.#used)
      this.#gathered[this.#used++] = NEWLINE
      this.#lines++
    }
    if (!this.#timer && !this.#writing) this.#in(GATHER_MS)
  }

  /** Resolves when everything queued so far is written or has failed. */
  async flush(): Promise<void> {
    await this.#writing
    this.#start()
    await this.#writing
  }

  /** Writes the rest in one last attempt. Idempotent. */
  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true
      await this.flush()
    }
    clearTimeout(this.#timer)
    const left = this.#lost + this.#parts.reduce((sum, { lines }) => sum + lines, 0)
    if (left > 0)
      this.#options.logger.error('Lines of the audit log are lost.', {
        lines: left,
        file: this.#options.file,
      })
    this.#parts = []
    this.#lost = 0
  }

  #in(delayMs: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#start()
    }, delayMs)
    this.#timer.unref()
  }

  #endPart(): void {
    if (this.#lines === 0) return
    this.#add({ bytes: Buffer.from(this.#gathered.subarray(0, this.#used)), lines: this.#lines })
    this.#used = 0
    this.#lines = 0
  }

  #add(part: Part): void {
    this.#parts.push(part)
    this.#waitingBytes += part.bytes.length
  }

  #start(): void {
    if (this.#writing) return
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#endPart()
    if (this.#parts.length === 0 && this.#lost === 0) return
    this.#writing = this.#drain().finally(() => {
      this.#writing = undefined
      if (this.#closed) return
      if (this.#failed) this.#in(RETRY_MS)
      else if (this.#parts.length > 0) this.#start()
      else if (this.#lines > 0) this.#in(GATHER_MS)
    })
  }

  /** Writes the queued parts. Never rejects. */
  async #drain(): Promise<void> {
    try {
      if (this.#lost > 0 && !this.#failed) this.#account()
      for (let part = this.#parts[0]; part; part = this.#parts[0]) {
        await this.#append(part)
        this.#waitingBytes -= this.#parts.shift()?.bytes.length ?? 0
        this.#failed = false
        if (this.#lost > 0) this.#account()
      }
    } catch (error) {
      this.#failed = true
      this.#complain(error)
    }
  }

  /** Inserts a line about lost lines at their position, after the lines that were kept. */
  #account(): void {
    this.#add({ bytes: Buffer.from(`${this.#options.lost(this.#lost)}\n`), lines: 1 })
    this.#lost = 0
  }

  async #append(part: Part): Promise<void> {
    let handle = await this.#open()
    if (this.#torn === undefined) {
      this.#torn = endsTorn(this.#options.file)
      // A partial line left by a process that has exited.
      if (this.#torn) this.#lost++
    }
    // Terminates the partial line, so that the next line does not continue it.
    let bytes = this.#torn ? Buffer.concat([Buffer.of(NEWLINE), part.bytes]) : part.bytes
    try {
      const { size } = await handle.stat()
      if (size > 0 && size + bytes.length > this.#options.maxBytes) {
        await this.#putAside(bytes.length)
        await handle.close()
        handle = await this.#open()
        if ((await handle.stat()).size === 0) bytes = part.bytes
      }
      const { append = appendTo } = this.#options
      const written = await append(handle, bytes)
      if (written === bytes.length) this.#torn = false
      else {
        this.#keepFrom(part, bytes, written)
        throw new Error(`only ${written} of ${bytes.length} bytes were written`)
      }
    } finally {
      await handle.close().catch(() => undefined)
    }
  }

  /** Keeps the part of the first part that was not written as whole lines. A partially written line is cut off. */
  #keepFrom(part: Part, bytes: Buffer, written: number): void {
    const end = bytes.subarray(0, written).lastIndexOf(NEWLINE) + 1
    if (end < written) this.#torn = !removeTornLine(this.#options.file, bytes.subarray(end, written))
    else if (written > 0) this.#torn = false
    if (end === 0) return
    const rest = bytes.subarray(end)
    this.#parts[0] = { bytes: rest, lines: rest.filter(byte => byte === NEWLINE).length }
    this.#waitingBytes -= part.bytes.length - rest.length
  }

  async #open(): Promise<FileHandle> {
    const { file } = this.#options
    try {
      return await open(file, 'a', 0o600)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      makeFolder(dirname(file))
      return await open(file, 'a', 0o600)
    }
  }

  /** Rotates the file, unless another process is doing so or has just done it. */
  async #putAside(more: number): Promise<void> {
    const { file, maxBytes } = this.#options
    const lock = `${file}.lock`
    if (!(await takeLock(lock))) return
    try {
      const { size } = await stat(file)
      if (size > 0 && size + more > maxBytes) {
        const time = new Date().toISOString().replaceAll(/[-:.]/g, '')
        await rename(file, `${file}.${time}-${process.pid}`)
        await this.#prune()
      }
    } finally {
      await rm(lock, { force: true })
    }
  }

  async #prune(): Promise<void> {
    const { file, maxFiles } = this.#options
    const folder = dirname(file)
    const aside = (await readdir(folder)).filter(
      name => name.startsWith(`${basename(file)}.`) && ASIDE.test(name),
    )
    const old = aside.sort().slice(0, Math.max(0, aside.length - (maxFiles - 1)))
    for (const name of old) await rm(join(folder, name), { force: true })
  }

  #complain(error: unknown): void {
    const now = monotonicNow()
    if (now - this.#complainedAt < COMPLAIN_MS) return
    this.#complainedAt = now
    const { file, logger } = this.#options
    logger.error('The audit log cannot be written; lines are kept for a while, then lost.', {
      file,
      lost: this.#lost,
      cause: describeError(error),
    })
  }
}

/** Time and process id at the end of a name. */
const ASIDE = /\.\d{8}T\d{9}Z-\d+$/

async function appendTo(handle: FileHandle, bytes: Buffer): Promise<number> {
  return (await handle.write(bytes)).bytesWritten
}

async function takeLock(lock: string): Promise<boolean> {
  try {
    await (await open(lock, 'wx', 0o600)).close()
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    const { mtimeMs } = await stat(lock).catch(() => ({ mtimeMs: Date.now() }))
    // The stale lock is removed now and taken by the next attempt, because two processes may find it stale at once. A
    // lock from the future dates from before the clock was set back, and is stale as well.
    if (Math.abs(Date.now() - mtimeMs) > STALE_LOCK_MS) await rm(lock, { force: true })
    return false
  }
}
