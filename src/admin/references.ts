import { formatPath, type Path } from '../config/problem.ts'
import { isJsonObject } from '../core/json-object.ts'
import { addressesOf, isMoved } from './addresses.ts'

/**
 * Variables that stand for secrets: the text of a file, the default of an input, an entry of the keyring, and what a
 * program prints, which also must not run. Variables of the environment do not count.
 */
const REFERENCE = /\$\{(?:file|input|exec|keyring):/
const SECTIONS = ['mcpServers', 'servers']

interface Reference {
  readonly path: Path
  /** The place and the text. A place in a replica has its addresses in place of its index. */
  readonly id: string
}

/** Locations of references that are new, or that lie in a server whose address changes. */
export function movedReferences(before: unknown, after: unknown): string[] {
  const known = new Set(referencesIn(before).map(({ id }) => id))
  const moved = new Set(SECTIONS.flatMap(section => movedServers(section, before, after)))
  return referencesIn(after)
    .filter(({ id, path }) => !known.has(id) || moved.has(serverId(path[0], path[1])))
    .map(({ path }) => formatPath(path))
}

function movedServers(section: string, before: unknown, after: unknown): string[] {
  const [old, fresh] = [before, after].map(config => childOf(config, section))
  return isJsonObject(fresh)
    ? Object.entries(fresh).flatMap(([name, entry]) =>
        isMoved(childOf(old, name), entry) ? [serverId(section, name)] : [],
      )
    : []
}

function serverId(section: unknown, name: unknown): string {
  return JSON.stringify([section, name])
}

function referencesIn(config: unknown): Reference[] {
  const found: Reference[] = []
  const visit = (value: unknown, path: Path, place: readonly unknown[]): void => {
    if (typeof value === 'string') {
      if (REFERENCE.test(value)) found.push({ path, id: JSON.stringify([place, value]) })
    } else if (Array.isArray(value)) {
      const isReplicas = path.length === 3 && path[2] === 'replicas'
      value.forEach((item, at) =>
        visit(item, [...path, at], [...place, isReplicas ? [addressesOf(item)] : ['*']]),
      )
    } else if (isJsonObject(value))
      for (const [key, child] of Object.entries(value)) visit(child, [...path, key], [...place, key])
  }
  visit(config, [], [])
  return found
}

function childOf(value: unknown, key: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}
