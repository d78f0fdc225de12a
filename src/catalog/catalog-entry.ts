import type { Hash } from 'node:crypto'
import type { JsonObject } from '../core/exchange.ts'
import { isJsonObject } from '../core/json-object.ts'
import { ITEM_KIND_OF, type ItemKind, type ListKind, type Route } from '../core/route.ts'
import { find, members, rawAt, splice, withMembers } from '../protocol/json-text.ts'
import { LIST_METHODS } from './ingest.ts'
import type { Entry } from './snapshot.ts'

/**
 * One entry of a list. Its texts for clients are built on first use, because lists may be long and are rebuilt often.
 */
export class CatalogEntry {
  readonly kind: ItemKind
  readonly route: Route
  readonly #list: ListKind
  readonly #entry: Entry
  /** Whether its server is of the modern era. */
  readonly #fromModern: boolean
  #texts: Texts | undefined
  #facts: { readonly title: string; readonly annotations: JsonObject } | undefined

  constructor(list: ListKind, route: Route, entry: Entry, fromModern: boolean) {
    this.kind = ITEM_KIND_OF[list]
    this.route = route
    this.#list = list
    this.#entry = entry
    this.#fromModern = fromModern
  }

  get server(): string {
    return this.route.server
  }

  get name(): string {
    return this.route.own
  }

  /** Definition as sent to legacy clients. */
  get legacy(): string {
    return this.#shown().legacy
  }

  /** Definition as sent to modern clients. */
  get modern(): string {
    return this.#shown().modern
  }

  get title(): string {
    return this.#read().title
  }

  get annotations(): JsonObject {
    return this.#read().annotations
  }

  /** Adds everything that determines its definition for clients to a hash. */
  describe(hash: Hash): void {
    const { text } = this.#entry
    // The era of the server affects nothing else in the legacy definition.
    const cut = this.#fromModern && this.#list === 'tools' && text.includes('"outputSchema"')
    hash.update(`${this.route.exposed.length} ${text.length} ${cut} ${this.route.exposed}`).update(text)
  }

  #shown(): Texts {
    this.#texts ??= textsOf(this.#list, this.#entry, this.route.exposed, this.#fromModern)
    return this.#texts
  }

  /** Parsed only where a condition asks for it, and then once. */
  #read(): { readonly title: string; readonly annotations: JsonObject } {
    if (!this.#facts) {
      const { title, annotations } = JSON.parse(this.#entry.text) as JsonObject
      const known = isJsonObject(annotations) ? annotations : {}
      const shown = title ?? known.title
      this.#facts = { title: typeof shown === 'string' ? shown : '', annotations: known }
    }
    return this.#facts
  }
}

/** One definition as sent to clients of either era. */
interface Texts {
  readonly legacy: string
  readonly modern: string
}

/** Builds the entry of a server under its exposed name. `fromModern`: the server is of the modern era. */
export function catalogEntry(
  kind: ListKind,
  server: string,
  entry: Entry,
  exposed: string,
  fromModern: boolean,
): CatalogEntry {
  const route: Route =
    entry.headerParams || entry.needsTask
      ? {
          server,
          own: entry.key,
          exposed,
          headerParams: entry.headerParams ?? [],
          needsTask: entry.needsTask ?? false,
        }
      : { server, own: entry.key, exposed }
  return new CatalogEntry(kind, route, entry, fromModern)
}

function textsOf(kind: ListKind, entry: Entry, exposed: string, fromModern: boolean): Texts {
  let text = entry.text
  if (exposed !== entry.key) {
    const member = find(members(text), LIST_METHODS[kind].key)
    if (member) text = splice(text, [{ start: member.start, end: member.end, text: JSON.stringify(exposed) }])
  }
  let legacy = text
  let modern = text
  if (kind === 'tools') {
    // Tasks of 2025-11-25 do not exist in the modern era.
    if (!fromModern && text.includes('"execution"')) modern = withMembers(text, { execution: undefined })
    // The gateway follows the task, so a client that calls such a tool without a task gets its result as well.
    if (entry.needsTask) legacy = withOptionalTask(text)
    // Before 2026-07-28 an output schema describes an object. Strict clients reject the whole list otherwise.
    if (fromModern && text.includes('"outputSchema"') && outputType(text) !== 'object')
      legacy = withMembers(text, { outputSchema: undefined })
  }
  return { legacy, modern }
}

/** Rewrites the definition of a tool that requires a task so that the task is optional. */
function withOptionalTask(text: string): string {
  const execution = rawAt(text, 'execution') ?? '{}'
  return withMembers(text, { execution: withMembers(execution, { taskSupport: '"optional"' }) })
}

function outputType(tool: string): unknown {
  return ((JSON.parse(tool) as JsonObject).outputSchema as JsonObject | undefined)?.type
}
