import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { endianness } from 'node:os'

/** Magic number of a meta page, after the page header. */
const MAGIC = 0xbeefc0de
/** Layout written by the `lmdb` package; files with another layout are not opened. */
const VERSION = 2
/**
 * Size of a page header, hence the offset of a meta, on 64-bit machines; on others only the magic number is checked.
 */
const HEADER = 24
/** Offsets inside a meta: page size, entries and root pages of the two trees, last page, transaction. */
const META = { pageSize: 24, entries: [56, 104], roots: [64, 112], lastPage: 120, transaction: 128 }
const META_BYTES = 144
/** Offsets inside a page header. */
const PAGE = { flags: 18, lower: 20, pages: 20 }
const BRANCH = 1
const LEAF = 2
/** Flags of a node: its value is on overflow pages, or is another tree. */
const BIG = 1
const TREE = 2
/** Offset of the root page in a tree record. */
const TREE_ROOT = 40
const NO_PAGE = 2 ** 64
/** Upper bound of the depth of a valid tree. */
const MAX_DEPTH = 32

interface Meta {
  readonly pageSize: number
  readonly entries: readonly number[]
  readonly roots: readonly number[]
  readonly lastPage: number
  readonly transaction: number
}

/** Larger files are not looked at as a whole. */
const MAX_WHOLE_BYTES = 256 * 1024 * 1024
/** While others write, a look at the whole file begins anew. */
const MOST_LOOKS = 3

/**
 * As `damageOf`, for a file that something was kept in: also finds damage that LMDB reads as if nothing were there, by
 * reading every page in use. Others may write meanwhile.
 */
export function damageInside(file: string): string | undefined {
  return damageOf(file, true)
}

/**
 * Describes the damage of an LMDB data file; `undefined` when it is intact, absent or empty, in which case it becomes a
 * new database. LMDB trusts its file: a file that is no database, or is truncated, kills the process instead of failing
 * `open`.
 * @throws Error of the system when the file cannot be read
 */
export function damageOf(file: string, isWhole = false): string | undefined {
  let descriptor: number
  try {
    descriptor = openSync(file, 'r')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const data = new DataFile(descriptor)
    return data.damage() ?? (isWhole ? data.damageInside() : undefined)
  } finally {
    closeSync(descriptor)
  }
}

class DataFile {
  readonly #descriptor: number
  readonly #little = endianness() === 'LE'

  constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  damage(): string | undefined {
    const head = this.#read(0, HEADER + META_BYTES)
    if (this.#size() === 0) return undefined
    const at = [HEADER, 16, 12, 20].find(offset => this.#u32(head, offset) === MAGIC)
    if (at === undefined) return 'it is no LMDB file'
    if (this.#u32(head, at + 4) !== VERSION) return 'it is of another version of LMDB'
    if (at !== HEADER) return undefined
    const first = this.#meta(0)
    if (!first || first.pageSize < 512) return 'its head is damaged'
    const second = this.#meta(first.pageSize)
    if (!second) return 'its end is missing'
    const end = (Math.max(first.lastPage, second.lastPage) + 1) * first.pageSize
    // Read after the metas: other processes may be writing, and the file grows before its metas change.
    if (this.#size() >= end) return undefined
    // The last pages may be free and never written, so the pages in use decide.
    const newest = first.transaction > second.transaction ? first : second
    if (newest.roots.every(root => this.#isWhole(root, first.pageSize, 0))) return undefined
    const [one, other] = [this.#meta(0), this.#meta(first.pageSize)]
    const changed = Math.max(one?.transaction ?? 0, other?.transaction ?? 0) !== newest.transaction
    return changed ? undefined : 'its end is missing'
  }

  /** Damage of the pages in use, or of what leads to them, in a file whose head and end are sound. */
  damageInside(): string | undefined {
    if (this.#size() === 0) return 'it is empty'
    if (this.#size() > MAX_WHOLE_BYTES || this.#u32(this.#read(HEADER, 4), 0) !== MAGIC) return undefined
    for (let look = 0; look < MOST_LOOKS; look++) {
      const newest = this.#newest()
      if (
        !newest ||
        newest.roots.every((root, at) => this.#entriesIn(root, newest.pageSize) === newest.entries[at])
      )
        return undefined
      if (this.#newest()?.transaction === newest.transaction) return 'its pages are damaged'
    }
    return undefined
  }

  #newest(): Meta | undefined {
    const first = this.#meta(0)
    const second = first && this.#meta(first.pageSize)
    return first && second && (first.transaction > second.transaction ? first : second)
  }

  /** How many entries a tree has; `undefined` where it is damaged. */
  #entriesIn(root: number, pageSize: number, depth = 0): number | undefined {
    if (root === NO_PAGE) return 0
    if (depth > MAX_DEPTH || !this.#holds(root, 1, pageSize)) return undefined
    const page = this.#read(root * pageSize, pageSize)
    const flags = this.#u16(page, PAGE.flags)
    const entries = Math.min(this.#u16(page, PAGE.lower), pageSize - HEADER) >> 1
    if ((flags & LEAF) !== 0) return entries
    if ((flags & BRANCH) === 0) return undefined
    let count = 0
    for (let entry = 0; entry < entries; entry++) {
      const node = HEADER + this.#u16(page, HEADER + 2 * entry)
      if (node + 8 > pageSize) return undefined
      const child = this.#u32(page, node) + this.#u16(page, node + 4) * 2 ** 32
      const below = this.#entriesIn(child, pageSize, depth + 1)
      if (below === undefined) return undefined
      count += below
    }
    return count
  }

  #meta(offset: number): Meta | undefined {
    const bytes = this.#read(offset + HEADER, META_BYTES)
    if (this.#u32(bytes, 0) !== MAGIC || this.#u32(bytes, 4) !== VERSION) return undefined
    return {
      pageSize: this.#u32(bytes, META.pageSize),
      entries: META.entries.map(at => this.#u64(bytes, at)),
      roots: META.roots.map(at => this.#u64(bytes, at)),
      lastPage: this.#u64(bytes, META.lastPage),
      transaction: this.#u64(bytes, META.transaction),
    }
  }

  /** Whether the file contains every page of a tree. */
  #isWhole(root: number, pageSize: number, depth: number): boolean {
    if (root === NO_PAGE) return true
    if (depth > MAX_DEPTH || !this.#holds(root, 1, pageSize)) return false
    const page = this.#read(root * pageSize, pageSize)
    const flags = this.#u16(page, PAGE.flags)
    if ((flags & (BRANCH | LEAF)) === 0) return false
    const entries = Math.min(this.#u16(page, PAGE.lower), pageSize - HEADER) >> 1
    for (let entry = 0; entry < entries; entry++) {
      const node = HEADER + this.#u16(page, HEADER + 2 * entry)
      if (node + 8 > pageSize) return false
      const nodeFlags = this.#u16(page, node + 4)
      if ((flags & BRANCH) !== 0) {
        const child = this.#u32(page, node) + nodeFlags * 2 ** 32
        if (!this.#isWhole(child, pageSize, depth + 1)) return false
      } else if ((nodeFlags & (BIG | TREE)) !== 0) {
        const value = node + 8 + this.#u16(page, node + 6)
        if (value + 8 > pageSize) return false
        if ((nodeFlags & BIG) !== 0) {
          const big = this.#u64(page, value)
          if (!this.#holds(big, 1, pageSize)) return false
          const header = this.#read(big * pageSize, HEADER)
          if (!this.#holds(big, this.#u32(header, PAGE.pages), pageSize)) return false
        } else if (value + TREE_ROOT + 8 > pageSize) return false
        else if (!this.#isWhole(this.#u64(page, value + TREE_ROOT), pageSize, depth + 1)) return false
      }
    }
    return true
  }

  #holds(page: number, pages: number, pageSize: number): boolean {
    return (page + pages) * pageSize <= this.#size()
  }

  #size(): number {
    return fstatSync(this.#descriptor).size
  }

  /** Reads beyond the end of the file return zeros. */
  #read(offset: number, bytes: number): Buffer {
    const buffer = Buffer.alloc(bytes)
    readSync(this.#descriptor, buffer, 0, bytes, offset)
    return buffer
  }

  #u16(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at)
  }

  #u32(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at)
  }

  #u64(bytes: Buffer, at: number): number {
    return Number(this.#little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at))
  }
}
