import { GatewayError } from '../../core/errors.ts'
import { renderProblems } from '../problem.ts'
import { isNestedTooDeep, MAX_DEPTH } from './nesting.ts'
import { whyUnreadable } from '../../regular-file.ts'
import { unmarked } from './byte-order-mark.ts'
import { utf8Of } from './utf8.ts'
import type { FilesRead } from './files-read.ts'

/**
 * The text of a file, without a byte order mark.
 * @param named the location of the file's name, for errors
 * @throws GatewayError `config`
 */
export async function readText(file: string, files: FilesRead, named: string): Promise<string> {
  return await textOf(file, files.read(file), named)
}

/** As `readText`, for the main file. `isReadAgain`: what was given to this process as a pipe is gone by then. */
export async function readMainText(file: string, files: FilesRead, isReadAgain: boolean): Promise<string> {
  return await textOf(file, isReadAgain ? files.read(file) : files.readOnce(file), 'its path')
}

async function textOf(file: string, content: Promise<Buffer>, named: string): Promise<string> {
  try {
    // Editors on Windows write a byte order mark.
    return unmarked(utf8Of(await content))
  } catch (error) {
    // The text says why. As a cause, the error of the file system would repeat it.
    const { code } = error as NodeJS.ErrnoException
    throw new GatewayError(
      'config',
      `The configuration ${file} was not loaded: ${whyUnreadable(error)}. ${FIXES[code ?? ''] ?? `Check ${named}`}.`,
    )
  }
}

/** By error code. */
const FIXES: Readonly<Record<string, string>> = {
  EISDIR: 'Name the file in it',
  EACCES: 'Check its permissions',
  EPERM: 'Check its permissions',
  EILSEQ: 'Save it as UTF-8',
}

/**
 * Parses JSON, with or without comments.
 * @throws GatewayError `config` with the location of the first error
 */
export async function parse(text: string, file: string): Promise<unknown> {
  if (isNestedTooDeep(text))
    throw new GatewayError(
      'config',
      `The configuration ${file} was not loaded: objects and lists in it are nested more than ${MAX_DEPTH} deep. Remove what is nested so deep.`,
    )
  try {
    return JSON.parse(text)
  } catch {
    const title = `The configuration ${file}`
    const { otherFormat } = await import('./other-formats.ts')
    const other = otherFormat(text, file)
    if (other !== undefined) throw new GatewayError('config', `${title} ${other}`)
    const { parseJsonc } = await import('./source-text.ts')
    const { value, problem } = parseJsonc(text)
    if (problem === undefined) return value
    throw new GatewayError('config', renderProblems(title, [{ problem, raw: undefined }]))
  }
}
