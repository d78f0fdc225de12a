import { existsSync } from 'node:fs'
import { unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { NotEditable, NotReadable } from '../client-files/formats/format.ts'
import { utf8Of } from '../config/load/utf8.ts'
import { whyUnreadable } from '../regular-file.ts'
import { changeFile, type FileOutcome } from './change-file.ts'
import { readContent, type FileContent } from './find.ts'
import { keepFiles, readCopy, type RecordedFile, type UndoRecord } from './record.ts'
import { undoneText } from './undone-text.ts'

/** What undoing a record would do to one of its files. */
export interface UndoStep {
  readonly recorded: RecordedFile
  /**
   * `restore`: it gets the bytes that it had. `again`: it is away, and is made again. `remove`: it was made, and is
   * removed. `edit`: it has changed since, so the entry of the gateway is taken out, and those that were moved are put
   * back. `nothing`: it is as it was before. `keep`: a configuration that has changed since stays, and is forgotten.
   * `blocked`: it cannot be undone now, for the reason, and stays in the record.
   */
  readonly kind: 'restore' | 'again' | 'remove' | 'edit' | 'nothing' | 'keep' | 'blocked'
  readonly reason?: string
}

/**
 * What undoing a record would do, in the order in which it is done: the reverse of the order in which it was written.
 */
export async function undoSteps(record: UndoRecord): Promise<UndoStep[]> {
  return (await Promise.all(record.files.map(stepOf))).toReversed()
}

async function stepOf(recorded: RecordedFile): Promise<UndoStep> {
  const { file, before, after, client } = recorded
  const now = await contentOf(file)
  if (typeof now === 'string') return { recorded, kind: 'blocked', reason: `was not read: ${now}` }
  if ((now?.hash ?? null) === before) return { recorded, kind: 'nothing' }
  if (now?.hash === after) return { recorded, kind: before === null ? 'remove' : 'restore' }
  if (!now)
    return existsSync(dirname(file))
      ? { recorded, kind: 'again' }
      : { recorded, kind: 'blocked', reason: 'is not there any more, nor is its folder' }
  if (!client) return { recorded, kind: 'keep', reason: 'has changed since, and stays as it is' }
  return { recorded, kind: 'edit' }
}

/** `undefined` when there is no such file; a text that says why it cannot be read. */
async function contentOf(file: string): Promise<FileContent | undefined | string> {
  try {
    return await readContent(file)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : whyUnreadable(error)
  }
}

export interface Undone {
  readonly step: UndoStep
  readonly outcome: FileOutcome | { readonly state: 'unchanged' }
  /** What was left in a file that was changed: whole sentences. */
  readonly notes: readonly string[]
}

/**
 * Undoes a record, and forgets of it what is undone. What could not be undone stays in the record. The configuration
 * stays until every client file is undone: an entry that is still there starts a gateway that needs it.
 */
export async function undo(
  stateFolder: string,
  record: UndoRecord,
  steps: readonly UndoStep[],
  isStopped: () => boolean,
): Promise<Undone[]> {
  const undone: Undone[] = []
  for (const step of steps) undone.push(await undoStep(stateFolder, record, step, undone, isStopped))
  const left = undone.filter(isLeft).map(({ step }) => step.recorded)
  keepFiles(stateFolder, record, left.toReversed())
  return undone
}

/** Whether a file stays in the record. */
export function isLeft({ step, outcome }: Undone): boolean {
  return outcome.state === 'left' && step.kind !== 'keep'
}

async function undoStep(
  stateFolder: string,
  record: UndoRecord,
  step: UndoStep,
  before: readonly Undone[],
  isStopped: () => boolean,
): Promise<Undone> {
  const left = (reason: string): Undone => ({ step, outcome: { state: 'left', reason }, notes: [] })
  const { recorded, kind, reason } = step
  if (isStopped()) return left('was not reached: the command was stopped')
  if (kind === 'keep' || kind === 'blocked') return left(reason ?? 'stays')
  if (kind === 'nothing') return { step, outcome: { state: 'unchanged' }, notes: [] }
  if (!recorded.client && before.some(isLeft))
    return left('stays, because an entry that starts the gateway may still need it')
  try {
    return { step, ...(await changedBack(stateFolder, record, step)) }
  } catch (error) {
    if (error instanceof NotEditable || error instanceof NotReadable) return left(error.message)
    return left(`was not changed back: ${whyUnreadable(error)}`)
  }
}

/** @throws NotReadable, NotEditable; the error of the file system */
async function changedBack(
  stateFolder: string,
  record: UndoRecord,
  { recorded, kind }: UndoStep,
): Promise<Omit<Undone, 'step'>> {
  const { file, copy, after } = recorded
  if (kind === 'remove') return { outcome: await removeFile(file, after), notes: [] }
  const before = copy === null ? undefined : await readCopy(stateFolder, record, copy)
  if (before && kind !== 'edit')
    return { outcome: await changeFile(file, kind === 'again' ? undefined : after, before), notes: [] }
  const now = await readContent(file)
  const { text, notes } = await undoneText(recorded, now.text, before && utf8Of(before))
  const outcome: Undone['outcome'] =
    text === now.text ? { state: 'unchanged' } : await changeFile(file, now.hash, text)
  return { outcome, notes }
}

async function removeFile(file: string, after: string): Promise<Undone['outcome']> {
  if ((await readContent(file)).hash !== after) return { state: 'left', reason: 'has changed meanwhile' }
  await unlink(file)
  return { state: 'changed' }
}
