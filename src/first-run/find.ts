import { createHash } from 'node:crypto'
import { lstatSync } from 'node:fs'
import { isOwnEntry } from '../client-files/own-entry.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { NotReadable } from '../client-files/formats/format.ts'
import { utf8Of } from '../config/load/utf8.ts'
import { readRegularFile, whyUnreadable } from '../regular-file.ts'
import { realPath, whyOther } from './gateway-entry.ts'
import { withOwnPaths } from './own-paths.ts'
import type { Application, ClientFile, Machine } from '../client-files/applications/application.ts'
import type { Format } from '../client-files/formats/format.ts'
import type { ListenAddress } from '../config/validate/self-reference.ts'
import type { JsonObject } from '../core/exchange.ts'

/** What is in the client files of a machine. */

/** A server in a client file, in the form of the gateway. */
export interface ClientServer {
  readonly name: string
  readonly entry: JsonObject
  readonly dropped: readonly string[]
}

/** The content of a file at one time. */
export interface FileContent {
  readonly bytes: Buffer
  readonly text: string
  readonly hash: string
}

/** A client file that is there. */
export interface FoundFile extends ClientFile {
  readonly application: Application
  readonly format: Format
  /** `undefined` for a file that cannot be read. */
  readonly content: FileContent | undefined
  /** Why nothing of it can be used; the part of a sentence that follows its name. */
  readonly problem?: string
  readonly servers: readonly ClientServer[]
  /** Entries that stay, each with its reason. */
  readonly left: readonly { readonly name: string; readonly reason: string }[]
  /** Names of entries that are a gateway of this program. */
  readonly own: readonly string[]
  /** Those of them that are on, and offer the servers of the configuration. */
  readonly inPlace: readonly string[]
  /** Those of them that are off. */
  readonly off: readonly string[]
  /** Names of all entries. */
  readonly names: readonly string[]
}

/** More were not written by people. */
const MOST_ENTRIES = 1000

/** Reads every client file that is there, each once for each of its sections. */
export async function findFiles(
  applications: readonly Application[],
  reading: ClientReading,
): Promise<FoundFile[]> {
  const found: FoundFile[] = []
  const seen = new Set<string>()
  for (const application of applications)
    for (const file of application.files(reading.machine)) {
      // In the home directory, files of the project are those of the user. A link may lead to a file that was read.
      const place = [realPath(file.file), ...file.section.path].join('\0')
      if (seen.has(place)) continue
      seen.add(place)
      const read = await readClientFile(application, file, reading)
      if (read) found.push(read)
    }
  return found
}

/** What client files are read with. */
export interface ClientReading {
  readonly machine: Machine
  readonly address: ListenAddress
  /** The configuration that an entry of the gateway has to have; absolute. */
  readonly configFile: string
}

/** `undefined` when there is no such file. */
export async function readClientFile(
  application: Application,
  file: ClientFile,
  { machine, address, configFile }: ClientReading,
): Promise<FoundFile | undefined> {
  if (!isThere(file.file)) return undefined
  const format = await loadFormat(file.syntax)
  const nothing = {
    ...file,
    application,
    format,
    servers: [],
    left: [],
    own: [],
    inPlace: [],
    off: [],
    names: [],
  }
  let content: FileContent
  try {
    content = await readContent(file.file)
  } catch (error) {
    return { ...nothing, content: undefined, problem: `was not read: ${whyUnreadable(error)}` }
  }
  try {
    const entries = format.entries(content.text, file.section)
    if (entries.length > MOST_ENTRIES)
      return { ...nothing, content, problem: `has more than ${MOST_ENTRIES} servers` }
    const servers: ClientServer[] = []
    const left: { name: string; reason: string }[] = []
    const own: string[] = []
    const inPlace: string[] = []
    const off: string[] = []
    for (const { name, value } of entries) {
      const read = application.read(value, machine.env)
      if ('left' in read) left.push({ name, reason: read.left })
      else if (isOwnEntry(read.entry, address)) {
        own.push(name)
        const other = whyOther(read.entry, configFile, machine)
        if (other !== undefined) left.push({ name, reason: other })
        else if (read.entry['disabled'] === true) off.push(name)
        else inPlace.push(name)
      } else servers.push({ name, entry: withOwnPaths(read.entry, file, machine), dropped: read.dropped })
    }
    return { ...nothing, content, servers, left, own, inPlace, off, names: entries.map(({ name }) => name) }
  } catch (error) {
    if (!(error instanceof NotReadable)) throw error
    return { ...nothing, content, problem: error.message }
  }
}

/** @throws the error of the file system, or that of a text that is not UTF-8 */
export async function readContent(file: string): Promise<FileContent> {
  const bytes = await readRegularFile(file)
  return { bytes, text: utf8Of(bytes), hash: hashOf(bytes) }
}

export function hashOf(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Also a link to nothing. */
function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}
