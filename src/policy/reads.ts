import { KnownNames } from '../core/fold-case.ts'
import type { ArgumentReads } from '../core/route.ts'

/** The parts of a call's arguments that one condition reads. */
export interface Reads {
  /** Names it may look up, at any depth: those after a dot, and every string in it. */
  readonly names: ReadonlySet<string>
  /** Arguments it names; `undefined` when it may read any of them. */
  readonly members: ReadonlySet<string> | undefined
}

/** Operators whose second operand names a member of the first. */
const SELECTIONS: ReadonlySet<string> = new Set(['.', '.?', '[]', '[?]'])

/** The parts of `args` that a parsed condition reads; `undefined` when it does not mention `args`. */
export function readsOf(ast: unknown): Reads | undefined {
  const names = new Set<string>()
  const members = new Set<string>()
  let asks = false
  let all = false
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) {
      for (const child of value as unknown[]) visit(child)
      return
    }
    if (!isNode(value)) return
    const { op, args } = value
    if (op === 'value' && typeof args === 'string') names.add(args)
    if (op === 'id' && args === 'args') {
      asks = true
      all = true
      return
    }
    if (!Array.isArray(args)) return visit(args)
    const [first, second] = args as unknown[]
    const name = typeof second === 'string' ? second : textOf(second)
    if (SELECTIONS.has(op) && typeof second === 'string') names.add(second)
    if (SELECTIONS.has(op) && name !== undefined && isArguments(first)) {
      asks = true
      names.add(name)
      members.add(name)
      return
    }
    const looked = textOf(first)
    if (op === 'in' && looked !== undefined && isArguments(second)) {
      asks = true
      names.add(looked)
      members.add(looked)
      return
    }
    visit(args)
  }
  visit(ast)
  return asks ? { names, members: all ? undefined : members } : undefined
}

/** The union of several conditions; `undefined` when none of them reads anything. */
export function joined(all: readonly (Reads | undefined)[]): ArgumentReads | undefined {
  const reads = all.filter(one => one !== undefined)
  if (reads.length === 0) return undefined
  const members = reads.flatMap(one => (one.members ? [one.members] : []))
  return {
    names: new KnownNames(reads.flatMap(({ names }) => [...names])),
    members: members.length === reads.length ? new KnownNames(members.flatMap(one => [...one])) : undefined,
  }
}

interface Node {
  readonly op: string
  readonly args: unknown
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

function isArguments(value: unknown): boolean {
  return isNode(value) && value.op === 'id' && value.args === 'args'
}

function textOf(value: unknown): string | undefined {
  return isNode(value) && value.op === 'value' && typeof value.args === 'string' ? value.args : undefined
}
