import { constants } from 'node:fs'
import { access, open, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { GatewayError } from '../core/errors.ts'

/**
 * Checks that the audit log can be written to a file, and changes nothing: a file that does not exist is not created.
 * @throws GatewayError `config` with the path, the cause and the fix
 */
export async function checkAppendable(file: string): Promise<void> {
  try {
    await tryToAppend(file)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new GatewayError(
      'config',
      `The audit log ${file} cannot be written: ${CAUSES[code ?? ''] ?? String(code ?? cause)}. Correct "gateway.audit.file", or make the file writable.`,
      { cause },
    )
  }
}

const CAUSES: Readonly<Record<string, string>> = {
  EACCES: 'this user may not write there (EACCES)',
  EPERM: 'this user may not write there (EPERM)',
  EROFS: 'the file system is read-only (EROFS)',
  EISDIR: 'it is a directory (EISDIR)',
  ENOTDIR: 'a part of its path is not a directory (ENOTDIR)',
  ELOOP: 'its links lead in a circle (ELOOP)',
  ENXIO: 'it is a pipe that nothing reads (ENXIO)',
}

async function tryToAppend(file: string): Promise<void> {
  const { O_WRONLY, O_APPEND, O_NONBLOCK } = constants
  try {
    // A pipe without a reader would block.
    await (await open(file, O_WRONLY | O_APPEND | (O_NONBLOCK ?? 0))).close()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    await canBeMade(dirname(file))
  }
}

/** Whether a folder can be used, or made in the nearest one above it that exists. */
async function canBeMade(folder: string): Promise<void> {
  try {
    if (!(await stat(folder)).isDirectory())
      throw Object.assign(new Error('not a directory'), { code: 'ENOTDIR' })
  } catch (error) {
    const above = dirname(folder)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || above === folder) throw error
    return await canBeMade(above)
  }
  await access(folder, constants.W_OK | constants.X_OK)
}
