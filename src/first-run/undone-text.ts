import { applicationOf } from '../client-files/applications/applications.ts'
import { loadFormat } from '../client-files/load-format.ts'
import { isOwnEntry } from '../client-files/own-entry.ts'
import { isSame } from '../config/source/differences.ts'
import type { NamedEntry } from '../client-files/formats/format.ts'
import type { RecordedFile } from './record.ts'

/** A client file that has changed since: its text without the entry of the gateway, and with what was taken out. */
export async function undoneText(
  { client }: RecordedFile,
  now: string,
  before: string | undefined,
): Promise<{ readonly text: string; readonly notes: readonly string[] }> {
  const notes: string[] = []
  let text = now
  if (!client) return { text, notes }
  const format = await loadFormat(client.syntax)
  for (const { section, moved, added } of client.edits) {
    const takeOut = (): void => {
      const there = format.entries(text, section).find(({ name }) => name === added?.name)
      if (!added || !there) return
      if (isGateway(client.application, there, added))
        text = format.remove(text, section, [added.name], added.piece)
      else notes.push(`The entry ${JSON.stringify(added.name)} stays: it is another server now.`)
    }
    // What was taken out may have the name of what was put in. Else a section never is without entries.
    const isSameName = added !== undefined && moved.includes(added.name)
    if (isSameName) takeOut()
    const names = new Set(format.entries(text, section).map(({ name }) => name))
    const old = before === undefined ? [] : format.entries(before, section)
    for (const entry of old.toReversed())
      if (moved.includes(entry.name) && !names.has(entry.name))
        text = format.insert(text, section, entry, before).text
    if (!isSameName) takeOut()
  }
  return { text, notes }
}

/** Whether an entry is still the one that was put in, or one of the gateway that took its place. */
function isGateway(application: string, { value }: NamedEntry, added: NamedEntry): boolean {
  if (isSame(value, added.value)) return true
  const read = applicationOf(application)?.read(value)
  if (!read || 'left' in read) return false
  return isOwnEntry(read.entry, addressOf(added.value))
}

/** The address that an entry names. An entry that starts the gateway needs none. */
function addressOf(value: unknown): { host: string; port: number } {
  const url = Object.values(value as object).find(text => typeof text === 'string' && URL.canParse(text))
  const { hostname, port } = new URL(url ?? 'http://127.0.0.1:0')
  return { host: hostname, port: Number(port) }
}
