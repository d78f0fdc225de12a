import type { Writable } from 'node:stream'
import type { Delivery } from '../../../core/errors.ts'
import { onOneLine } from '../../../protocol/json-text.ts'
import type { Outgoing } from '../shared/transport.ts'

/** Messages are joined up to this size, so that a burst costs one system call and a large one does not wait to be copied. */
const BATCH_BYTES = 256 * 1024

/** More messages are not looked through when one of them is given up. */
const MAX_QUEUED = 65_536

interface Queued {
  readonly message: Outgoing
  readonly bytes: number
}

/**
 * Writes messages as lines to a pipe, those of one turn of the event loop together, and knows of each whether any of it has been handed to
 * the system. At most one write is under way, so what has not been handed over can still be reported as not sent.
 */
export class WriteQueue {
  readonly #pipe: Writable
  readonly #maxBytes: number
  readonly #onLost: (message: Outgoing, delivery: Delivery) => void
  #queued: Queued[] = []
  /** Bytes accepted and not yet taken by the system. */
  #bytes = 0
  #scheduled = false
  #writing = false
  #ending = false
  #broken = false

  /** `onLost` is told of each message that does not arrive: `not_sent`, or `unknown` when some of it may have. */
  constructor(pipe: Writable, maxBytes: number, onLost: (message: Outgoing, delivery: Delivery) => void) {
    this.#pipe = pipe
    this.#maxBytes = maxBytes
    this.#onLost = onLost
  }

  /** Says whether the message was taken, and why not. A message larger than the limit passes when nothing waits. */
  push(message: Outgoing): 'taken' | 'full' | 'closed' {
    if (this.#broken || this.#ending) return 'closed'
    const bytes = Buffer.byteLength(message.text) + 1
    if (this.#bytes > 0 && this.#bytes + bytes > this.#maxBytes) return 'full'
    if (this.#queued.length >= MAX_QUEUED) return 'full'
    this.#bytes += bytes
    this.#queued.push({ message, bytes })
    if (!this.#writing && !this.#scheduled) {
      this.#scheduled = true
      process.nextTick(() => this.#write())
    }
    return 'taken'
  }

  /** Takes request `id` out of the queue; `false` when it is not there any more. */
  drop(id: number): boolean {
    const at = this.#queued.findIndex(({ message }) => message.id === id)
    const [queued] = at < 0 ? [] : this.#queued.splice(at, 1)
    if (!queued) return false
    this.#bytes -= queued.bytes
    return true
  }

  /** Writes what is queued and closes the pipe. */
  end(): void {
    if (this.#ending || this.#broken) return
    this.#ending = true
    if (!this.#writing) this.#write()
  }

  /** The reader is gone: what is queued is lost. Idempotent. */
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
      text += `${onOneLine(queued.message.text)}\n`
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
