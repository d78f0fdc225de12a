import type { Writable } from 'node:stream'
import type { Delivery } from '../../../core/errors.ts'
import { onOneLine } from '../../../protocol/json-text.ts'
import type { Outgoing } from '../shared/transport.ts'

/** Messages are joined up to this size, so that a burst costs one system call and a large message is not copied. */
const BATCH_BYTES = 256 * 1024

/** If more messages are queued, an abandoned one is not searched for. */
const MAX_QUEUED = 65_536

interface Queued {
  readonly message: Outgoing
  readonly text: string
  readonly bytes: number
}

/**
 * Writes messages as lines to a pipe, those of one turn of the event loop together. Tracks for each message whether any
 * of it has been passed to the system. At most one write is in progress, so messages that have not been passed on can
 * still be reported as not sent.
 */
export class WriteQueue {
  readonly #pipe: Writable
  readonly #maxBytes: number
  readonly #onLost: (message: Outgoing, delivery: Delivery) => void
  #queued: Queued[] = []
  /** Bytes accepted by the queue and not yet by the system. */
  #bytes = 0
  #scheduled = false
  #writing = false
  #ending = false
  #broken = false

  /** `onLost` is called for each message that does not arrive: `not_sent`, or `unknown` when some of it may have. */
  constructor(pipe: Writable, maxBytes: number, onLost: (message: Outgoing, delivery: Delivery) => void) {
    this.#pipe = pipe
    this.#maxBytes = maxBytes
    this.#onLost = onLost
  }

  /** Queues a message, or returns why not. A message larger than the limit passes when nothing waits. */
  push(message: Outgoing): 'taken' | 'full' | 'closed' {
    if (this.#broken || this.#ending) return 'closed'
    const { text } = message
    const bytes = Buffer.byteLength(text) + 1
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) return 'full'
    if (this.#queued.length >= MAX_QUEUED) return 'full'
    this.#bytes += bytes
    this.#queued.push({ message, text, bytes })
    if (!this.#writing && !this.#scheduled) {
      this.#scheduled = true
      process.nextTick(() => this.#write())
    }
    return 'taken'
  }

  /** Removes request `id` from the queue. `false`: it is no longer there. */
  drop(id: number): boolean {
    const at = this.#queued.findIndex(({ message }) => message.id === id)
    const [queued] = at < 0 ? [] : this.#queued.splice(at, 1)
    if (!queued) return false
    this.#bytes -= queued.bytes
    return true
  }

  /** Writes the queued messages and closes the pipe. */
  end(): void {
    if (this.#ending || this.#broken) return
    this.#ending = true
    if (!this.#writing) this.#write()
  }

  /** The reader has ended: queued messages are lost. Idempotent. */
  fail(): void {
    if (this.#broken) return
    this.#broken = true
    const lost = this.#queued
    this.#queued = []
    for (const { message } of lost) this.#onLost(message, 'not_sent')
    this.#pipe.destroy()
  }

  #write(): void {
    this.#scheduled = false
    if (this.#broken || this.#writing) return
    if (this.#queued.length === 0) {
      if (this.#ending) this.#pipe.end()
      return
    }
    let bytes = 0
    let count = 0
    let text = ''
    for (const queued of this.#queued) {
      if (count > 0 && bytes + queued.bytes > BATCH_BYTES) break
      bytes += queued.bytes
      count++
      text += `${onOneLine(queued.text)}\n`
    }
    const batch = this.#queued.splice(0, count)
    this.#writing = true
    this.#pipe.write(text, error => {
      this.#writing = false
      this.#bytes -= bytes
      if (error) {
        for (const { message } of batch) this.#onLost(message, 'unknown')
        this.fail()
      } else this.#write()
    })
  }
}
