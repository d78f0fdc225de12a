import type { EditOptions } from './edited.ts'
import type { JsonObject } from '../core/exchange.ts'

export interface AddOptions extends EditOptions {
  readonly env?: readonly string[]
  readonly header?: readonly string[]
  readonly transport?: 'stdio' | 'http' | 'sse'
  readonly set?: readonly string[]
  /** Name of the server, in place of that of the registry or of the bundle. */
  readonly name?: string
  readonly package?: 'npm' | 'pypi' | 'oci' | 'remote'
  readonly registry?: string
  readonly replace?: boolean
  readonly yes?: boolean
}

/** What is written. */
export interface Added {
  readonly server: string
  readonly entry: JsonObject
  /** Variables that have to be set before the server can start. */
  readonly laterVariables: readonly string[]
  readonly left: readonly string[]
  /** What has to be there before the entry is written. Undone by nothing: it is replaced the next time. */
  readonly prepare?: () => Promise<void>
}
