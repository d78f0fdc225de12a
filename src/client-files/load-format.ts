import type { ClientFile } from './applications/application.ts'
import type { Format } from './formats/format.ts'

/** The format of a client file. A parser is loaded when the first file needs it. */
export async function loadFormat(syntax: ClientFile['syntax']): Promise<Format> {
  if (syntax === 'toml') return (await import('./formats/toml.ts')).TOML
  if (syntax === 'yaml') return (await import('./formats/yaml.ts')).YAML
  return (await import('./formats/jsonc.ts')).JSONC
}
