import type { ListKind } from '../core/route.ts'
import { Stride, type Steps } from '../core/slices.ts'
import { readingsOf, textsOf } from '../core/uri-readings.ts'
import type { Item } from '../policy/decide.ts'
import type { Listed } from './listed.ts'

/** Listed resources and templates, by what their servers may make of their URIs. */
export class Spellings {
  readonly #byServer = new Map<string, Map<string, Listed[]>>()

  /** Goes through the lists, with pauses. */
  static *of(lists: Readonly<Record<ListKind, readonly Listed[]>>): Steps<Spellings> {
    const spellings = new Spellings()
    const stride = new Stride()
    for (const kind of ['resources', 'resourceTemplates'] as const)
      for (const entry of lists[kind]) {
        if (stride.isOver(entry.name.length)) yield
        spellings.#add(entry)
      }
    return spellings
  }

  /**
   * What rules decide on where a client names a resource of a server: what is listed by this URI, with its definition. A URI
   * that is not listed counts as such, and as each listed one that the server may take it for.
   */
  items(server: string, own: string): readonly Item[] {
    const known = this.#byServer.get(server)
    const exact = known?.get(own)?.filter(({ name }) => name === own) ?? []
    if (exact.length > 0) return exact
    const meant = new Set<Listed>()
    if (known) for (const text of textsOf(own)) for (const entry of known.get(text) ?? []) meant.add(entry)
    const others = [...meant].map(({ title, annotations }) => ({
      ...unlistedItem(server, own),
      title,
      annotations,
    }))
    return [unlistedItem(server, own), ...others]
  }

  #add(entry: Listed): void {
    let texts = this.#byServer.get(entry.server)
    if (!texts) this.#byServer.set(entry.server, (texts = new Map()))
    for (const text of new Set([entry.name, ...(readingsOf(entry.name)?.same ?? [])])) {
      const those = texts.get(text)
      if (those) those.push(entry)
      else texts.set(text, [entry])
    }
  }
}

/** A resource of which nothing but its URI is known. */
export function unlistedItem(server: string, own: string): Item {
  return { kind: 'resource', server, name: own, title: '', annotations: {} }
}
