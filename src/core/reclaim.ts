import { getHeapStatistics, setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives memory back that large messages leave behind. V8 collects when it allocates, so what the last of them leave, hundreds of megabytes, stays until
 * enough others come. A collection runs once they have stopped coming. While they keep coming, it runs after each `MUCH_BYTES` that left more than
 * `GROWN_BYTES` behind.
 */

/** Messages below this are part of what is collected anyway: V8 keeps larger strings apart, where only a full collection finds them. */
const LARGE_BYTES = 64 * 1024
/** So much has to have passed; each byte leaves about five behind. */
const WORTH_BYTES = 16 * 1024 * 1024
/** Without a large message for so long, they are over. */
const QUIET_MS = 250
/** While large messages keep coming, it is looked each time so much has passed. */
const MUCH_BYTES = 16 * 1024 * 1024
/** What is held has grown by so much since the last collection: one is worth its time. */
const GROWN_BYTES = 16 * 1024 * 1024
/** A collection stops everything for 10 to 30 ms, with a large heap for longer. At most a fifth of the time goes to collections. */
const SHARE = 4

let passed = 0
/** What was held after the last collection. */
let heldBefore = 0
/** When the next collection may run, by `performance.now()`. */
let notBefore = 0
let timer: NodeJS.Timeout | undefined
let collect: (() => void) | undefined

/** A message of this size has passed, or is no longer held. */
export function letGo(bytes: number): void {
  if (bytes < LARGE_BYTES) return
  passed += bytes
  if (passed >= MUCH_BYTES && performance.now() >= notBefore) look()
  else if (timer) timer.refresh()
  else if (passed >= WORTH_BYTES) timer = setTimeout(reclaim, QUIET_MS).unref()
}

function look(): void {
  if (held() - heldBefore > GROWN_BYTES) return reclaim()
  // The next ones are waited for; where none come, the timer collects.
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

/** The one way to V8's collector that needs no flag at the start of the process. */
function collector(): () => void {
  try {
    setFlagsFromString('--expose-gc')
    const gc: unknown = runInNewContext('globalThis.gc')
    if (typeof gc === 'function') return gc as () => void
  } catch {
    // A runtime without it collects when it allocates.
  }
  return () => undefined
}
