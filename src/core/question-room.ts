import { HeldBy } from './held-by.ts'

/** What questions of servers may hold until they are answered, over the whole process. */
export const QUESTION_MIB = 64
/** This part of it is for clients that hold little. */
const RESERVE_SHARE = 1 / 4
/** A question holds its text, and the text that its client is shown. */
const COPIES = 2
/** What a question holds beside its text. */
const OWN_BYTES = 1024

/**
 * The room for questions whose text has to be kept. No client may hold more than is free. Where that leaves nothing, a
 * reserve is shared in equal parts: clients count there with no more than the one that asks would hold.
 */
export class QuestionRoom {
  readonly #reserve: number
  #free: number
  readonly #held = new HeldBy()

  constructor(maxBytes = QUESTION_MIB * 1024 * 1024) {
    this.#reserve = maxBytes * RESERVE_SHARE
    this.#free = maxBytes - this.#reserve
  }

  /**
   * Takes room for a text of so many characters.
   * @returns what gives it back, which may be called more than once; `undefined` where there is no room
   */
  take(holder: string, chars: number): (() => void) | undefined {
    const bytes = COPIES * chars + OWN_BYTES
    if (!this.#fits(this.#held.of(holder), bytes)) return undefined
    this.#add(holder, bytes)
    let left = bytes
    return () => {
      this.#add(holder, -left)
      left = 0
    }
  }

  #fits(held: number, bytes: number): boolean {
    const level = held + bytes
    if (level <= this.#free) return true
    // One more holder of as much has to fit.
    return this.#held.upTo(level) - held + 2 * level <= this.#reserve
  }

  #add(holder: string, bytes: number): void {
    this.#held.add(holder, bytes)
    this.#free -= bytes
  }
}

export const NO_QUESTION_ROOM = `The questions that wait for answers hold too much; ${QUESTION_MIB} MiB are held for all clients together, and no client has more of that than is free.`

/** The one of this process. */
let ofProcess: QuestionRoom | undefined

export function processQuestions(): QuestionRoom {
  ofProcess ??= new QuestionRoom()
  return ofProcess
}
