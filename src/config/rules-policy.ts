import { conditionCompiler } from '../policy/condition.ts'
import { compilePatterns, confusedWith, patternProblem } from '../policy/pattern.ts'
import { nearest } from './nearest.ts'
import { formatPath, type Path, type Problem } from './problem.ts'
import { serverNames } from './scope.ts'
import type { RoleEntry, ServersFile } from './schema.ts'

/** A file made by a program may have a hundred thousand of them. */
const MAX_SHOWN = 20

/** Every place of a file that holds rules. */
function ruleSections(file: ServersFile): [Path, RoleEntry][] {
  return [
    [['gateway', 'policy'], file.gateway?.policy ?? {}],
    ...Object.entries(file.roles ?? {}).map(([name, role]): [Path, RoleEntry] => [['roles', name], role]),
    ...Object.entries(file.clients ?? {}).map(([name, client]): [Path, RoleEntry] => [
      ['clients', name],
      client,
    ]),
  ]
}

/** Every pattern of a file, with its place. */
function patternsOf(file: ServersFile): { readonly text: string; readonly path: Path }[] {
  const listed = (texts: readonly string[] | undefined, path: Path): { text: string; path: Path }[] =>
    (texts ?? []).map((text, at) => ({ text, path: [...path, at] }))
  return [
    ...ruleSections(file).flatMap(([path, { allow, deny, rules = [] }]) => [
      ...listed(allow, [...path, 'allow']),
      ...listed(deny, [...path, 'deny']),
      ...rules.flatMap(({ match }, at) => listed(match, [...path, 'rules', at, 'match'])),
    ]),
    ...Object.entries(file.profiles ?? {}).flatMap(([name, { tools }]) =>
      listed(tools, ['profiles', name, 'tools']),
    ),
    ...Object.entries(file.clients ?? {}).flatMap(([name, { limits = {} }]) =>
      Object.keys(limits).map(text => ({ text, path: ['clients', name, 'limits', text] })),
    ),
  ]
}

/** A sentence for each of the first patterns that are about no server of the file, which do nothing, and one for the number of the others. */
export function patternWarnings(file: ServersFile): string[] {
  const warnings = idlePatterns(file)
  const more = warnings.length - MAX_SHOWN
  return more > 0
    ? [...warnings.slice(0, MAX_SHOWN), `${more} more patterns are about no server, so they do nothing.`]
    : warnings
}

function idlePatterns(file: ServersFile): string[] {
  const servers = serverNames(file)
  if (servers.length === 0) return []
  return patternsOf(file).flatMap(({ text, path }) => {
    if (compilePatterns(text, servers).some(pattern => servers.some(pattern.server))) return []
    const name = text.replace(/^(?:tool|prompt|resource):/, '').replace(/\/.*$/s, '')
    const near = nearest(name, servers)
    const fix =
      near === undefined ? `Servers are ${servers.slice(0, 10).join(', ')}.` : `Did you mean "${near}"?`
    return `${formatPath(path)}: the pattern "${text}" is about no server, so it does nothing. ${fix}`
  })
}

/** Servers that patterns could not tell from each other. */
export function checkNames(servers: readonly string[], sectionOf: (name: string) => Path): Problem[] {
  return servers.flatMap(name => {
    const other = confusedWith(name, servers)
    if (other === undefined) return []
    const cause = `cannot be told from the server "${other}" by patterns such as "${name}/*"`
    return { path: sectionOf(name), about: 'key' as const, cause, fix: 'Give one of them another name.' }
  })
}

/** Rules, profiles and limits whose patterns are none, and rules that make no sense. `file` has passed the schema. */
export function checkPolicies(file: ServersFile, servers: readonly string[]): Problem[] {
  const problems: Problem[] = []
  const check = (text: string, path: Path, about: 'key' | 'value' = 'value'): void => {
    const problem = patternProblem(text, servers)
    if (problem) problems.push({ path, about, ...problem })
  }
  const checkAll = (patterns: readonly string[] | undefined, path: Path): void =>
    patterns?.forEach((text, at) => check(text, [...path, at]))

  for (const [path, { allow, deny, rules = [] }] of ruleSections(file)) {
    checkAll(allow, [...path, 'allow'])
    checkAll(deny, [...path, 'deny'])
    rules.forEach(({ effect, match, shadow }, at) => {
      const here = [...path, 'rules', at]
      checkAll(match, [...here, 'match'])
      if (effect === undefined)
        problems.push({
          path: here,
          about: 'key',
          cause: 'does not say what it does',
          fix: 'Add "effect": "allow" or "effect": "deny".',
        })
      if (effect === 'allow' && shadow === true)
        problems.push({
          path: [...here, 'shadow'],
          about: 'key',
          cause: 'has no meaning at a rule that allows',
          fix: 'Remove it; "shadow" of the client shows what all its rules together would deny.',
        })
    })
  }
  for (const [name, { tools }] of Object.entries(file.profiles ?? {}))
    checkAll(tools, ['profiles', name, 'tools'])
  for (const [name, { limits = {} }] of Object.entries(file.clients ?? {}))
    for (const text of Object.keys(limits)) check(text, ['clients', name, 'limits', text], 'key')
  return problems
}

/** Conditions that do not compile. Their library is loaded only when there are any. */
export async function checkConditions(file: ServersFile): Promise<Problem[]> {
  const conditions = ruleSections(file).flatMap(([path, { rules = [] }]) =>
    rules.flatMap(({ when }, at) =>
      when === undefined ? [] : { path: [...path, 'rules', at, 'when'], text: when },
    ),
  )
  if (conditions.length === 0) return []
  const compile = await conditionCompiler()
  return conditions.flatMap(({ path, text }): Problem[] => {
    const compiled = compile(text)
    if ('condition' in compiled) return []
    const { cause, line, column } = compiled.problem
    const place = text.includes('\n') ? `line ${line}, column ${column}` : `column ${column}`
    return [{ path, cause: `does not compile, ${place} of the condition: ${cause}` }]
  })
}
