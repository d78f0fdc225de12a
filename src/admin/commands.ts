import { keysThatDecide } from '../config/options/server.ts'
import { isSame } from '../config/source/differences.ts'
import { isJsonObject } from '../core/json-object.ts'

const PROGRAM_KEYS = keysThatDecide('program')
/** What is compared of an entry that has such a key. */
const COMPARED_KEYS = [...PROGRAM_KEYS, ...keysThatDecide('transport')]
const SECTIONS = ['mcpServers', 'servers']

/**
 * Locations in a changed configuration that define or change a program that the gateway starts, or that refer to
 * another file. Removing, disabling or enabling a program does not count.
 */
export function definedCommands(before: unknown, after: unknown): string[] {
  const [old, fresh] = [asObject(before), asObject(after)]
  const found = SECTIONS.flatMap(section =>
    changedIn(section, asObject(old[section]), asObject(fresh[section])),
  )
  // Input values are used in commands, and included files define servers.
  for (const key of ['inputs', 'include']) if (!isSame(old[key], fresh[key])) found.push(key)
  // An audit log or a state folder could be placed where a shell reads it.
  const [gateway, changed] = [asObject(old['gateway']), asObject(fresh['gateway'])]
  if (!isSame(asObject(gateway['audit'])['file'], asObject(changed['audit'])['file']))
    found.push('gateway.audit.file')
  if (!isSame(gateway['state'], changed['state'])) found.push('gateway.state')
  // A name server decides where the secrets of a server are sent.
  if (!isSame(asObject(gateway['dns'])['servers'], asObject(changed['dns'])['servers']))
    found.push('gateway.dns.servers')
  return found
}

function changedIn(
  section: string,
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(after).flatMap(([name, entry]) => {
    const known = Object.hasOwn(before, name) ? before[name] : undefined
    return startsOther(known, entry) ? [`${section}.${name}`] : []
  })
}

/** Replicas inherit from the entry, so a change of the entry affects all of them. */
function startsOther(before: unknown, after: unknown): boolean {
  const replicas = replicasOf(after)
  if (![after, ...replicas].some(startsProgram)) return false
  if (!isSame(programOf(before), programOf(after))) return true
  const known = replicasOf(before).map(programOf)
  if (known.length > 0 !== replicas.length > 0) return true
  return replicas.some(replica => !known.some(program => isSame(program, programOf(replica))))
}

function startsProgram(entry: unknown): boolean {
  const object = asObject(entry)
  return PROGRAM_KEYS.some(key => object[key] !== undefined)
}

function programOf(entry: unknown): object {
  const object = asObject(entry)
  return Object.fromEntries(COMPARED_KEYS.map(key => [key, object[key]]))
}

function replicasOf(entry: unknown): readonly unknown[] {
  const { replicas } = asObject(entry)
  return Array.isArray(replicas) ? replicas : []
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return isJsonObject(value) ? value : {}
}
