import type { ItemKind } from '../core/route.ts'
import { readingsOf } from '../core/uri-readings.ts'
import { matches, type Pattern } from '../policy/pattern.ts'

/** The items of the servers that belong to an endpoint. Without patterns, all of them. */
export class Selection {
  readonly #patterns: readonly Pattern[]

  constructor(patterns: readonly Pattern[] = []) {
    this.#patterns = patterns
  }

  /** Whether only a part belongs to the endpoint. */
  get isPart(): boolean {
    return this.#patterns.length > 0
  }

  has(kind: ItemKind, server: string, name: string): boolean {
    if (!this.isPart) return true
    const readings = kind === 'resource' ? readingsOf(name) : undefined
    if (readings?.endless) return false
    return (readings?.same ?? [name]).every(text =>
      this.#patterns.some(pattern => matches(pattern, kind, server, text, text !== name)),
    )
  }

  /** Whether any item of that kind may belong to the endpoint. */
  hasSome(kind: ItemKind, server: string): boolean {
    return (
      !this.isPart ||
      this.#patterns.some(
        pattern => (pattern.kind === undefined || pattern.kind === kind) && pattern.server(server),
      )
    )
  }
}
