import { SharedRoom } from './shared-room.ts'

/** Memory in MiB for questions of servers until they are answered, in the whole process. */
const QUESTION_MIB = 64
/** The part reserved for clients that hold little. */
const RESERVE_SHARE = 1 / 4
/** A question holds its own text and the text shown to its client. */
const COPIES = 2
/** Overhead of a question beside its text. */
const OWN_BYTES = 1024

/** The room for questions whose text must be kept, shared by clients (`SharedRoom`). */
export class QuestionRoom {
  readonly #room: SharedRoom

  constructor(maxBytes = QUESTION_MIB * 1024 * 1024) {
    const reserve = maxBytes * RESERVE_SHARE
    this.#room = new SharedRoom(maxBytes - reserve, reserve)
  }

  /**
   * Reserves room for a text of `chars` characters.
   * @returns an idempotent function that releases it; `undefined` when there is no room
   */
  take(holder: string, chars: number): (() => void) | undefined {
    const bytes = COPIES * chars + OWN_BYTES
    if (!this.#room.fits(holder, bytes)) return undefined
    this.#room.add(holder, bytes)
    let left = bytes
    return () => {
      this.#room.add(holder, -left)
      left = 0
    }
  }
}

export const NO_QUESTION_ROOM = `The questions that wait for answers hold too much; ${QUESTION_MIB} MiB are held for all clients together, and no client has more of that than is free.`

/** The instance of this process. */
let ofProcess: QuestionRoom | undefined

export function processQuestions(): QuestionRoom {
  ofProcess ??= new QuestionRoom()
  return ofProcess
}
