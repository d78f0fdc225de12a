import { createHash } from 'node:crypto'
import { statSync, type BigIntStats } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { readFileOrDescriptor, readRegularFile, readRegularFileNow } from '../../regular-file.ts'

/** The state of a file when it was read, to detect later changes. */
export interface FileMark {
  /** Absolute path. */
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** Differs whenever the content may differ. An error code when the file cannot be read. */
  readonly mark: string
  /** Whether the file is absent or empty, which may be temporary while it is written. */
  readonly isEmpty: boolean
}

/** Determines the mark of a file, or of a folder with the names of its includable files. */
export async function markOf(path: string, kind: FileMark['kind']): Promise<FileMark> {
  try {
    if (kind === 'file') return fileMark(path, await stat(path, { bigint: true }))
    const names = (await readdir(path)).filter(isIncludable).sort()
    return { path, kind, mark: names.join('\0'), isEmpty: false }
  } catch (error) {
    return absentMark(path, kind, error)
  }
}

/** Whether a file of a folder is included. Hidden files are those of editors and of Kubernetes. */
function isIncludable(name: string): boolean {
  return /^[^.].*\.jsonc?$/i.test(name)
}

/** The files from which one configuration was made, including those that were not found. Each file is read once. */
export class FilesRead {
  readonly #marks = new Map<string, FileMark>()
  readonly #contents = new Map<string, Buffer>()
  /** Digests of the contents, and error codes of unreadable files. */
  readonly #digests = new Map<string, string>()

  /** In the order in which they were read. */
  get marks(): FileMark[] {
    return [...this.#marks.values()]
  }

  /** SHA-256 of all paths and contents. */
  get digest(): string {
    const parts = [...this.#digests].map(([path, digest]) => `${path}\0${digest}\n`)
    return createHash('sha256').update(parts.join('')).digest('hex')
  }

  /** @throws as `readRegularFile` */
  read(path: string): Promise<Buffer> {
    return this.#read(path, readRegularFile)
  }

  /** As `read`, but also reads `/dev/stdin` and the like. @throws as `readFileOrDescriptor` */
  readOnce(path: string): Promise<Buffer> {
    return this.#read(path, readFileOrDescriptor)
  }

  async #read(path: string, contentOf: (path: string) => Promise<Buffer>): Promise<Buffer> {
    const known = this.#contents.get(path)
    if (known) return known
    this.#marks.set(path, await markOf(path, 'file'))
    try {
      return this.#keep(path, await contentOf(path))
    } catch (error) {
      throw this.#failed(path, error)
    }
  }

  /** As `read`, but synchronous. */
  readNow(path: string): Buffer {
    const known = this.#contents.get(path)
    if (known) return known
    try {
      this.#marks.set(path, fileMark(path, statSync(path, { bigint: true })))
      return this.#keep(path, readRegularFileNow(path))
    } catch (error) {
      if (!this.#marks.has(path)) this.#marks.set(path, absentMark(path, 'file', error))
      throw this.#failed(path, error)
    }
  }

  /**
   * The sorted names of the includable files of a folder.
   * @throws the error of the file system
   */
  async list(path: string): Promise<string[]> {
    this.#marks.set(path, await markOf(path, 'folder'))
    try {
      return (await readdir(path)).filter(isIncludable).sort()
    } catch (error) {
      throw this.#failed(path, error)
    }
  }

  /**
   * SHA-256 of the content of a file that is only needed for change detection; its error code when it cannot be read.
   */
  async digestOf(path: string): Promise<string> {
    await this.read(path).catch(() => undefined)
    return this.#digests.get(path) ?? ''
  }

  /** Counts a text that is in no file for the digest. */
  note(name: string, text: string): void {
    this.#digests.set(name, createHash('sha256').update(text).digest('hex'))
  }

  #keep(path: string, content: Buffer): Buffer {
    this.#contents.set(path, content)
    this.#digests.set(path, createHash('sha256').update(content).digest('hex'))
    return content
  }

  #failed(path: string, error: unknown): unknown {
    this.#digests.set(path, codeOf(error))
    return error
  }
}

function fileMark(path: string, { dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): FileMark {
  return {
    path,
    kind: 'file',
    mark: [dev, ino, size, mtimeNs, ctimeNs].join(':'),
    isEmpty: size === 0n,
  }
}

function absentMark(path: string, kind: FileMark['kind'], error: unknown): FileMark {
  return { path, kind, mark: codeOf(error), isEmpty: codeOf(error) === 'ENOENT' }
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' ? code : 'unreadable'
}
