import { FINDING_CODES, type FindingCode, type LayerName, type Severity } from './codes.ts'

/** One thing that is wrong. All texts are safe to show: they hold no secret. */
export interface Finding {
  readonly code: FindingCode
  readonly layer: LayerName
  readonly severity: Severity
  /** Configured name; `undefined` when it is about no single server. */
  readonly server: string | undefined
  /** One sentence or more. */
  readonly cause: string
  /** A full sentence: what to do. */
  readonly fix: string
  /** A command that does it, to copy. */
  readonly command: string | undefined
  /** A key of the configuration that does it, with the value to write where that is known. */
  readonly set: KeyToSet | undefined
  /** What a program printed last. */
  readonly said: readonly string[]
  /** What `--fix` does about it, for the layers that find it. */
  readonly mend: Mend | undefined
}

export interface KeyToSet {
  /** As in `mcpServers.search.url`. */
  readonly key: string
  readonly value?: unknown
}

/** `value`, where there is one to write. */
export function keyWith(key: string, value: unknown): KeyToSet {
  return { key, ...(value !== undefined && { value }) }
}

/** Does what is safe to do without asking. @returns a sentence that says what was done @throws Error */
export type Mend = () => string | Promise<string>

export type FindingDetails = Pick<Finding, 'cause' | 'fix'> &
  Partial<Pick<Finding, 'server' | 'command' | 'set' | 'said' | 'mend'>>

export function finding(code: FindingCode, details: FindingDetails): Finding {
  const { cause, fix, server, command, set, said = [], mend } = details
  return { code, ...FINDING_CODES[code], server, cause, fix, command, set, said, mend }
}
