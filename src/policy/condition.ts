import type { Environment, ASTNode } from '@marcbachmann/cel-js'
import type { JsonObject } from '../core/exchange.ts'
import { wildcard } from './pattern.ts'
import { readsOf, type Reads } from './reads.ts'

/** The values that a condition may read. */
export interface Facts {
  readonly args: JsonObject
  readonly tool: JsonObject
  readonly principal: JsonObject
  readonly now: Date
}

/** A compiled condition. */
export interface Condition {
  readonly text: string
  /** Whether it reads arguments or the time, so that it must be evaluated for each call. */
  readonly perCall: boolean
  /** Whether it reads the time. */
  readonly asksTime: boolean
  /** Whether it reads the principal. */
  readonly asksPrincipal: boolean
  /** Whether it reads the tool itself: its name or its definition. */
  readonly asksTool: boolean
  /** The parts of the arguments that it reads; `undefined`: none. */
  readonly reads: Reads | undefined
  /** @throws Error when it cannot be evaluated: a missing key, an unknown operation, arguments beyond the limits */
  readonly holds: (facts: Facts) => boolean
}

/** An error in the text of a condition. */
export interface ConditionProblem {
  readonly cause: string
  /** Line in the expression, from 1. */
  readonly line: number
  readonly column: number
}

export const MAX_CONDITION_CHARS = 4000
/** Limits on the structure of an expression. */
const LIMITS = {
  maxAstNodes: 1000,
  maxDepth: 32,
  maxListElements: 200,
  maxMapEntries: 100,
  maxCallArguments: 8,
}
/** Macros that iterate over a list. */
const LOOPS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])
/** Maximum number of argument values for a condition with a loop, which may compare every pair. */
const MAX_LOOP_VALUES = 1000
const MAX_LOOP_CHARS = 20_000

const TYPES = { args: 'map', tool: 'map', principal: 'map', now: 'google.protobuf.Timestamp' } as const
type Variable = keyof typeof TYPES

/** Returns a compiler of conditions (CEL). The library is loaded on first use. */
export async function conditionCompiler(): Promise<
  (text: string) => { readonly condition: Condition } | { readonly problem: ConditionProblem }
> {
  const cel = await import('@marcbachmann/cel-js')
  const environment = (variables: readonly Variable[]): Environment => {
    const made = new cel.Environment({ limits: LIMITS })
    for (const variable of variables) made.registerVariable(variable, TYPES[variable])
    made.registerFunction('string.like(string): bool', (text: string, glob: string) => wildcard(glob)(text))
    return made
  }
  const all = environment(['args', 'tool', 'principal', 'now'])
  const lasting = environment(['tool', 'principal'])
  const timeless = environment(['args', 'tool', 'principal'])
  const withoutPrincipal = environment(['args', 'tool', 'now'])
  const toolless = environment(['args', 'principal', 'now'])
  return text => {
    if (text.length > MAX_CONDITION_CHARS)
      return { problem: { cause: `it is longer than ${MAX_CONDITION_CHARS} characters`, line: 1, column: 1 } }
    const problem = (cause: string, at: number): { problem: ConditionProblem } => {
      const before = text.slice(0, at).split('\n')
      return { problem: { cause, line: before.length, column: (before.at(-1) as string).length + 1 } }
    }
    try {
      const evaluate = all.parse(text)
      const loops = { deepest: 0 }
      const bad = visit(evaluate.ast, 0, loops)
      if (bad) return problem(bad.cause, bad.at)
      const { valid, type, error } = evaluate.check()
      if (!valid) return problem(sentence(error), error?.range?.start ?? 0)
      if (type !== 'bool' && type !== 'dyn') return problem(`it gives ${type}, not true or false`, 0)
      // An expression that compiles without a variable does not read it.
      const perCall = !lasting.check(text).valid
      return {
        condition: {
          text,
          perCall,
          asksTime: !timeless.check(text).valid,
          asksPrincipal: !withoutPrincipal.check(text).valid,
          asksTool: !toolless.check(text).valid,
          reads: perCall ? readsOf(evaluate.ast) : undefined,
          holds: facts => {
            if (loops.deepest > 0) refuseLarge(facts.args)
            const value: unknown = evaluate(facts)
            if (typeof value !== 'boolean') throw new Error('it gives neither true nor false')
            return value
          },
        },
      }
    } catch (error) {
      return problem(sentence(error), (error as { range?: { start: number } }).range?.start ?? 0)
    }
  }
}

/** Short reason why a condition could not be evaluated, without its text. */
export function conditionProblemOf(error: unknown): string {
  return sentence(error)
}

function sentence(error: unknown): string {
  const { summary, message } = (error ?? {}) as { summary?: string; message?: string }
  return (summary ?? message ?? 'it cannot be read').slice(0, 200)
}

interface Bad {
  readonly cause: string
  readonly at: number
}

/**
 * Finds expressions that may take much more time than their length suggests: regular expressions with backtracking, and
 * nested loops.
 */
function visit(node: unknown, loop: number, loops: { deepest: number }): Bad | undefined {
  if (Array.isArray(node)) {
    for (const child of node as unknown[]) {
      const bad = visit(child, loop, loops)
      if (bad) return bad
    }
    return undefined
  }
  if (typeof node !== 'object' || node === null || !('op' in node)) return undefined
  const { op, args, start } = node as unknown as ASTNode & { args: unknown; start: number }
  if (op === 'rcall' && Array.isArray(args)) {
    const name = args[0] as string
    if (name === 'matches')
      return {
        cause:
          '"matches" is not available, since a regular expression can take for ever; use startsWith, endsWith, contains, or like with "*" and "?"',
        at: start,
      }
    if (LOOPS.has(name)) {
      const inside = loop + 1
      if (inside > 1) return { cause: 'it has a loop within a loop', at: start }
      loops.deepest = 1
      // The list of a loop is evaluated once.
      return visit(args[1], loop, loops) ?? visit(args[2], inside, loops)
    }
  }
  return visit(args, loop, loops)
}

function refuseLarge(args: JsonObject): void {
  let values = 0
  let chars = 0
  const count = (value: unknown): void => {
    if (++values > MAX_LOOP_VALUES) throw new Error(`more than ${MAX_LOOP_VALUES} values in the arguments`)
    if (typeof value === 'string') {
      chars += value.length
      if (chars > MAX_LOOP_CHARS) throw new Error(`more than ${MAX_LOOP_CHARS} characters in the arguments`)
    } else if (typeof value === 'object' && value !== null)
      for (const child of Object.values(value)) count(child)
  }
  count(args)
}
