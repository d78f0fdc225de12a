import { createHash, type Hash } from 'node:crypto'

/** A definition, as far as its text is concerned. */
interface Defined {
  /** Raw JSON. */
  readonly text: string
}

/** A list never changes, so its digest is made once. */
const known = new WeakMap<readonly Defined[], string>()

/** Makes the digest of a list while the list grows. */
export class ListDigest {
  readonly #hash: Hash = createHash('sha256')

  add({ text }: Defined): void {
    this.#hash.update(`${text.length}:`).update(text)
  }

  /** The list is complete. */
  end(entries: readonly Defined[]): void {
    known.set(entries, this.#hash.digest('base64url'))
  }
}

/** Equal for lists with the same definitions in the same order. */
export function digestOf(entries: readonly Defined[]): string {
  let digest = known.get(entries)
  if (digest === undefined) {
    const made = new ListDigest()
    for (const entry of entries) made.add(entry)
    made.end(entries)
    digest = known.get(entries) as string
  }
  return digest
}
