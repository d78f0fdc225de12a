import { isJsonObject } from '../core/json-object.ts'

/** A variable of the environment, but not where `$${` stands for the characters themselves. */
const VARIABLE = /(?<!\$)\$\{(?:env:)?([A-Za-z_]\w*)(?::-[^}$]*)?\}/g
/** Variables that the gateway fills in by itself. */
const OWN = new Set(['workspaceFolder', 'workspaceFolderBasename', 'userHome', 'pathSeparator'])

/** Names of the variables of the environment that entries use; of entries that are off, none. */
export function variablesIn(entries: readonly unknown[]): string[] {
  const names = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value === 'string')
      for (const [, name = ''] of value.matchAll(VARIABLE)) if (!OWN.has(name)) names.add(name)
    if (Array.isArray(value)) value.forEach(visit)
    if (isJsonObject(value)) Object.values(value).forEach(visit)
  }
  for (const entry of entries) if (isJsonObject(entry) && entry['disabled'] !== true) visit(entry)
  return [...names].sort()
}
