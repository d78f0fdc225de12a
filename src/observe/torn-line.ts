import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'

/**
 * Removes `torn`, a partially written line, from the end of a file. It runs synchronously and checks the end of the
 * file first, because another process may append at any moment, and its lines must stay.
 * @returns whether the file now ends with a whole line
 */
export function removeTornLine(file: string, torn: Buffer): boolean {
  let fd: number | undefined
  try {
    fd = openSync(file, 'r+')
    const start = fstatSync(fd).size - torn.length
    if (start < 0 || !read(fd, start, torn.length).equals(torn)) return false
    ftruncateSync(fd, start)
    return true
  } catch {
    return false
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

/** Whether the last line of a file is incomplete, because the process or the machine stopped during the write. */
export function endsTorn(file: string): boolean {
  let fd: number | undefined
  try {
    fd = openSync(file, 'r')
    const { size } = fstatSync(fd)
    return size > 0 && read(fd, size - 1, 1)[0] !== 10
  } catch {
    return false
  } finally {
    if (fd !== undefined) closeSync(fd)
  }
}

function read(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  return bytes.subarray(0, readSync(fd, bytes, 0, length, at))
}
