import type { KnownNames } from './fold-case.ts'

/** The four kinds of thing a catalog lists. */
export const LIST_KINDS = ['tools', 'resources', 'resourceTemplates', 'prompts'] as const
export type ListKind = (typeof LIST_KINDS)[number]

/** The kinds of thing that rules are about. A template is a resource whose name is its text. */
export const ITEM_KINDS = ['tool', 'prompt', 'resource'] as const
export type ItemKind = (typeof ITEM_KINDS)[number]

export const ITEM_KIND_OF: Readonly<Record<ListKind, ItemKind>> = {
  tools: 'tool',
  prompts: 'prompt',
  resources: 'resource',
  resourceTemplates: 'resource',
}

/** What rules say of one thing, or of one call of it. */
export interface Decision {
  /** `depends`: it is decided with the arguments and the time of a call. */
  readonly verdict: 'allow' | 'deny' | 'depends'
  /** Place in the configuration of the rule that decided, `default` when none did. */
  readonly rule: string
  /** Place of what would have denied, if it were not in shadow mode. */
  readonly shadowed: string | undefined
}

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
  /** Decides with each call: what is allowed depends on its arguments or on the time, or a rule in shadow mode wants to hear of it. */
  readonly check?: CallCheck
}

/** Decides calls of one thing. */
export interface CallCheck {
  /** `undefined`: the arguments make no difference. */
  readonly reads: ArgumentReads | undefined
  readonly decide: (args: Record<string, unknown>) => Decision
}

/** What conditions look at in the arguments of a call. */
export interface ArgumentReads {
  /** Names of members that may be looked for, at any depth. */
  readonly names: KnownNames
  /** Arguments that are looked at; `undefined`: all of them. */
  readonly members: KnownNames | undefined
}

export interface HeaderParam {
  /** Header name after `Mcp-Param-`. */
  readonly header: string
  /** Property path inside `arguments`. */
  readonly path: readonly string[]
}
