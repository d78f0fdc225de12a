import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives memory back that large messages leave behind. V8 collects when it allocates, so what the last of them leave, hundreds of megabytes, stays until
 * enough others come. A collection runs once they have stopped coming, and after each `MUCH_BYTES` while they keep coming.
 */

/** Messages below this are part of what is collected anyway. */
const LARGE_BYTES = 256 * 1024
/** So much has to have passed; each byte leaves about five behind. */
const WORTH_BYTES = 16 * 1024 * 1024
/** Without a large message for so long, they are over. */
const QUIET_MS = 250
/** While large messages keep coming, a collection runs each time so much has passed. */
const MUCH_BYTES = 16 * 1024 * 1024
/** A collection stops everything for 10 to 30 ms, with a large heap for longer. At most a fifth of the time goes to collections. */
const SHARE = 4

let passed = 0
/** When the next collection may run, by `performance.now()`. */
let notBefore = 0
let timer: NodeJS.Timeout | undefined
let collect: (() => void) | undefined

/** A message of this size has passed, or is no longer held. */
export function letGo(bytes: number): void {
  if (bytes < LARGE_BYTES) return
  passed += bytes
  if (passed >= MUCH_BYTES && performance.now() >= notBefore) reclaim()
  else if (timer) timer.refresh()
  else if (passed >= WORTH_BYTES) timer = setTimeout(reclaim, QUIET_MS).unref()
}

function reclaim(): void {
  clearTimeout(timer)
  timer = undefined
  passed = 0
  collect ??= collector()
  const began = performance.now()
  collect()
  const ended = performance.now()
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
