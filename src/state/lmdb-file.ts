import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'

/** First bytes of a meta page, behind the page header. */
const MAGIC = 0xbeefc0de
/** Layout that the `lmdb` package writes; a file of another one is not opened. */
const VERSION = 2
/** Offset of the magic number on 64-bit machines; elsewhere page headers are smaller and only the number is looked for. */
const META_OFFSET = 24
/** Offsets inside a meta: page size, and the root page of each of the two trees. */
const PAGE_SIZE_OFFSET = 24
const ROOT_OFFSETS = [64, 112]
const NO_PAGE = 0xffff_ffff_ffff_ffffn

/**
 * Looks at the head of an LMDB data file. LMDB trusts its file: one that is not a database, or that was cut, would not make `open` fail but
 * kill the process. A file that is absent or empty is fine, as it becomes a new database.
 * @throws Error that says what is wrong with it.
 */
export function assertDataFile(file: string): void {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
    throw error
  }
  try {
    const head = Buffer.alloc(4096)
    readSync(descriptor, head, 0, head.length, 0)
    // Later than the head: other processes may be writing, and the file grows before its head says so.
    const { size } = fstatSync(descriptor)
    if (size === 0) return
    const little = endianness() === 'LE'
    const u32 = (at: number): number => (little ? head.readUInt32LE(at) : head.readUInt32BE(at))
    const u64 = (at: number): bigint => (little ? head.readBigUInt64LE(at) : head.readBigUInt64BE(at))

    const meta = [META_OFFSET, 16, 12, 20].find(at => u32(at) === MAGIC)
    if (meta === undefined) throw new Error('data.mdb is damaged or no LMDB file')
    if (u32(meta + 4) !== VERSION) throw new Error('data.mdb is damaged or of another version of LMDB')
    if (meta !== META_OFFSET) return
    const pageSize = u32(meta + PAGE_SIZE_OFFSET)
    const roots = ROOT_OFFSETS.map(offset => u64(meta + offset)).filter(page => page !== NO_PAGE)
    const needed = roots.reduce((last, page) => (page > last ? page : last), 1n) + 1n
    if (pageSize < 512 || BigInt(size) < needed * BigInt(pageSize))
      throw new Error('data.mdb is damaged: its end is missing')
  } finally {
    closeSync(descriptor)
  }
}
