import { GatewayError } from '../../core/errors.ts'
import { renderProblems } from '../problem.ts'
import { isNestedTooDeep, MAX_DEPTH } from './nesting.ts'
import { MAX_FILE_BYTES, type FilesRead } from './files-read.ts'

/** By error code. @param named the location of the file's name */
const WHY: Readonly<Record<string, (named: string) => string>> = {
  ENOENT: named => `there is no such file. Check ${named}.`,
  EISDIR: () => 'it is a directory. Name the file in it.',
  EFBIG: named => `it is larger than ${MAX_FILE_BYTES} bytes, which is the most. Check ${named}.`,
}

/**
 * The text of a file, without a byte order mark.
 * @param named the location of the file's name, for errors
 * @throws GatewayError `config`
 */
export async function readText(
  file: string,
  files: FilesRead,
  named = 'the path after --config',
): Promise<string> {
  try {
    const text = (await files.read(file)).toString('utf8')
    // Editors on Windows write a byte order mark.
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why = WHY[code ?? '']?.(named) ?? `it cannot be read (${code}). Check its permissions.`
    throw new GatewayError('config', `The configuration ${file} was not loaded: ${why}`, { cause })
  }
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
