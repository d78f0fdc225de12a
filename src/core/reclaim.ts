import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Frees the memory of large messages. V8 collects when it allocates, so the hundreds of megabytes left by the last
 * large messages stay until further ones arrive. A collection runs once large messages have stopped. While they
 * continue, it runs after each `MUCH_BYTES` that left more than `GROWN_BYTES` behind.
 */

/**
 * Smaller messages are freed by ordinary collections. V8 keeps larger strings in a separate space that only a full
 * collection frees.
 */
const LARGE_BYTES = 64 * 1024
/** Bytes of messages that justify a collection; each byte leaves about five behind. */
const WORTH_BYTES = 16 * 1024 * 1024
/** Large messages have stopped when none passes for this long. */
const QUIET_MS = 250
/** While large messages continue, the heap is checked each time this many bytes have passed. */
const MUCH_BYTES = 16 * 1024 * 1024
/** Heap growth since the last collection that justifies another one. */
const GROWN_BYTES = 16 * 1024 * 1024
/**
 * A collection blocks the process for 10 to 30 ms, longer with a large heap. At most a fifth of the time is spent on
 * collections.
 */
const SHARE = 4

let passed = 0
/** Heap size after the last collection. */
let heldBefore = 0
/** Earliest time of the next collection, by `performance.now()`. */
let notBefore = 0
let timer: NodeJS.Timeout | undefined
let collect: (() => void) | undefined

/** Reports that a message of this size has passed or is no longer held. */
export function letGo(bytes: number): void {
  if (bytes < LARGE_BYTES) return
  passed += bytes
  if (passed >= MUCH_BYTES && performance.now() >= notBefore) look()
  else if (timer) timer.refresh()
  else if (passed >= WORTH_BYTES) timer = setTimeout(reclaim, QUIET_MS).unref()
}

function look(): void {
  if (held() - heldBefore > GROWN_BYTES) return reclaim()
  // Waits for further messages; the timer collects when none arrives.
  passed = 0
  timer ??= setTimeout(reclaim, QUIET_MS).unref()
  timer.refresh()
}

/** Bytes of the heap, buffers included. */
function held(): number {
  const { used_heap_size: heap, external_memory: buffers } = getHeapStatistics()
  return heap + buffers
}

function reclaim(): void {
  clearTimeout(timer)
  timer = undefined
  passed = 0
  collect ??= collector()
  const began = performance.now()
  collect()
  const ended = performance.now()
  heldBefore = held()
  notBefore = ended + SHARE * (ended - began)
}

/** The only access to V8's collector that needs no flag at the start of the process. */
function collector(): () => void {
  try {
    setFlagsFromString('--expose-gc')
    const gc: unknown = runInNewContext('globalThis.gc')
    if (typeof gc === 'function') return gc as () => void
  } catch {
    // Without this access, the runtime collects only when it allocates.
  }
  return () => undefined
}
