import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isJsonObject } from '../core/json-object.ts'
import { makeFolder } from '../make-folder.ts'
import { readRegularFile } from '../regular-file.ts'
import type { ClientFile } from '../client-files/applications/application.ts'
import type { JsonObject } from '../core/exchange.ts'

/** Records of changed files, which are undone by them: what each file was before, to the byte. */

/** What was done in one section of a client file. */
export interface RecordedEdit {
  readonly section: ClientFile['section']
  /** Entries that were taken out. */
  readonly moved: readonly string[]
  /** The entry that was put in. */
  readonly added?: AddedEntry
}

/** An entry as it was put into a file, and its text there. */
export interface AddedEntry {
  readonly name: string
  readonly value: JsonObject
  readonly piece: string
}

/** One file of a record. */
export interface RecordedFile {
  readonly file: string
  /** Name of the copy beside the record; `null` where there was no file. */
  readonly copy: string | null
  readonly before: string | null
  /** Hash of what was written. */
  readonly after: string
  /** What was done to a client file; not for the configuration of the gateway. */
  readonly client?: {
    readonly application: string
    readonly syntax: ClientFile['syntax']
    readonly edits: readonly RecordedEdit[]
  }
}

export interface UndoRecord {
  readonly version: 1
  readonly id: string
  readonly time: string
  /** The command, as typed. */
  readonly command: string
  readonly files: readonly RecordedFile[]
}

const FOLDER = 'undo'
const NAME = 'record.json'
/** Older ones are removed when there are more. */
const MOST = 50

/** A file that will be changed. */
export interface FileChange extends Omit<RecordedFile, 'copy' | 'before'> {
  readonly before: { readonly bytes: Buffer; readonly hash: string } | undefined
}

/**
 * Writes a record before its files are changed. Only this user can read it, since the files may contain secrets.
 * @throws the error of the file system
 */
export function writeRecord(
  stateFolder: string,
  command: string,
  changes: readonly FileChange[],
): UndoRecord {
  const now = new Date()
  // In the order of their names, records are in the order of time.
  const id = `${now.toISOString().replaceAll(':', '-')}-${randomUUID().slice(0, 8)}`
  const folder = join(stateFolder, FOLDER, id)
  makeFolder(join(stateFolder, FOLDER))
  const fresh = `${folder}.new`
  mkdirSync(fresh, { mode: 0o700 })
  const files = changes.map(({ before, ...change }, at): RecordedFile => {
    const copy = before ? `${at}.bytes` : null
    if (before) writeFileSync(join(fresh, `${at}.bytes`), before.bytes, { mode: 0o600, flag: 'wx' })
    return { ...change, copy, before: before?.hash ?? null }
  })
  const record: UndoRecord = { version: 1, id, time: now.toISOString(), command, files }
  writeFileSync(join(fresh, NAME), `${JSON.stringify(record, undefined, 2)}\n`, { mode: 0o600, flag: 'wx' })
  renameSync(fresh, folder)
  for (const old of idsIn(stateFolder).slice(0, -MOST)) removeRecord(stateFolder, old)
  return record
}

/** All records, the latest one first. One that cannot be read is left out. */
export async function readRecords(stateFolder: string): Promise<UndoRecord[]> {
  const records: UndoRecord[] = []
  for (const id of idsIn(stateFolder).toReversed()) {
    try {
      const text = (await readRegularFile(join(stateFolder, FOLDER, id, NAME))).toString('utf8')
      const value: unknown = JSON.parse(text)
      if (
        isJsonObject(value) &&
        value['version'] === 1 &&
        value['id'] === id &&
        Array.isArray(value['files'])
      )
        records.push(value as unknown as UndoRecord)
    } catch {
      // It was being removed, or is of another version.
    }
  }
  return records
}

/** What a file was before. @throws the error of the file system */
export async function readCopy(stateFolder: string, { id }: UndoRecord, copy: string): Promise<Buffer> {
  return await readRegularFile(join(stateFolder, FOLDER, id, copy))
}

/** Keeps only some files of a record; without any, removes it. */
export function keepFiles(stateFolder: string, record: UndoRecord, files: readonly RecordedFile[]): void {
  if (files.length === 0) return removeRecord(stateFolder, record.id)
  const path = join(stateFolder, FOLDER, record.id, NAME)
  writeFileSync(`${path}.new`, `${JSON.stringify({ ...record, files }, undefined, 2)}\n`, { mode: 0o600 })
  chmodSync(`${path}.new`, 0o600)
  renameSync(`${path}.new`, path)
}

function removeRecord(stateFolder: string, id: string): void {
  rmSync(join(stateFolder, FOLDER, id), { recursive: true, force: true })
}

function idsIn(stateFolder: string): string[] {
  try {
    return readdirSync(join(stateFolder, FOLDER))
      .filter(name => /^\d{4}-[\w.-]+Z-[\w-]+$/.test(name))
      .sort()
  } catch {
    return []
  }
}
