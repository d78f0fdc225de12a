import { nearest } from './nearest.ts'
import { otherSectionOf } from './other-sections.ts'
import { valueAt } from '../problem.ts'
import { checkRules } from './servers.ts'
import { checkConditions } from './policy.ts'
import { serversFile } from '../schema/file.ts'
import { looksLikeServer, serverNames, serverOfProblem } from './scope.ts'
import type { Path, Problem } from '../problem.ts'
import type { ServersFile } from '../options/file.ts'

interface Issue {
  readonly code?: string | undefined
  readonly path: readonly PropertyKey[]
  readonly message: string
  readonly keys?: readonly string[]
  readonly errors?: readonly (readonly Issue[])[]
  readonly issues?: readonly Issue[]
}

/** Maximum number of unknown keys that are compared with the valid ones; a message shows fewer. */
const MAX_SOUGHT = 1000

/** The valid key most likely meant by an unknown one, at its location or at another one. */
type Near = (path: Path, known: readonly string[]) => string | undefined

/** All problems of a file with expanded variables; with an empty list it can be resolved. */
export async function validate(file: unknown): Promise<Problem[]> {
  const result = serversFile.safeParse(file)
  const issues: readonly Issue[] = result.error?.issues ?? []
  let sought = 0
  const near: Near = (path, known) =>
    sought++ < MAX_SOUGHT ? (nearest(String(path.at(-1)), known) ?? otherSectionOf(path)) : undefined
  const problems = withMisplaced(
    file,
    issues.flatMap(issue => toProblems(issue, [], near)),
  )
  // An invalid server still exists, so that references to it can be checked.
  const unsound = new Set(
    problems.filter(problem => serverOfProblem(problem) === undefined).map(({ path }) => String(path[0])),
  )
  const rest = soundServers(file, problems)
  return [
    ...problems,
    ...checkRules(rest, { unsound, serverNames: serverNames(file) }),
    ...(await checkConditions(rest)),
  ]
}

/** For each misplaced server, one problem instead of an unknown key. */
function withMisplaced(file: unknown, problems: readonly Problem[]): Problem[] {
  const isUnknown = ({ path, about }: Problem): boolean => path.length === 1 && about === 'key'
  if (looksLikeServer(file)) return [SERVER_WITHOUT_NAME, ...problems.filter(problem => !isUnknown(problem))]
  const isMisplaced = (problem: Problem): boolean =>
    isUnknown(problem) && looksLikeServer(valueAt(file, problem.path))
  const names = problems.filter(isMisplaced).map(({ path }) => JSON.stringify(String(path[0]).slice(0, 60)))
  if (names.length === 0) return [...problems]
  return [misplacedServers(names), ...problems.filter(problem => !isMisplaced(problem))]
}

const SERVER_WITHOUT_NAME: Problem = {
  path: [],
  about: 'hidden value',
  cause: 'is the entry of one server without its name',
  fix: 'Put it under mcpServers and a name: { "mcpServers": { "name": { … } } }.',
}

/** @param names in quotes */
function misplacedServers(names: readonly string[]): Problem {
  const shown = names.length > 4 ? names.slice(0, 3) : names
  const last = names.length > 4 ? `${names.length - 3} more` : shown.at(-1)
  const others = names.length > 4 ? shown : shown.slice(0, -1)
  const list = others.length > 0 ? `${others.join(', ')} and ${last}` : last
  const entries = shown.map(name => `${name}: { … }`).join(', ')
  return {
    path: [],
    about: 'hidden value',
    cause: `has the server${names.length === 1 ? '' : 's'} ${list} outside of "mcpServers"`,
    fix: `Put ${names.length === 1 ? 'it' : 'these'} under mcpServers: { "mcpServers": { ${entries} } }.`,
  }
}

/** The servers that pass the schema, so that their other problems are reported in the same run. */
function soundServers(file: unknown, problems: readonly Problem[]): ServersFile {
  const unsound = new Set(problems.map(({ path }) => `${path[0]}\0${path[1]}`))
  const of = (root: 'mcpServers' | 'servers'): NonNullable<ServersFile['mcpServers']> => {
    const servers = valueAt(file, [root])
    if (typeof servers !== 'object' || servers === null || Array.isArray(servers)) return {}
    return Object.fromEntries(Object.entries(servers).filter(([name]) => !unsound.has(`${root}\0${name}`)))
  }
  return { ...sound(file, problems), mcpServers: of('mcpServers'), servers: of('servers') }
}

/** The other sections, as far as they pass the schema. */
function sound(file: unknown, problems: readonly Problem[]): ServersFile {
  const unsound = new Set(problems.map(({ path }) => path[0]))
  const sections = ['clients', 'roles', 'profiles', 'gateway'] as const
  return Object.fromEntries(sections.filter(key => !unsound.has(key)).map(key => [key, valueAt(file, [key])]))
}

function toProblems(issue: Issue, parent: Path, near: Near): Problem[] {
  const path = [...parent, ...issue.path.map(part => (typeof part === 'number' ? part : String(part)))]
  switch (issue.code) {
    case 'unrecognized_keys':
      return (issue.keys ?? []).map(key =>
        unknownKey([...path, key], near([...path, key], issue.message.split(' '))),
      )
    case 'invalid_key': {
      const cause = `is not a possible name: ${issue.issues?.[0]?.message ?? issue.message}`
      return [{ path, about: 'key', cause, ofFile: true }]
    }
    case 'invalid_union': {
      // The alternative of the right kind with inner errors is the intended one.
      const meant = issue.errors?.find(errors =>
        errors.every(error => error.path.length > 0 || error.code === 'unrecognized_keys'),
      )
      return meant ? meant.flatMap(error => toProblems(error, path, near)) : [{ path, cause: issue.message }]
    }
    default:
      return [{ path, cause: issue.message }]
  }
}

function unknownKey(path: Path, near: string | undefined): Problem {
  return {
    path,
    about: 'key',
    cause: 'is not a known key',
    kind: 'unknown key',
    fix:
      near === undefined
        ? 'Remove it, or see docs/configuration.md for the keys there are.'
        : `Did you mean "${near}"?`,
  }
}
