import { closeSync, fstatSync, ftruncateSync, openSync, readSync } from 'node:fs'

/**
 * Cuts `torn`, the start of a line that could not be written whole, off the end of a file. All in one turn: another process may append at any
 * moment, and what it has appended is not touched.
 * @returns whether the file ends with a whole line now
 */
export function cutOff(file: string, torn: Buffer): boolean {
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

/** Whether the last line of a file has no end: the process that wrote it, or the machine, stopped meanwhile. */
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
