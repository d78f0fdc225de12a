import { createFile } from '../config/edit/create-file.ts'
import { NotWritten, replaceFile } from '../config/edit/replace-file.ts'
import { readContent } from './find.ts'

/** What became of a file that was to be changed. */
export type FileOutcome = { readonly state: 'changed' } | { readonly state: 'left'; readonly reason: string }

/**
 * Writes a file as a whole, where it still is what it was when its new content was made.
 * @param before hash of what it was; `undefined`: there was no file
 * @param mode of a new file
 */
export async function changeFile(
  file: string,
  before: string | undefined,
  content: string | Uint8Array,
  mode = 0o600,
): Promise<FileOutcome> {
  const changed = { state: 'left', reason: 'has changed meanwhile' } as const
  try {
    if (before === undefined) return (await createFile(file, content, mode)) ? { state: 'changed' } : changed
    const isCurrent = async (): Promise<boolean> =>
      (await readContent(file).then(
        ({ hash }) => hash,
        () => undefined,
      )) === before
    return (await replaceFile(file, content, isCurrent)) ? { state: 'changed' } : changed
  } catch (error) {
    if (error instanceof NotWritten) return { state: 'left', reason: error.message }
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    return { state: 'left', reason: `cannot be made (${code})` }
  }
}
