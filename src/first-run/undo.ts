import { unlink } from 'node:fs/promises'
import { applicationOf } from '../client-files/applications/applications.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { NotEditable, NotReadable } from '../client-files/formats/format.ts'
import { utf8Of } from '../config/load/utf8.ts'
import { changeFile, type FileOutcome } from './change-file.ts'
import { readContent, type FileContent } from './find.ts'
import { keepFiles, readCopy, type RecordedFile, type UndoRecord } from './record.ts'

/** What undoing a record would do to one of its files. */
export interface UndoStep {
  readonly recorded: RecordedFile
  readonly title: string
  /**
   * `restore`: it gets the bytes that it had. `remove`: it was made, and is removed. `edit`: it has changed since, so
   * the entry of the gateway is taken out, and those that were moved are put back. `nothing`: it is as it was before.
   * `keep`: it stays as it is, for the reason.
   */
  readonly kind: 'restore' | 'remove' | 'edit' | 'nothing' | 'keep'
  readonly reason?: string
}

/** What undoing a record would do. */
export async function undoSteps(record: UndoRecord): Promise<UndoStep[]> {
  return await Promise.all(record.files.map(stepOf))
}

async function stepOf(recorded: RecordedFile): Promise<UndoStep> {
  const { file, before, after, client } = recorded
  const title = client ? (applicationOf(client.application)?.title ?? client.application) : 'mcp-manifold'
  const now = await contentOf(file)
  const step = (kind: UndoStep['kind'], reason?: string): UndoStep => ({
    recorded,
    title,
    kind,
    ...(reason !== undefined && { reason }),
  })
  if (typeof now === 'string') return step('keep', now)
  if ((now?.hash ?? null) === before) return step('nothing')
  if (now?.hash === after) return step(before === null ? 'remove' : 'restore')
  if (!now) return step('keep', 'is not there any more')
  if (!client) return step('keep', 'has changed since, and stays as it is')
  return step('edit')
}

/** `undefined` when there is no such file; a text that says why it cannot be read. */
async function contentOf(file: string): Promise<FileContent | undefined | string> {
  try {
    return await readContent(file)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : `cannot be read: ${message}`
  }
}

export interface Undone {
  readonly step: UndoStep
  readonly outcome: FileOutcome | { readonly state: 'unchanged' }
}

/** Undoes a record, and forgets of it what is undone. A file that cannot be written stays in the record. */
export async function undo(
  stateFolder: string,
  record: UndoRecord,
  steps: readonly UndoStep[],
  isStopped: () => boolean,
): Promise<Undone[]> {
  const undone: Undone[] = []
  for (const step of steps) {
    const outcome: Undone['outcome'] = isStopped()
      ? { state: 'left', reason: 'was not reached: the command was stopped' }
      : await undoStep(stateFolder, record, step)
    undone.push({ step, outcome })
  }
  const left = undone.filter(({ step, outcome }) => outcome.state === 'left' && step.kind !== 'keep')
  keepFiles(
    stateFolder,
    record,
    left.map(({ step }) => step.recorded),
  )
  return undone
}

async function undoStep(stateFolder: string, record: UndoRecord, step: UndoStep): Promise<Undone['outcome']> {
  const { recorded, kind, reason } = step
  const { file, copy, after } = recorded
  if (kind === 'nothing') return { state: 'unchanged' }
  if (kind === 'keep') return { state: 'left', reason: reason ?? 'stays' }
  if (kind === 'remove') return await removeFile(file, after)
  try {
    const before = copy === null ? undefined : await readCopy(stateFolder, record, copy)
    if (kind === 'restore' && before) return await changeFile(file, after, before)
    const now = await readContent(file)
    const text = await editedBack(recorded, now.text, before === undefined ? undefined : utf8Of(before))
    return text === now.text ? { state: 'unchanged' } : await changeFile(file, now.hash, text)
  } catch (error) {
    if (error instanceof NotEditable || error instanceof NotReadable)
      return { state: 'left', reason: error.message }
    return { state: 'left', reason: `cannot be changed: ${(error as Error).message}` }
  }
}

async function removeFile(file: string, after: string): Promise<Undone['outcome']> {
  try {
    if ((await readContent(file)).hash !== after) return { state: 'left', reason: 'has changed meanwhile' }
    await unlink(file)
    return { state: 'changed' }
  } catch (error) {
    return { state: 'left', reason: `cannot be removed: ${(error as Error).message}` }
  }
}

/** The text without the entry of the gateway, and with the entries that were taken out. */
async function editedBack(
  { client }: RecordedFile,
  now: string,
  before: string | undefined,
): Promise<string> {
  if (!client) return now
  const format = await loadFormat(client.syntax)
  let text = now
  for (const { section, moved, added, piece } of client.edits) {
    const old = before === undefined ? [] : format.entries(before, section)
    const there = new Set(format.entries(text, section).map(({ name }) => name))
    for (const entry of old.toReversed())
      if (moved.includes(entry.name) && !there.has(entry.name))
        text = format.insert(text, section, entry).text
    if (added !== undefined) text = format.remove(text, section, [added], piece)
  }
  return text
}
