import { randomUUID } from 'node:crypto'
import { access, link, open, rename, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../../make-folder.ts'

const NO_LINKS = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'])

/**
 * Makes a file that is not there, as a whole or not at all, with the folders that are missing above it.
 * @returns `false` when there is something of this name
 * @throws the error of the file system
 */
export async function createFile(file: string, content: string | Uint8Array, mode: number): Promise<boolean> {
  makeFolder(dirname(file))
  const fresh = `${file}.${randomUUID()}`
  const handle = await open(fresh, 'wx', mode)
  try {
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    // Unlike a rename, a link replaces nothing. Not every file system has links.
    await link(fresh, file).catch(async (error: NodeJS.ErrnoException) => {
      if (!NO_LINKS.has(error.code ?? '')) throw error
      const isThere = await access(file).then(
        () => true,
        () => false,
      )
      if (isThere) throw Object.assign(new Error('there is a file'), { code: 'EEXIST' })
      await rename(fresh, file)
    })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    await unlink(fresh).catch(() => {})
  }
}
