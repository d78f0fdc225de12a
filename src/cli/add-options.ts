import type { EditOptions } from './edited.ts'

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
