import { createHash, type Hash } from 'node:crypto'

/** The part of a definition that its digest covers. */
interface Defined {
  readonly key: string
  /** Raw JSON. */
  readonly text: string
}

interface Made {
  readonly digest: string
  readonly chars: number
}

/** A list never changes, so its digest is computed once. */
const known = new WeakMap<readonly Defined[], Made>()

/** Computes the digest of a list while the list grows. */
export class ListDigest {
  readonly #hash: Hash = createHash('sha256')
  #chars = 0

  add({ key, text }: Defined): void {
    this.#hash.update(`${text.length}:`).update(text)
    this.#chars += key.length + text.length
  }

  /** Completes the digest. */
  end(entries: readonly Defined[]): void {
    known.set(entries, { digest: this.#hash.digest('base64url'), chars: this.#chars })
  }
}

/** Digest of a list. Equal for lists with the same definitions in the same order. */
export function listDigestOf(entries: readonly Defined[]): string {
  return madeOf(entries).digest
}

/** Number of characters of the definitions of a list and of their names. */
export function charsOf(entries: readonly Defined[]): number {
  return madeOf(entries).chars
}

function madeOf(entries: readonly Defined[]): Made {
  let made = known.get(entries)
  if (!made) {
    const digest = new ListDigest()
    for (const entry of entries) digest.add(entry)
    digest.end(entries)
    made = known.get(entries) as Made
  }
  return made
}
