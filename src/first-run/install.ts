import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { NotEditable } from '../client-files/formats/format.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { isSame } from '../config/source/differences.ts'
import { freeEntryName } from './entry-name.ts'
import { changeFile, type FileOutcome } from './change-file.ts'
import { hashOf, readClientFile, type FoundFile, type ClientReading } from './find.ts'
import { readRecords, writeRecord, type RecordedEdit } from './record.ts'
import type { Application, ClientFile, OwnEntry, Scope } from '../client-files/applications/application.ts'

/** One application and its file, for the commands that add or remove the entry of the gateway. */
export interface EntryTarget {
  readonly application: Application
  readonly file: ClientFile
  /** `undefined` when there is no such file yet. */
  readonly found: FoundFile | undefined
}

/** The file of a scope that an application uses: one that is there, else one whose folder is there. */
export async function targetOf(
  application: Application,
  scope: Scope,
  reading: ClientReading,
): Promise<EntryTarget | undefined> {
  const all = application.files(reading.machine).filter(file => file.scope === scope)
  const [first] = all
  if (!first) return undefined
  const candidates = all.filter(({ section }) => isSame(section, first.section))
  for (const file of candidates) {
    const found = await readClientFile(application, file, reading)
    if (found) return { application, file, found }
  }
  const file =
    candidates.find(candidate => existsSync(dirname(candidate.file))) ??
    candidates.find(({ isUsual }) => isUsual) ??
    first
  return { application, file, found: undefined }
}

export type Installed =
  | { readonly state: 'there'; readonly name: string }
  | { readonly state: 'changed'; readonly name: string }
  | { readonly state: 'left'; readonly reason: string; readonly snippet: string }

export interface Installing {
  readonly target: EntryTarget
  readonly entry: OwnEntry
  /** The wished name of the entry. */
  readonly name: string
  readonly stateFolder: string
  readonly command: string
}

/** Adds the entry of the gateway to a client file, or brings the one that is there up to date. */
export async function installEntry({
  target,
  entry,
  name: wished,
  stateFolder,
  command,
}: Installing): Promise<Installed> {
  const { application, file, found } = target
  const format = found?.format ?? (await loadFormat(file.syntax))
  const { section } = file
  const name = found?.own[0] ?? freeEntryName(wished, found?.names ?? [])
  const value = application.write(entry, name)
  const left = (reason: string): Installed => ({
    state: 'left',
    reason,
    snippet: format.snippet(section, { name, value }),
  })
  if (found && !found.content) return left(found.problem ?? 'was not read')
  if (found?.problem !== undefined) return left(found.problem)
  const before = found?.content
  try {
    const text = before?.text ?? ''
    const there = format.entries(text, section).find(other => other.name === name)
    if (there && isSame(there.value, value)) return { state: 'there', name }
    const without = there
      ? format.remove(text, section, [name], await pieceOf(stateFolder, file, name))
      : text
    const inserted = format.insert(without, section, { name, value })
    const added = { name, value, piece: inserted.piece }
    const edit: RecordedEdit = { section, moved: there ? [name] : [], added }
    const outcome = await recorded({ target, text: inserted.text, edit, stateFolder, command })
    return outcome.state === 'changed' ? { state: 'changed', name } : left(outcome.reason)
  } catch (error) {
    if (error instanceof NotEditable) return left(error.message)
    throw error
  }
}

/** Removes the entries of the gateway from a client file. */
export async function uninstallEntry(
  target: EntryTarget,
  stateFolder: string,
  command: string,
): Promise<FileOutcome | { readonly state: 'absent' }> {
  const { file, found } = target
  if (!found || found.own.length === 0)
    return found?.problem === undefined ? { state: 'absent' } : { state: 'left', reason: found.problem }
  const { format, content, own } = found
  try {
    let text = content?.text ?? ''
    for (const name of own)
      text = format.remove(text, file.section, [name], await pieceOf(stateFolder, file, name))
    return await recorded({ target, text, edit: { section: file.section, moved: own }, stateFolder, command })
  } catch (error) {
    if (error instanceof NotEditable) return { state: 'left', reason: error.message }
    throw error
  }
}

interface Recorded extends Pick<Installing, 'target' | 'stateFolder' | 'command'> {
  readonly text: string
  readonly edit: RecordedEdit
}

/** Writes a new text, after the record of the old one. */
async function recorded({ target, text, edit, stateFolder, command }: Recorded): Promise<FileOutcome> {
  const { application, file, found } = target
  const before = found?.content
  const client = { application: application.id, syntax: file.syntax, edits: [edit] }
  writeRecord(stateFolder, command, [{ file: file.file, before, after: hashOf(text), client }])
  return await changeFile(file.file, before?.hash, text, file.scope === 'project' ? 0o644 : 0o600)
}

/** The text of an entry as it was put into a file, if that is remembered. */
async function pieceOf(stateFolder: string, { file }: ClientFile, name: string): Promise<string | undefined> {
  for (const record of await readRecords(stateFolder))
    for (const { file: other, client } of record.files)
      for (const { added } of other === file ? (client?.edits ?? []) : [])
        if (added?.name === name) return added.piece
  return undefined
}
