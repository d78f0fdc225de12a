/**
 * Radix tree of values by text. Finds the values whose texts are prefixes of a given text. A search compares each
 * character of that text at most once, however many texts the tree has.
 */
export class PrefixTree<T> {
  readonly #root: Node<T> = { label: '', value: undefined, children: new Map() }

  /** The value of a text. `make` creates it if the text has none. Linear in the length of the text. */
  at(text: string, make: () => T): T {
    let node = this.#root
    for (let from = 0; from < text.length;) {
      const next = node.children.get(text.charCodeAt(from))
      if (!next) {
        const leaf: Node<T> = { label: text.slice(from), value: undefined, children: new Map() }
        node.children.set(text.charCodeAt(from), leaf)
        node = leaf
        break
      }
      const common = commonLength(next.label, text, from)
      node = common === next.label.length ? next : split(node, next, common)
      from += common
    }
    return (node.value ??= make())
  }

  /** The values of all texts that are prefixes of `text`, the shortest first, and the number of visited nodes. */
  along(text: string): { readonly values: readonly T[]; readonly nodes: number } {
    const values: T[] = []
    let nodes = 1
    let node: Node<T> | undefined = this.#root
    for (let from = 0; node && text.startsWith(node.label, from); nodes++) {
      from += node.label.length
      if (node.value !== undefined) values.push(node.value)
      node = node.children.get(text.charCodeAt(from))
    }
    return { values, nodes }
  }
}

interface Node<T> {
  label: string
  value: T | undefined
  /** By the first UTF-16 unit of their labels. */
  readonly children: Map<number, Node<T>>
}

/** Splits a child of a node in two. @returns the upper one */
function split<T>(parent: Node<T>, child: Node<T>, at: number): Node<T> {
  const upper: Node<T> = { label: child.label.slice(0, at), value: undefined, children: new Map() }
  parent.children.set(child.label.charCodeAt(0), upper)
  child.label = child.label.slice(at)
  upper.children.set(child.label.charCodeAt(0), child)
  return upper
}

/** Number of characters of a label that match a text at offset `from`. */
function commonLength(label: string, text: string, from: number): number {
  if (text.startsWith(label, from)) return label.length
  let length = 0
  while (length < label.length && label.charCodeAt(length) === text.charCodeAt(from + length)) length++
  return length
}
