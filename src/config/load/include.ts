import { stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isJsonObject } from '../../core/json-object.ts'
import { GatewayError } from '../../core/errors.ts'
import { wildcard } from '../../policy/pattern.ts'
import { absolutePath } from '../paths.ts'
import { IGNORED_ROOT_KEYS } from '../options/foreign-keys.ts'
import { entriesOf, INCLUDED_SECTIONS, partOf, type Part, type Parts } from './parts.ts'
import { MAX_FILE_BYTES } from '../../regular-file.ts'
import type { FilesRead } from './files-read.ts'
import { parse, readText } from './read-text.ts'
import type { Path, Problem } from '../problem.ts'

/** Maximum number of files that one configuration includes. */
const MAX_INCLUDED = 256

const ALLOWED: readonly string[] = [
  '$schema',
  'inputs',
  ...INCLUDED_SECTIONS,
  ...Object.keys(IGNORED_ROOT_KEYS),
]

export interface IncludeContext {
  readonly cwd: string
  readonly home: string
  readonly files: FilesRead
}

/**
 * Reads the included files of a configuration: each named file, each `*.json` and `*.jsonc` of a folder, and each file
 * that matches a pattern; by name within a folder. A file that is named twice is read once.
 * @param include the value of the key, variables expanded; a value of an invalid form includes nothing
 * @throws GatewayError `config` for a file that cannot be read or is not JSON, and for too many files
 */
export async function includedParts(
  main: Part,
  include: unknown,
  { cwd, home, files }: IncludeContext,
): Promise<Part[]> {
  const entries = (Array.isArray(include) ? (include as unknown[]) : [include]).filter(
    entry => typeof entry === 'string' && entry !== '',
  ) as string[]
  const paths = new Set<string>()
  for (const entry of entries)
    for (const path of await filesAt(absolutePath(entry, main.folder, home), main, files)) paths.add(path)
  if (main.file !== undefined) paths.delete(main.file)
  const refuse = (why: string): never => {
    throw new GatewayError('config', `${titleOf(main)} was not loaded: ${why}`)
  }
  if (paths.size > MAX_INCLUDED)
    refuse(`"include" names ${paths.size} files, and ${MAX_INCLUDED} is the most. Join some of them.`)
  const parts: Part[] = []
  let bytes = Buffer.byteLength(main.text ?? '')
  for (const file of paths) {
    const text = await readText(file, files, `"include" in ${main.file ?? 'the configuration'}`)
    bytes += Buffer.byteLength(text)
    if (bytes > MAX_FILE_BYTES)
      refuse(`with the files it includes it has more than ${MAX_FILE_BYTES} bytes, which is the most.`)
    parts.push(partOf(await parse(text, file), { file, text, folder: dirname(file), cwd }))
  }
  return parts
}

async function filesAt(path: string, main: Part, files: FilesRead): Promise<string[]> {
  const name = basename(path)
  const isPattern = /[*?]/.test(name)
  if (!isPattern && !(await isFolder(path))) return [path]
  const folder = isPattern ? dirname(path) : path
  try {
    const names = await files.list(folder)
    // `*` and `?` as in the patterns of policies, within one name.
    const matches = isPattern ? wildcard(name) : undefined
    return names.filter(found => matches?.(found) ?? true).map(found => join(folder, found))
  } catch (cause) {
    const code = (cause as { code?: unknown }).code
    const why =
      code === 'ENOENT'
        ? `there is no folder ${folder}`
        : `the folder ${folder} cannot be read (${String(code)})`
    throw new GatewayError('config', `${titleOf(main)} was not loaded: ${why}. Correct "include".`, { cause })
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    found => found.isDirectory(),
    () => false,
  )
}

function titleOf({ file }: Part): string {
  return file === undefined ? 'The configuration' : `The configuration ${file}`
}

/** Problems of included files: keys that belong in the main file, and entries that another file has as well. */
export function includeProblems(parts: Parts): Problem[] {
  const owners = new Map<string, { readonly part: Part; readonly path: Path }>()
  const keyOf = ([section, name]: Path): string =>
    `${section === 'servers' ? 'mcpServers' : section}\0${name}`
  for (const path of entriesOf(parts.main.adopted.value)) owners.set(keyOf(path), { part: parts.main, path })
  return parts.included.flatMap(part => {
    const problems: Problem[] = wrongKeys(part.adopted.value)
    for (const path of entriesOf(part.adopted.value)) {
      const owner = owners.get(keyOf(path))
      if (!owner) owners.set(keyOf(path), { part, path })
      else if (owner.part !== part)
        problems.push({
          path,
          about: 'key',
          cause: `is also in ${owner.part.file ?? 'the configuration itself'}`,
          fix: 'Remove one of the two, or give it another name.',
          ofFile: true,
        })
    }
    return parts.own(part, problems)
  })
}

function wrongKeys(value: unknown): Problem[] {
  if (!isJsonObject(value)) return [{ path: [], cause: 'expected an object', ofFile: true }]
  const list = INCLUDED_SECTIONS.map(section => `"${section}"`).join(', ')
  return Object.entries(value).flatMap(([key, child]): Problem[] => {
    const path = [key]
    if (key === 'include')
      return [
        {
          path,
          about: 'key',
          cause: 'is in a file that is included itself',
          fix: 'Name the files in the main one.',
        },
      ]
    if (!ALLOWED.includes(key))
      return [{ path, about: 'key', cause: 'cannot be included', fix: `An included file may have ${list}.` }]
    const isSection = (INCLUDED_SECTIONS as readonly string[]).includes(key)
    return isSection && !isJsonObject(child) ? [{ path, cause: 'expected an object' }] : []
  })
}
