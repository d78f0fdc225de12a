import { closeSync, constants, fstatSync, openSync, readSync, statSync, type Stats } from 'node:fs'
import { open, stat } from 'node:fs/promises'

/** Largest file that is read, and the most of all files of a configuration: thousands of servers fit in. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024
const CHUNK_BYTES = 64 * 1024

/** Without a wait for the other end of a pipe. Windows has no such flag, and no such pipes. */
const FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * The content of a regular file, also behind symbolic links. A pipe, a device or a socket is not opened: it may block,
 * have no end, or do something when it is opened.
 * @throws the error of the file system; `EISDIR`; `EFBIG` for more than `maxBytes`; `ENOTREG` for anything else
 */
export async function readRegularFile(path: string, maxBytes = MAX_FILE_BYTES): Promise<Buffer> {
  refuseOthers(await stat(path))
  const handle = await open(path, FLAGS)
  try {
    // Another file may have taken its name meanwhile.
    refuseOthers(await handle.stat())
    const content = new Content(maxBytes)
    while (content.take((await handle.read(content.buffer, 0, CHUNK_BYTES, null)).bytesRead));
    return content.whole
  } finally {
    await handle.close()
  }
}

/** As `readRegularFile`, but synchronous. */
export function readRegularFileNow(path: string): Buffer {
  refuseOthers(statSync(path))
  const file = openSync(path, FLAGS)
  try {
    refuseOthers(fstatSync(file))
    const content = new Content()
    while (content.take(readSync(file, content.buffer, 0, CHUNK_BYTES, null)));
    return content.whole
  } finally {
    closeSync(file)
  }
}

/**
 * As `readRegularFile`, but also reads a descriptor that was given to this process to its end: `/dev/stdin`, or
 * `/dev/fd/63` of a shell's `<(…)`.
 */
export async function readFileOrDescriptor(path: string): Promise<Buffer> {
  if (!DESCRIPTOR.test(path)) return await readRegularFile(path)
  const handle = await open(path)
  try {
    const content = new Content()
    while (content.take((await handle.read(content.buffer, 0, CHUNK_BYTES, null)).bytesRead));
    return content.whole
  } finally {
    await handle.close()
  }
}

const DESCRIPTOR = /^\/dev\/(?:stdin|fd\/\d+)$|^\/proc\/(?:self|\d+)\/fd\/\d+$/

/** Why a file was not read, for the middle of a sentence: `there is no such file`. */
export function whyUnreadable(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOTREG' || code === 'EILSEQ') return message
  return WHY[code ?? ''] ?? `it cannot be read (${code ?? 'unknown cause'})`
}

const WHY: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EFBIG: `it is larger than ${MAX_FILE_BYTES} bytes, which is the most`,
  ELOOP: 'its links lead in a circle (ELOOP)',
}

function refuseOthers(found: Stats): void {
  if (found.isFile()) return
  if (found.isDirectory()) throw coded('EISDIR', 'it is a directory')
  const kind = found.isFIFO() ? 'pipe' : found.isSocket() ? 'socket' : 'device'
  throw coded('ENOTREG', `it is a ${kind}, and only regular files are read`)
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}

class Content {
  readonly buffer = Buffer.allocUnsafe(CHUNK_BYTES)
  readonly #chunks: Buffer[] = []
  readonly #maxBytes: number
  #bytes = 0

  constructor(maxBytes = MAX_FILE_BYTES) {
    this.#maxBytes = maxBytes
  }

  /** Keeps what was read into the buffer; `false` at the end. @throws Error `EFBIG` */
  take(bytes: number): boolean {
    this.#bytes += bytes
    if (this.#bytes > this.#maxBytes) throw coded('EFBIG', `more than ${this.#maxBytes} bytes`)
    this.#chunks.push(Buffer.from(this.buffer.subarray(0, bytes)))
    return bytes > 0
  }

  get whole(): Buffer {
    return Buffer.concat(this.#chunks)
  }
}
