import { createHash } from 'node:crypto'
import { readFileSync, statSync, type BigIntStats } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'

/** What a file was like when it was read: another look tells whether it may have changed since. */
export interface FileMark {
  /** Absolute. */
  readonly path: string
  readonly kind: 'file' | 'folder'
  /** Differs as soon as the content may differ. An error code where there is nothing to read. */
  readonly mark: string
  /** Where a file is absent or has no content: a moment in which it is being written looks the same. */
  readonly isEmpty: boolean
}

/** Looks at a file, or at a folder with the names of what could be included from it. */
export async function markOf(path: string, kind: FileMark['kind']): Promise<FileMark> {
  try {
    if (kind === 'file') return fileMark(path, await stat(path, { bigint: true }))
    const names = (await readdir(path)).filter(isIncludable).sort()
    return { path, kind, mark: names.join('\0'), isEmpty: false }
  } catch (error) {
    return absentMark(path, kind, error)
  }
}

/** Whether a name in a folder is one of a configuration. Hidden files are those of editors and of Kubernetes. */
export function isIncludable(name: string): boolean {
  return /^[^.].*\.jsonc?$/i.test(name)
}

/** The files that one configuration was made from, also those that were not found. A file is read once. */
export class FilesRead {
  readonly #marks = new Map<string, FileMark>()
  readonly #contents = new Map<string, Buffer>()
  /** Of the contents, and of what could not be read. */
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

  /** @throws the error of the file system */
  async read(path: string): Promise<Buffer> {
    const known = this.#contents.get(path)
    if (known) return known
    this.#marks.set(path, await markOf(path, 'file'))
    try {
      return this.#keep(path, await readFile(path))
    } catch (error) {
      throw this.#failed(path, error)
    }
  }

  /** As `read`, in this turn of the event loop. */
  readNow(path: string): Buffer {
    const known = this.#contents.get(path)
    if (known) return known
    try {
      this.#marks.set(path, fileMark(path, statSync(path, { bigint: true })))
      return this.#keep(path, readFileSync(path))
    } catch (error) {
      if (!this.#marks.has(path)) this.#marks.set(path, absentMark(path, 'file', error))
      throw this.#failed(path, error)
    }
  }

  /** The names of what could be included from a folder, sorted. @throws the error of the file system */
  async list(path: string): Promise<string[]> {
    this.#marks.set(path, await markOf(path, 'folder'))
    try {
      return (await readdir(path)).filter(isIncludable).sort()
    } catch (error) {
      throw this.#failed(path, error)
    }
  }

  /** SHA-256 of a file's content, which nothing else here needs; its error code where it cannot be read. */
  async digestOf(path: string): Promise<string> {
    await this.read(path).catch(() => undefined)
    return this.#digests.get(path) ?? ''
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
