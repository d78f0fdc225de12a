import { FileWatch } from './file-watch.ts'
import type { Logger } from '../../core/logger.ts'
import type { FileMark } from '../load/files-read.ts'
import type { Overrides } from '../resolve/environment.ts'
import type { ConfigReading, WatchedSource } from './config-source.ts'
import type { FileReading, ReadRequest } from './reading.ts'
import type { StartedReading } from './reading-threads.ts'

export interface FileSourceOptions {
  /** Absolute path. */
  readonly file: string
  /** Values of the command line; they override the file at each reading. */
  readonly overrides?: Overrides
  readonly logger: Logger
  /** Files that have already been read, so that only later changes count. */
  readonly marks?: readonly FileMark[]
  /** Starts a reading: that of `ReadingThreads`. */
  readonly load: (request: ReadRequest) => StartedReading
}

/**
 * A configuration file with the files it refers to: includes, `envFile`, `${file:…}`, certificates. All are watched,
 * including those that were not found.
 */
export class FileSource implements WatchedSource {
  readonly name: string
  readonly #options: FileSourceOptions
  readonly #reads = new Set<StartedReading>()
  #marks: readonly FileMark[]
  #watch: FileWatch | undefined
  #closing: Promise<void> | undefined

  constructor(options: FileSourceOptions) {
    this.name = options.file
    this.#options = options
    // Without marks, a mark that never matches: the file has not been read yet.
    this.#marks = options.marks ?? [{ path: options.file, kind: 'file', mark: '', isEmpty: false }]
  }

  async read(): Promise<ConfigReading> {
    const { reading, marks } = await this.#load()
    // A reading that failed in its thread has no marks.
    if (marks.length > 0) {
      this.#marks = marks
      await this.#watch?.follow(marks)
    }
    return reading
  }

  async peek(): Promise<ConfigReading> {
    return (await this.#load()).reading
  }

  async #load(): Promise<FileReading> {
    const { file, overrides = {}, load } = this.#options
    const started = load({ file, overrides })
    this.#reads.add(started)
    if (this.#closing) started.stop()
    try {
      return await started.reading
    } finally {
      this.#reads.delete(started)
    }
  }

  async watch(onChange: () => void): Promise<void> {
    if (this.#closing) return
    this.#watch = new FileWatch(onChange, this.#options.logger)
    await this.#watch.follow(this.#marks)
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const reads = [...this.#reads]
    for (const { stop } of reads) stop()
    await Promise.allSettled([this.#watch?.close(), ...reads.map(({ reading }) => reading)])
  }
}
