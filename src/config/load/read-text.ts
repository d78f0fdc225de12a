import { stat } from 'node:fs/promises'
import { GatewayError } from '../../core/errors.ts'
import { renderProblems } from '../problem.ts'
import { isNestedTooDeep, MAX_DEPTH } from './nesting.ts'
import type { FilesRead } from './files-read.ts'

/** Maximum size of a file, and of all files of a configuration together: enough for thousands of servers. */
export const MAX_FILE_BYTES = 16 * 1024 * 1024

/**
 * The text of a file, without a byte order mark.
 * @param named the location of the file's name, for the error when there is no such file
 * @throws GatewayError `config`
 */
export async function readText(
  file: string,
  files: FilesRead,
  named = 'the path after --config',
): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size > MAX_FILE_BYTES)
      throw new GatewayError(
        'config',
        `The configuration ${file} was not loaded: it has ${size} bytes, and ${MAX_FILE_BYTES} is the most. Name a file of servers after --config.`,
      )
    const text = (await files.read(file)).toString('utf8')
    // Editors on Windows write a byte order mark.
    return text.startsWith('\uFEFF') ? text.slice(1) : text
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause
    await files.digestOf(file)
    const code = (cause as { code?: unknown }).code
    const why =
      code === 'ENOENT'
        ? `there is no such file. Check ${named}.`
        : code === 'EISDIR'
          ? 'it is a directory. Name the file in it.'
          : `it cannot be read (${String(code)}). Check its permissions.`
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
