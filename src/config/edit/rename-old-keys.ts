import { parseTree, type Node } from 'jsonc-parser'
import { oldNames, type Names } from '../load/old-names.ts'
import { formatPath, type Path } from '../problem.ts'

/** A key under its former name. */
interface OldKey {
  readonly node: Node
  /** Location of the key as written. */
  readonly path: Path
  readonly present: string
}

/** A key that was renamed. */
export interface RenamedKey {
  readonly key: string
  readonly present: string
}

/**
 * Renames the keys of a text of JSON with comments that have a former name. Nothing else in the text changes. A key
 * whose present name is there as well stays.
 */
export function renameOldKeys(text: string): {
  readonly text: string
  readonly renamed: readonly RenamedKey[]
} {
  const root = parseTree(text, [], { allowTrailingComma: true })
  const found: OldKey[] = []
  if (root) visit(root, oldNames(), [], found)
  let renamed = text
  for (const { node, present } of found.toSorted((a, b) => b.node.offset - a.node.offset)) {
    const end = node.offset + node.length
    renamed = renamed.slice(0, node.offset) + JSON.stringify(present) + renamed.slice(end)
  }
  return { text: renamed, renamed: found.map(({ path, present }) => ({ key: formatPath(path), present })) }
}

function visit(node: Node, names: Names, path: Path, found: OldKey[]): void {
  if (node.type === 'array') {
    const each = names.below.get('*')
    if (each) node.children?.forEach((child, at) => visit(child, each, [...path, at], found))
  }
  if (node.type !== 'object') return
  const keys = new Set(node.children?.map(({ children }) => String(children?.[0]?.value)))
  for (const { children: [key, value] = [] } of node.children ?? []) {
    if (!key || !value) continue
    const name = String(key.value)
    const present = names.renamed.get(name)
    const at = [...path, name]
    if (present !== undefined && !keys.has(present)) found.push({ node: key, present, path: at })
    const below = names.below.get(present ?? name) ?? names.below.get('*')
    if (below) visit(value, below, at, found)
  }
}
