import { conditionCompiler } from '../../policy/condition.ts'
import { confusedNames, patternProblem } from '../../policy/pattern.ts'
import type { Path, Problem } from '../problem.ts'
import type { RoleEntry, ServersFile } from '../options/file.ts'
import { prefixesOf } from './scope.ts'

/** Every location of a file that contains rules. */
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

/** Finds servers that patterns cannot distinguish. */
export function checkNames(servers: readonly string[], sectionOf: (name: string) => Path): Problem[] {
  return [...confusedNames(servers)].map(([name, other]) => ({
    path: sectionOf(name),
    about: 'key' as const,
    cause: `cannot be told from the server "${other}" by patterns such as "${name}/*"`,
    fix: 'Give one of them another name.',
  }))
}

/** Finds invalid patterns of rules, profiles and limits, and rules without effect. `file` has passed the schema. */
export function checkPolicies(file: ServersFile, servers: readonly string[]): Problem[] {
  const problems: Problem[] = []
  const prefixed = prefixesOf(file)
  const check = (text: string, path: Path, about: 'key' | 'value' = 'value'): void => {
    const problem = patternProblem(text, servers, prefixed)
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

/** Finds conditions that do not compile. Their library is loaded only when there are conditions. */
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
    const location = text.includes('\n') ? `line ${line}, column ${column}` : `column ${column}`
    return [{ path, cause: `does not compile, ${location} of the condition: ${cause}` }]
  })
}
