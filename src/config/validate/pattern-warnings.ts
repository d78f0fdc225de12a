import { compilePatterns, ownForm, patternProblem, wildcard, type Prefixed } from '../../policy/pattern.ts'
import { isJsonObject } from '../../core/json-object.ts'
import { nearest } from './nearest.ts'
import { formatPath, valueAt, type Path } from '../problem.ts'
import { prefixesOf, serverNames } from './scope.ts'

/** A generated file may contain a hundred thousand patterns. */
const MAX_SHOWN = 20

interface LocatedPattern {
  readonly text: string
  readonly path: Path
}

/**
 * A warning for each of the first patterns without effect, because they match no server of the file or use names as
 * clients see them, and one with the number of the others.
 * @param file with its variables expanded, valid or not; invalid patterns are reported by `checkPolicies`
 */
export function patternWarnings(file: unknown): string[] {
  const servers = serverNames(file)
  if (servers.length === 0) return []
  const prefixed = prefixesOf(file)
  const warnings: string[] = []
  let more = 0
  for (const pattern of patternsOf(file)) {
    const { text } = pattern
    if (patternProblem(text, servers) !== undefined) continue
    const isIdle = !compilePatterns(text, servers).some(({ server }) => servers.some(server))
    const meant = isIdle ? undefined : meantBy(text, prefixed)
    if (!isIdle && meant === undefined) continue
    if (warnings.length === MAX_SHOWN) more++
    else warnings.push(meant === undefined ? warningOf(pattern, servers) : seenByClients(pattern, meant))
  }
  return more > 0 ? [...warnings, `${more} more patterns do nothing.`] : warnings
}

/**
 * The likely meaning of a pattern whose names begin with its server's prefix, as clients see them. A server may have
 * such names itself; then the pattern is correct, and the warning says so.
 */
function meantBy(text: string, prefixed: readonly Prefixed[]): string | undefined {
  const [, kind = '', server = '', name = ''] = /^(tool:|prompt:|resource:)?([^/]*)\/(.*)$/s.exec(text) ?? []
  const own = kind === 'resource:' ? undefined : ownForm(name, prefixed)
  return own && wildcard(server)(own.server) ? `${kind}${own.server}/${own.name}` : undefined
}

function seenByClients({ text, path }: LocatedPattern, meant: string): string {
  const location = `${formatPath(path)}: the pattern "${text}"`
  return `${location} has the name as clients see it, so it does nothing unless the server itself calls it so. Did you mean "${meant}"?`
}

function warningOf({ text, path }: LocatedPattern, servers: readonly string[]): string {
  const name = text.replace(/^(?:tool|prompt|resource):/, '').replace(/\/.*$/s, '')
  const near = nearest(name, servers)
  const fix =
    near === undefined ? `Servers are ${servers.slice(0, 10).join(', ')}.` : `Did you mean "${near}"?`
  return `${formatPath(path)}: the pattern "${text}" is about no server, so it does nothing. ${fix}`
}

/** Every text of a file at the location of a pattern. */
function patternsOf(file: unknown): LocatedPattern[] {
  const listed = (path: Path): LocatedPattern[] =>
    itemsAt(file, path).flatMap((text, at) =>
      typeof text === 'string' ? [{ text, path: [...path, at] }] : [],
    )
  const ofRules = (path: Path): LocatedPattern[] => [
    ...listed([...path, 'allow']),
    ...listed([...path, 'deny']),
    ...itemsAt(file, [...path, 'rules']).flatMap((_, at) => listed([...path, 'rules', at, 'match'])),
  ]
  const each = (section: string, of: (path: Path) => LocatedPattern[]): LocatedPattern[] =>
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
