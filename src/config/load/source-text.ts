import { parse, parseTree } from 'jsonc-parser'
import { Positions, type Position } from './positions.ts'
import { syntaxProblem } from './syntax.ts'
import type { Node, ParseError } from 'jsonc-parser'
import type { Path, Problem } from '../problem.ts'

/** Parses JSON with comments, and locates values in it. Loaded only when plain `JSON.parse` is not enough. */

/** Parses JSON with comments and trailing commas. `problem` is the first error; later ones are unreliable. */
export function parseJsonc(text: string): { value: unknown; problem: Problem | undefined } {
  const errors: ParseError[] = []
  const value: unknown = parse(text, errors, { allowTrailingComma: true, allowEmptyContent: false })
  return { value, problem: syntaxProblem(text, errors) }
}

/** Locates values and keys in a parsed text. */
export class SourceLocations {
  readonly #positions: Positions
  readonly #root: Node | undefined
  /** The members of objects that were already searched. */
  readonly #members = new Map<Node, Map<string, Node>>()

  constructor(text: string) {
    this.#positions = new Positions(text)
    this.#root = parseTree(text, [], { allowTrailingComma: true })
  }

  /**
   * Position of the value at `path`, or of its key; `undefined` when there is no such path. Of a duplicate key, the
   * first.
   */
  find(path: Path, ofKey: boolean): Position | undefined {
    if (path.length === 0) return undefined
    let node = this.#root
    let key: Node | undefined
    for (const part of path) {
      if (!node) return undefined
      const member: Node | undefined =
        node.type === 'object' ? this.#membersOf(node).get(String(part)) : undefined
      key = member?.children?.[0]
      node = member ? member.children?.[1] : node.type === 'array' ? node.children?.[Number(part)] : undefined
    }
    const at = node && ofKey ? (key ?? node) : node
    return at && this.#positions.at(at.offset)
  }

  #membersOf(object: Node): Map<string, Node> {
    const known = this.#members.get(object)
    if (known) return known
    const members = new Map<string, Node>()
    for (const member of object.children ?? []) {
      const name = String(member.children?.[0]?.value)
      if (!members.has(name)) members.set(name, member)
    }
    this.#members.set(object, members)
    return members
  }
}
