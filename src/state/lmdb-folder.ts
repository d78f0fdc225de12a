import { chmodSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import { damageOf } from './lmdb-file.ts'

/** The folder of an LMDB store: creates it, detects damaged files and detects replaced files. */

const DATA = 'data.mdb'
const LOCK = 'lock.mdb'

/** What is put behind the name of a file that was set aside. */
const ASIDE = 'damaged-'

/** The data file of a store in a folder. */
export function dataFileIn(folder: string): string {
  return join(folder, DATA)
}

/** Whether a store has been in a folder: both of its files are there. */
export function holdsStore(folder: string): boolean {
  return [DATA, LOCK].every(
    name => statSync(join(folder, name), { throwIfNoEntry: false })?.isFile() === true,
  )
}

/** Whether a store makes files of this name in its folder. */
export function isStoreFile(name: string): boolean {
  return [DATA, LOCK].some(own => name === own || name.startsWith(`${own}.${ASIDE}`))
}

/** A data file that was set aside. */
export interface SetAside {
  readonly damage: string
  /** New path of the file. */
  readonly file: string
}

/**
 * Creates the folder, and moves a damaged data file in it aside, so that opening creates a new one.
 * @throws Error of the system when that fails
 */
export function prepareFolder(path: string): SetAside | undefined {
  makeFolder(path)
  const damage = damageOf(join(path, DATA))
  if (damage === undefined) return undefined
  const mark = `${ASIDE}${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${process.pid}`
  const file = join(path, `${DATA}.${mark}`)
  moved(join(path, DATA), file)
  // The lock file refers to transactions that the new file lacks.
  moved(join(path, LOCK), join(path, `${LOCK}.${mark}`))
  return { damage, file }
}

/** Restricts the files to their owner, as far as this user owns them. */
export function protectFiles(path: string): void {
  for (const name of [DATA, LOCK]) {
    try {
      chmodSync(join(path, name), 0o600)
    } catch {
      // A file of another user that is accessible but not owned: the mode of the folder decides.
    }
  }
}

/** Identity of the data file, to detect that it was replaced; `undefined` when there is none. */
export function identityOf(path: string): string | undefined {
  try {
    const { dev, ino } = statSync(join(path, DATA))
    return `${dev}/${ino}`
  } catch {
    return undefined
  }
}

function moved(from: string, to: string): void {
  try {
    renameSync(from, to)
  } catch (error) {
    // Another process may have moved it first.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
