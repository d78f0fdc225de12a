/**
 * Values by texts, to be found by what begins with these texts. A radix tree: a search compares each character of what it
 * looks for once at most, however many texts there are.
 */
export class PrefixTree<T> {
  readonly #root: Node<T> = { label: '', value: undefined, children: new Map() }

  /** The value of a text; `make` makes the one of a text that has none. Takes time that is linear in the text. */
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

  /** Nodes on the way of a text, and the values of all texts that it begins with, the shortest first. */
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
  /** By the first unit of their labels. */
  readonly children: Map<number, Node<T>>
}

/** Divides a child of a node in two. @returns the upper one */
function split<T>(parent: Node<T>, child: Node<T>, at: number): Node<T> {
  const upper: Node<T> = { label: child.label.slice(0, at), value: undefined, children: new Map() }
  parent.children.set(child.label.charCodeAt(0), upper)
  child.label = child.label.slice(at)
  upper.children.set(child.label.charCodeAt(0), child)
  return upper
}

/** How many characters of a label stand in a text from a place on. */
function commonLength(label: string, text: string, from: number): number {
  if (text.startsWith(label, from)) return label.length
  let length = 0
  while (length < label.length && label.charCodeAt(length) === text.charCodeAt(from + length)) length++
  return length
}
