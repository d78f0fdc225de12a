import { stat } from 'node:fs/promises'
import { NotEditable } from '../client-files/formats/format.ts'
import { GatewayError } from '../core/errors.ts'
import { changeFile, type FileOutcome } from './change-file.ts'
import { freeEntryName } from './entry-name.ts'
import { withServers, type OwnConfig } from './config-file.ts'
import { hashOf, type FoundFile } from './find.ts'
import { writeRecord, type FileChange, type RecordedEdit } from './record.ts'
import { KEYRING_SERVICE, otherSecretPlaces, secretsIn, withReferences } from './secrets.ts'
import type { OwnEntry } from '../client-files/applications/application.ts'
import type { MergedServer } from './merge.ts'
import { sourceKey, type Plan } from './plan.ts'
import type { JsonObject } from '../core/exchange.ts'

/** What a plan is carried out with. */
export interface Applying {
  readonly plan: Plan
  readonly config: OwnConfig
  readonly files: readonly FoundFile[]
  readonly servers: readonly MergedServer[]
  readonly stateFolder: string
  /** The command, for the record. */
  readonly command: string
  ownEntry(file: FoundFile): OwnEntry
  /** Stores a secret in the keyring. May reject. */
  storeSecret(account: string, secret: string): Promise<void>
  /** Whether to stop before the next file. */
  isStopped(): boolean
}

export interface Applied {
  /** Names of the servers that the configuration has now. */
  readonly added: readonly string[]
  readonly config: FileOutcome | { readonly state: 'unchanged' }
  /** Names of secrets that are in the keyring now. */
  readonly stored: readonly string[]
  readonly files: readonly AppliedFile[]
  /** Whether there is something to undo. */
  readonly isRecorded: boolean
  /** Whether the configuration has secrets now, and other users of the machine may read it. */
  readonly isReadByOthers: boolean
}

export interface AppliedFile {
  readonly file: string
  readonly title: string
  readonly outcome: FileOutcome
  /** What to paste by hand where the file could not be changed. */
  readonly snippet?: string
}

/** The new text of a client file. */
interface NewText {
  readonly file: FoundFile
  text: string
  readonly edits: RecordedEdit[]
}

/** Carries out a plan: the record first, then the configuration, then each client file, each as a whole. */
export async function applyPlan(applying: Applying): Promise<Applied> {
  const { plan, config, servers, stateFolder } = applying
  const taken = servers.filter(({ name }) => plan.servers.some(server => server.name === name && server.take))
  const added: Record<string, JsonObject> = {}
  const secrets = new Map<string, string>()
  for (const { name, entry, isKnown } of taken) {
    if (isKnown) continue
    const stored =
      plan.options.secrets === 'keyring' ? withReferences(name, entry) : { entry, secrets: new Map() }
    added[name] = stored.entry
    for (const [account, secret] of stored.secrets) secrets.set(account, secret)
  }
  const names = Object.keys(added)
  const configText = names.length > 0 ? withServers(config, added) : undefined
  const { texts, refused } = newTexts(applying, new Set(taken.flatMap(({ from }) => from.map(sourceKey))))

  const changes: FileChange[] = [
    ...(configText === undefined
      ? []
      : [{ file: config.file, before: config.before, after: hashOf(configText) }]),
    ...texts.map(changeOf),
  ]
  const hasSecrets = Object.values(added).some(
    entry => secretsIn(entry).length + otherSecretPlaces(entry).length > 0,
  )
  const result = {
    added: names,
    stored: [...secrets.keys()],
    isRecorded: changes.length > 0,
    isReadByOthers: hasSecrets && config.before !== undefined && (await isReadable(config.file)),
  }
  if (changes.length === 0) return { ...result, config: { state: 'unchanged' }, files: refused }
  await store(secrets, applying)
  writeRecord(stateFolder, applying.command, changes)

  let written: Applied['config'] = { state: 'unchanged' }
  if (configText !== undefined) {
    written = await changeFile(config.file, config.before?.hash, configText)
    // Without its servers in the configuration, an entry must stay where it is.
    if (written.state !== 'changed') return { ...result, config: written, files: refused }
  }
  const files: AppliedFile[] = [...refused]
  for (const { file, text } of texts) {
    const outcome: FileOutcome = applying.isStopped()
      ? { state: 'left', reason: 'was not reached: the command was stopped' }
      : await changeFile(file.file, file.content?.hash, text)
    files.push({ file: file.file, title: file.application.title, outcome })
  }
  return { ...result, config: written, files }
}

/** The new texts of client files; two sections of one file are one text. */
function newTexts(
  { plan, files, ownEntry }: Applying,
  taken: ReadonlySet<string>,
): { texts: NewText[]; refused: AppliedFile[] } {
  const texts = new Map<string, NewText>()
  const refused: AppliedFile[] = []
  for (const file of files) {
    const moved = file.servers.filter(({ name }) => taken.has(sourceKey({ file: file.file, name })))
    if (!isWished(plan, file) || moved.length === 0 || !file.content) continue
    const { application, format, section, inPlace, off, names } = file
    const name = inPlace[0] ?? off[0] ?? freeEntryName(plan.options.name, names)
    const entry = { name, value: application.write(ownEntry(file), name) }
    const before = texts.get(file.file)?.text ?? file.content.text
    try {
      const servers = moved.map(server => server.name)
      // An entry of the gateway that is off is replaced by one that is on.
      const old = inPlace.length > 0 ? [] : off
      const inserted =
        inPlace.length > 0 ? undefined : format.insert(format.remove(before, section, old), section, entry)
      const text = format.remove(inserted?.text ?? before, section, servers)
      const edit = {
        section,
        moved: [...old, ...servers],
        ...(inserted && { added: { ...entry, piece: inserted.piece } }),
      }
      const known = texts.get(file.file)
      if (known) {
        known.text = text
        known.edits.push(edit)
      } else texts.set(file.file, { file, text, edits: [edit] })
    } catch (error) {
      if (!(error instanceof NotEditable)) throw error
      refused.push({
        file: file.file,
        title: application.title,
        outcome: { state: 'left', reason: error.message },
        snippet: format.snippet(section, entry),
      })
    }
  }
  return { texts: [...texts.values()], refused }
}

function isWished({ files }: Plan, { file, section }: FoundFile): boolean {
  const path = section.path.join('\0')
  return files.some(planned => planned.change && planned.file === file && planned.section.join('\0') === path)
}

function changeOf({ file, text, edits }: NewText): FileChange {
  const { content, application, syntax } = file
  return {
    file: file.file,
    before: content,
    after: hashOf(text),
    client: { application: application.id, syntax, edits },
  }
}

async function store(secrets: ReadonlyMap<string, string>, { storeSecret }: Applying): Promise<void> {
  for (const [account, secret] of secrets) {
    try {
      await storeSecret(account, secret)
    } catch (error) {
      throw new GatewayError(
        'config',
        `The secret ${account} was not stored in the keyring (service ${KEYRING_SERVICE}): ${(error as Error).message}. Nothing was changed. Unlock the keyring, or leave out --secrets keyring.`,
      )
    }
  }
}

/** Whether the mode of a file lets others than its user read it. A new one is made without. */
async function isReadable(file: string): Promise<boolean> {
  if (process.platform === 'win32') return false
  return await stat(file).then(
    ({ mode }) => (mode & 0o044) !== 0,
    () => false,
  )
}
