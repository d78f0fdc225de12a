import { createRequire } from 'node:module'
import type * as Lmdb from 'lmdb'
import { prepareFolder, protectFiles } from './lmdb-folder.ts'

export type Database = Lmdb.RootDatabase<Buffer, Buffer>

/**
 * Opens the database in the folder `path`, and moves a damaged file aside before. `onRepaired` is called with a
 * sentence for the log.
 * @param readsOnly changes nothing in the folder; the file has to be there, and sound
 * @throws Error as `openLmdbStore`
 */
export function openDatabase(path: string, onRepaired: (what: string) => void, readsOnly = false): Database {
  // `lmdb` and its dependencies in one file, made by the build; see `bin/bundle-lmdb.js`.
  const { open } = createRequire(import.meta.url)('#lmdb') as typeof Lmdb
  const aside = readsOnly ? undefined : prepareFolder(path)
  if (aside)
    onRepaired(
      `The state in "${path}" was damaged (${aside.damage}). Its file is set aside as "${aside.file}", and a new one is used: lists are fetched again, keys and logins have to be made again, and what was used up of quotas is not known.`,
    )
  const database = open<Buffer, Buffer>({
    path,
    readOnly: readsOnly,
    // Without this option, a path with a dot is treated as a file.
    noSubdir: false,
    encoding: 'binary',
    keyEncoding: 'binary',
    compression: false,
    cache: false,
    maxDbs: 1,
    // A commit is flushed before its promise resolves, so that nothing is pending at exit.
    overlappingSync: false,
    // With batching, a failed commit (disk full) rejects an inner promise that no code can catch.
    eventTurnBatching: false,
  })
  if (!readsOnly) protectFiles(path)
  return database
}
