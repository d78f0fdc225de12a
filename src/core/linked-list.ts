/** A node of a list. Its links are managed by the list. */
export abstract class LinkedNode {
  /** The list that contains the node. */
  line: LinkedList<LinkedNode> | undefined
  ahead: LinkedNode | undefined
  behind: LinkedNode | undefined
}

/** A doubly linked list: a node can be removed from any position in constant time. */
export class LinkedList<T extends LinkedNode> {
  #first: LinkedNode | undefined
  #last: LinkedNode | undefined
  #size = 0

  get size(): number {
    return this.#size
  }

  get first(): T | undefined {
    return this.#first as T | undefined
  }

  get last(): T | undefined {
    return this.#last as T | undefined
  }

  push(item: T): void {
    item.line = this as unknown as LinkedList<LinkedNode>
    item.ahead = this.#last
    if (this.#last) this.#last.behind = item
    else this.#first = item
    this.#last = item
    this.#size++
  }

  remove(item: T): void {
    const { ahead, behind } = item
    if (ahead) ahead.behind = behind
    else this.#first = behind
    if (behind) behind.ahead = ahead
    else this.#last = ahead
    item.line = item.ahead = item.behind = undefined
    this.#size--
  }
}
