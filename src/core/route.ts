/** The four kinds of thing a catalog lists. */
export const LIST_KINDS = ['tools', 'resources', 'resourceTemplates', 'prompts'] as const
export type ListKind = (typeof LIST_KINDS)[number]

/** Where a call goes: exposed name → server and the name (or URI) the server itself uses. */
export interface Route {
  /** Configured name of the server. */
  readonly server: string
  /** The server's own name, URI, or URI template. */
  readonly own: string
  /** What clients call it. */
  readonly exposed: string
  /** Arguments that travel as `Mcp-Param-*` headers as well (revision 2026-07-28); only tools have them. */
  readonly headerParams?: readonly HeaderParam[]
  /** The tool can only be called as a task (revision 2025-11-25). */
  readonly needsTask?: boolean
}

export interface HeaderParam {
  /** Header name after `Mcp-Param-`. */
  readonly header: string
  /** Property path inside `arguments`. */
  readonly path: readonly string[]
}
