import type { KnownNames } from './fold-case.ts'

/** The four kinds of thing a catalog lists. */
export const LIST_KINDS = ['tools', 'resources', 'resourceTemplates', 'prompts'] as const
export type ListKind = (typeof LIST_KINDS)[number]

/** The kinds of thing to which rules apply. A template is a resource whose name is its text. */
export const ITEM_KINDS = ['tool', 'prompt', 'resource'] as const
export type ItemKind = (typeof ITEM_KINDS)[number]

export const ITEM_KIND_OF: Readonly<Record<ListKind, ItemKind>> = {
  tools: 'tool',
  prompts: 'prompt',
  resources: 'resource',
  resourceTemplates: 'resource',
}

/** The result of the rules for one thing, or for one call of it. */
export interface Decision {
  /** `depends`: the decision depends on the arguments or the time of a call. */
  readonly verdict: 'allow' | 'deny' | 'depends'
  /** Location in the configuration of the rule that decided, `default` when none did. */
  readonly rule: string
  /** Location of the rule in shadow mode that would have denied. */
  readonly shadowed: string | undefined
}

/** Target of a call: exposed name → server and the name (or URI) that the server itself uses. */
export interface Route {
  /** Configured name of the server. */
  readonly server: string
  /** The server's own name, URI, or URI template. */
  readonly own: string
  /** The name that clients use. */
  readonly exposed: string
  /** Arguments that are also sent as `Mcp-Param-*` headers (revision 2026-07-28); only for tools. */
  readonly headerParams?: readonly HeaderParam[]
  /** Whether the tool can only be called as a task (revision 2025-11-25). */
  readonly needsTask?: boolean
  /** Whether it is the tool by which the gateway itself logs in at the server. */
  readonly isLogin?: boolean
  /**
   * Decides each call, when the decision depends on arguments or time, or when a rule in shadow mode has to be
   * evaluated.
   */
  readonly check?: CallCheck
}

/** Decides calls of one thing. */
export interface CallCheck {
  /** `undefined` when the decision does not depend on the arguments. */
  readonly reads: ArgumentReads | undefined
  readonly decide: (args: Record<string, unknown>) => Decision
}

/** The parts of the arguments that conditions read. */
export interface ArgumentReads {
  /** Names of members that conditions may read, at any depth. */
  readonly names: KnownNames
  /** Arguments that are read; `undefined` for all. */
  readonly members: KnownNames | undefined
}

export interface HeaderParam {
  /** Header name after `Mcp-Param-`. */
  readonly header: string
  /** Property path inside `arguments`. */
  readonly path: readonly string[]
}
