import { compilePatterns, patternProblem } from '../policy/pattern.ts'
import { isJsonObject } from '../core/json-object.ts'
import { nearest } from './nearest.ts'
import { formatPath, valueAt, type Path } from './problem.ts'
import { serverNames } from './scope.ts'

/** A file made by a program may have a hundred thousand of them. */
const MAX_SHOWN = 20

interface PlacedPattern {
  readonly text: string
  readonly path: Path
}

/**
 * A sentence for each of the first patterns that are about no server of the file, which do nothing, and one for the number of the others.
 * @param file with its variables expanded, sound or not: what is no pattern is left to the rules
 */
export function patternWarnings(file: unknown): string[] {
  const servers = serverNames(file)
  if (servers.length === 0) return []
  const idle = patternsOf(file).filter(
    ({ text }) =>
      patternProblem(text, servers) === undefined &&
      !compilePatterns(text, servers).some(pattern => servers.some(pattern.server)),
  )
  const warnings = idle.slice(0, MAX_SHOWN).map(pattern => warningOf(pattern, servers))
  const more = idle.length - MAX_SHOWN
  return more > 0 ? [...warnings, `${more} more patterns are about no server, so they do nothing.`] : warnings
}

function warningOf({ text, path }: PlacedPattern, servers: readonly string[]): string {
  const name = text.replace(/^(?:tool|prompt|resource):/, '').replace(/\/.*$/s, '')
  const near = nearest(name, servers)
  const fix =
    near === undefined ? `Servers are ${servers.slice(0, 10).join(', ')}.` : `Did you mean "${near}"?`
  return `${formatPath(path)}: the pattern "${text}" is about no server, so it does nothing. ${fix}`
}

/** Every text of a file that stands where a pattern does. */
function patternsOf(file: unknown): PlacedPattern[] {
  const listed = (path: Path): PlacedPattern[] =>
    itemsAt(file, path).flatMap((text, at) =>
      typeof text === 'string' ? [{ text, path: [...path, at] }] : [],
    )
  const ofRules = (path: Path): PlacedPattern[] => [
    ...listed([...path, 'allow']),
    ...listed([...path, 'deny']),
    ...itemsAt(file, [...path, 'rules']).flatMap((_, at) => listed([...path, 'rules', at, 'match'])),
  ]
  const each = (section: string, of: (path: Path) => PlacedPattern[]): PlacedPattern[] =>
    keysAt(file, [section]).flatMap(name => of([section, name]))
  return [
    ...ofRules(['gateway', 'policy']),
    ...each('roles', ofRules),
    ...each('clients', ofRules),
    ...each('profiles', path => listed([...path, 'tools'])),
    ...each('clients', path =>
      keysAt(file, [...path, 'limits']).map(text => ({ text, path: [...path, 'limits', text] })),
    ),
  ]
}

function itemsAt(file: unknown, path: Path): readonly unknown[] {
  const found = valueAt(file, path)
  return Array.isArray(found) ? found : []
}

function keysAt(file: unknown, path: Path): string[] {
  const found = valueAt(file, path)
  return isJsonObject(found) ? Object.keys(found) : []
}
