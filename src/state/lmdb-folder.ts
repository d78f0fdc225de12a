import { chmodSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../make-folder.ts'
import { damageOf } from './lmdb-file.ts'

/** The folder of an LMDB store: its files, whether they can be opened, and whether they are still the same. */

const DATA = 'data.mdb'
const LOCK = 'lock.mdb'

/** A data file that was set aside. */
export interface SetAside {
  readonly damage: string
  /** Where it is now. */
  readonly file: string
}

/**
 * Makes the folder, and sets a damaged data file in it aside, so that opening it makes a new one.
 * @throws Error of the system when that is not possible
 */
export function prepareFolder(path: string): SetAside | undefined {
  makeFolder(path)
  const damage = damageOf(join(path, DATA))
  if (damage === undefined) return undefined
  const mark = `damaged-${new Date().toISOString().replaceAll(/[-:.]/g, '')}-${process.pid}`
  const file = join(path, `${DATA}.${mark}`)
  moved(join(path, DATA), file)
  // It speaks of transactions that the new file does not have.
  moved(join(path, LOCK), join(path, `${LOCK}.${mark}`))
  return { damage, file }
}

/** Keeps the files to their user, as far as they are ours. */
export function protectFiles(path: string): void {
  for (const name of [DATA, LOCK]) {
    try {
      chmodSync(join(path, name), 0o600)
    } catch {
      // Another user's file that we may use but not own: the folder's mode decides.
    }
  }
}

/** Tells the data file from another one of its name; `undefined` when there is none. */
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
    // Another process may have been first.
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
