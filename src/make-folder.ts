import { mkdirSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Makes a folder for its owner alone, with those that are missing above it. Node's own `recursive` does not end where a
 * file system says that the folder to make one in is not there, as `/proc` does.
 * @throws the error of the file system
 */
export function makeFolder(path: string): void {
  const missing: string[] = []
  for (let at = path; !isThere(at); at = dirname(at)) {
    missing.push(at)
    if (at === dirname(at)) break
  }
  for (const folder of missing.toReversed())
    try {
      mkdirSync(folder, { mode: 0o700 })
    } catch (error) {
      // Another process may have made it meanwhile.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
  // With the error that says so where it is a file.
  if (!statSync(path).isDirectory()) mkdirSync(path)
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}
