import { watch, type FSWatcher } from 'node:fs'
import { lstat, readlink, stat } from 'node:fs/promises'
import { basename, parse, resolve, sep } from 'node:path'
import { describeError } from '../../core/errors.ts'
import { markOf, type FileMark } from '../load/files-read.ts'
import type { Logger } from '../../core/logger.ts'

/** Editors and deployments write in several steps. */
const SETTLE_MS = 200
/** Maximum delay of a check during a continuous stream of events. */
const MAX_SETTLE_MS = 1000
/** A file that is being written is briefly empty, and a file that is being replaced is briefly absent. */
const EMPTY_MS = 1000
/** Polling interval, because some file systems report no changes. */
const LOOK_MS = 30_000
/** Polling interval when the system cannot watch directories. */
const FALLBACK_LOOK_MS = 5000
/** Maximum number of links in a path, as in Linux. */
const MAX_LINKS = 40
/** The system limits the watchers of a process. */
const MAX_WATCHERS = 64

/** A watched directory and the relevant names in it; `undefined`: all names. */
interface Watched {
  readonly watcher: FSWatcher
  /** Identity of this directory: a new directory of the same name has another one. */
  readonly identity: string
  names: ReadonlySet<string> | undefined
}

/**
 * Reports when files may have changed: written, replaced, linked elsewhere at any part of their paths, removed or
 * created. It watches the directories that contain them or a link to them, because a watched file would be lost with
 * its first replacement; other files there are ignored. A change is reported once it has settled.
 */
export class FileWatch {
  readonly #onChange: () => void
  readonly #logger: Logger
  readonly #watched = new Map<string, Watched>()
  #marks: readonly FileMark[] = []
  #timer: NodeJS.Timeout | undefined
  /** Since when a check is delayed. */
  #since: number | undefined
  #looking: NodeJS.Timeout | undefined
  /** When a directory could not be watched last, by `performance.now()`; `undefined`: all of them are watched. */
  #failedAt: number | undefined
  /** Whether the log says that not all files are watched. */
  #isTold = false
  #busy: Promise<void> = Promise.resolve()
  #closed = false

  constructor(onChange: () => void, logger: Logger) {
    this.#onChange = onChange
    this.#logger = logger
  }

  /**
   * Watches these files from now on, instead of those before. Changes since the marks were made are reported as well.
   */
  follow(marks: readonly FileMark[]): Promise<void> {
    return this.#next(async () => {
      this.#marks = marks
      await this.#aim()
      if (!this.#closed && (await this.#changed())) this.#soon()
    })
  }

  /** Resolves when nothing is running. */
  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#timer)
    clearInterval(this.#looking)
    for (const { watcher } of this.#watched.values()) watcher.close()
    this.#watched.clear()
    await this.#busy
  }

  #next(work: () => Promise<void>): Promise<void> {
    this.#busy = this.#busy.then(() => (this.#closed ? undefined : work()))
    return this.#busy
  }

  /** Watches the directories that the files currently lead through. */
  async #aim(): Promise<void> {
    const wanted = new Map<string, Set<string> | undefined>()
    for (const { path, kind } of this.#marks) await namesOnPath(path, kind, wanted)
    const identities = await Promise.all([...wanted.keys()].map(identityOf))
    if (this.#closed) return
    const found = new Map([...wanted.keys()].map((directory, at) => [directory, identities[at] ?? '']))
    for (const [directory, { watcher, identity }] of this.#watched) {
      if (found.get(directory) === identity) continue
      watcher.close()
      this.#watched.delete(directory)
    }
    let cause: string | undefined
    for (const [directory, identity] of found) {
      const names = wanted.get(directory)
      const known = this.#watched.get(directory)
      if (known) known.names = names
      else if (this.#watched.size >= MAX_WATCHERS) cause ??= 'too many directories'
      else cause = this.#watch(directory, identity, names) ?? cause
    }
    if (cause !== undefined) this.#lookInstead(cause)
    else this.#lookRarely()
  }

  /** Returns the reason why a directory cannot be watched. */
  #watch(directory: string, identity: string, names: ReadonlySet<string> | undefined): string | undefined {
    try {
      const watcher = watch(directory, { persistent: false }, (_, name) => {
        const relevant = this.#watched.get(directory)?.names
        // Events about the directory itself carry its own name, like events about an entry in it.
        if (name === null || !relevant || relevant.has(name) || name === basename(directory)) this.#soon()
      })
      watcher.on('error', error => {
        watcher.close()
        this.#watched.delete(directory)
        if (this.#closed) return
        // A directory that was replaced is watched again at once. One that goes on to fail is looked at.
        if (this.#failedAt !== undefined) return this.#lookInstead(describeError(error))
        this.#failed()
        this.#soon()
      })
      this.#watched.set(directory, { watcher, identity, names })
      return undefined
    } catch (error) {
      return describeError(error)
    }
  }

  /** Falls back to polling: directories vanish, and the number of watchers is limited. */
  #lookInstead(cause: string): void {
    this.#failed()
    if (this.#isTold) return
    this.#isTold = true
    this.#logger.info(
      `The files of the configuration cannot all be watched; they are looked at every ${FALLBACK_LOOK_MS / 1000} s.`,
      { cause },
    )
  }

  #failed(): void {
    this.#failedAt = performance.now()
    this.#look(FALLBACK_LOOK_MS)
  }

  /** All directories are watched; a failure some seconds ago no longer counts. */
  #lookRarely(): void {
    if (this.#failedAt !== undefined && performance.now() - this.#failedAt < FALLBACK_LOOK_MS) return
    this.#failedAt = undefined
    this.#look(LOOK_MS)
    if (!this.#isTold) return
    this.#isTold = false
    this.#logger.info('The files of the configuration are all watched again.')
  }

  #look(everyMs: number): void {
    clearInterval(this.#looking)
    this.#looking = setInterval(() => this.#soon(), everyMs)
    this.#looking.unref()
  }

  #soon(afterMs = SETTLE_MS): void {
    if (this.#closed) return
    const now = performance.now()
    this.#since ??= now
    clearTimeout(this.#timer)
    const waitMs = Math.max(0, Math.min(afterMs, this.#since + Math.max(MAX_SETTLE_MS, afterMs) - now))
    this.#timer = setTimeout(() => void this.#next(() => this.#compare()), waitMs)
    this.#timer.unref()
  }

  async #compare(): Promise<void> {
    const since = this.#since ?? 0
    this.#since = undefined
    await this.#aim()
    const changed = await this.#changed()
    if (this.#closed || !changed) return
    if (changed === 'emptied' && performance.now() - since < EMPTY_MS) {
      this.#since = since
      this.#soon(EMPTY_MS)
    } else this.#onChange()
  }

  /** Whether a file differs from its mark; `emptied` when all differing files are now empty. */
  async #changed(): Promise<'changed' | 'emptied' | undefined> {
    let result: 'emptied' | undefined
    for (const before of this.#marks) {
      const now = await markOf(before.path, before.kind)
      if (now.mark === before.mark) continue
      if (!now.isEmpty) return 'changed'
      result = 'emptied'
    }
    return result
  }
}

/** Adds the directories that a path leads through at its end and at each link, with the relevant names in them. */
async function namesOnPath(
  path: string,
  kind: FileMark['kind'],
  wanted: Map<string, Set<string> | undefined>,
): Promise<void> {
  const add = (directory: string, name: string): void => {
    if (!wanted.has(directory)) wanted.set(directory, new Set())
    wanted.get(directory)?.add(name)
  }
  let links = 0
  let [at, rest] = split(path)
  while (rest.length > 0 && links <= MAX_LINKS) {
    const [name = '', ...more] = rest
    const here = resolve(at, name)
    const found = await lstat(here).catch(() => undefined)
    if (found === undefined || more.length === 0 || found.isSymbolicLink()) add(at, name)
    if (found === undefined) return
    if (found.isSymbolicLink()) {
      links++
      const [root, parts] = split(resolve(at, await readlink(here).catch(() => name)))
      at = root
      rest = [...parts, ...more]
    } else {
      at = here
      rest = more
    }
  }
  if (kind === 'folder') wanted.set(at, undefined)
}

/** The root of a path, and the names below it. */
function split(path: string): [string, string[]] {
  const { root } = parse(path)
  return [
    root,
    path
      .slice(root.length)
      .split(sep)
      .filter(name => name !== ''),
  ]
}

async function identityOf(directory: string): Promise<string> {
  return await stat(directory).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => '',
  )
}
