import { GatewayError } from '../../core/errors.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { readRegularFile, whyUnreadable } from '../../regular-file.ts'
import { adopt } from '../load/adopt.ts'
import { unmarked } from '../load/byte-order-mark.ts'
import { loadText } from '../load/load.ts'
import { isNestedTooDeep, MAX_DEPTH } from '../load/nesting.ts'
import { otherFormat } from '../load/other-formats.ts'
import { parseJsonc } from '../load/source-text.ts'
import { utf8Of } from '../load/utf8.ts'
import { isSame } from '../source/differences.ts'
import { createFile } from './create-file.ts'
import { editText } from './edit-text.ts'
import { NotWritten, replaceFile } from './replace-file.ts'
import { sectionOf } from './section-of.ts'
import type { JsonObject } from '../../core/exchange.ts'

/** A change of the entry of one server in a configuration file. */
export interface ServerEdit {
  /** Absolute path. A file that is not there is made, with a mode for its owner alone. */
  readonly file: string
  readonly name: string
  /** The entry after the change; `undefined` removes it. Gets the entry as it is written, if there is one. */
  readonly change: (entry: JsonObject | undefined) => JsonObject | undefined
  /** Variables that will have values later, so that their absence is no problem of the entry. */
  readonly laterVariables?: readonly string[]
}

const EMPTY = '{\n  "mcpServers": {}\n}\n'

/**
 * Changes the entry of a server in the text of a file: comments, order and layout of everything else stay. The new text
 * is checked as a whole before it is written, and written in one step, unless the file has changed meanwhile.
 * @returns whether the file is another one now
 * @throws GatewayError `config` that says why not; nothing has changed then
 */
export async function changeEntry(asked: ServerEdit): Promise<boolean> {
  const edited = await editedText(asked)
  if (edited) await write(asked.file, edited.before, edited.after)
  return edited !== undefined
}

/** Does everything of `changeEntry` that can fail before the file is written. @throws GatewayError `config` */
export async function checkChange(asked: ServerEdit): Promise<void> {
  await editedText(asked)
}

interface EditedText {
  /** `undefined`: there is no file. */
  readonly before: string | undefined
  readonly after: string
}

/** `undefined` when nothing would change. */
async function editedText(asked: ServerEdit): Promise<EditedText | undefined> {
  const { file, name, change } = asked
  const text = await textOf(file)
  const before = valueIn(text ?? EMPTY, file)
  const section = sectionOf(before, name)
  const { [section]: servers = {} } = before
  if (!isJsonObject(servers)) throw refused(`"${section}" in ${file} is no object. Correct it by hand.`)
  const { [name]: entry, ...others } = servers
  const next = change(isJsonObject(entry) ? entry : undefined)
  const changed = entry !== undefined ? { ...servers, [name]: next } : { ...others, [name]: next }
  const after = { ...before, [section]: next === undefined ? others : changed }
  if (isSame(before, after)) return undefined
  const edited = editText(text ?? EMPTY, after)
  if (next !== undefined) await check(unmarked(edited), asked)
  return { before: text, after: edited }
}

/** The text of the file; `undefined` when there is none. */
async function textOf(file: string): Promise<string | undefined> {
  try {
    return utf8Of(await readRegularFile(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw refused(`The file ${file} was not read: ${whyUnreadable(error)}.`)
  }
}

function valueIn(text: string, file: string): JsonObject {
  if (isNestedTooDeep(text)) throw refused(`The file ${file} is nested more than ${MAX_DEPTH} deep.`)
  const { value, problem } = parseJsonc(unmarked(text))
  if (problem !== undefined || !isJsonObject(value))
    throw refused(
      `The file ${file} ${otherFormat(text, file) ?? 'holds no valid JSON object. Correct it by hand.'}`,
    )
  if (!isSame(adopt(value, process.cwd()).value, value))
    throw refused(
      `The file ${file} is that of another program. Change it there, or name a file of the gateway with --config.`,
    )
  return value
}

async function check(text: string, { file, name, laterVariables = [] }: ServerEdit): Promise<void> {
  const later = Object.fromEntries(laterVariables.map(variable => [variable, 'x']))
  const env = { ...later, ...process.env }
  const { config } = await loadText(text, { file, env, looksForSecrets: false })
  const problem = config.servers.find(server => server.name === name)?.problem
  if (problem !== undefined) throw refused(`${problem}\nNothing was written.`)
}

async function write(file: string, before: string | undefined, text: string): Promise<void> {
  try {
    const isWritten =
      before === undefined
        ? await createFile(file, text, 0o600)
        : await replaceFile(file, text, async () => (await textOf(file)) === before)
    if (!isWritten) throw new NotWritten('has changed meanwhile. Try again')
  } catch (error) {
    if (error instanceof GatewayError) throw error
    const why = error instanceof NotWritten ? error.message : `was not written: ${whyUnreadable(error)}`
    throw refused(`The file ${file} ${why}. Nothing has changed.`)
  }
}

function refused(message: string): GatewayError {
  return new GatewayError('config', message)
}
