import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives memory back that large messages leave behind. V8 collects when it allocates, so what the last of them leave, hundreds of megabytes, stays until
 * enough others come. A collection runs once they have stopped coming, and while they keep coming after each `MUCH_BYTES`, at most once a second.
 */

/** Messages below this are part of what is collected anyway. */
const LARGE_BYTES = 256 * 1024
/** So much has to have passed; each byte leaves about five behind. A collection stops everything for 10 to 30 ms. */
const WORTH_BYTES = 16 * 1024 * 1024
/** Without a large message for so long, they are over. */
const QUIET_MS = 250

/** While large messages keep coming, so much has to have passed, and so much time since the last collection. */
const MUCH_BYTES = 96 * 1024 * 1024
const PAUSE_MS = 1000

let passed = 0
let reclaimedAt = -Infinity
let timer: NodeJS.Timeout | undefined
let collect: (() => void) | undefined

/** A message of this size has passed, or is no longer held. */
export function letGo(bytes: number): void {
  if (bytes < LARGE_BYTES) return
  passed += bytes
  if (passed >= MUCH_BYTES && performance.now() - reclaimedAt > PAUSE_MS) reclaim()
  else if (timer) timer.refresh()
  else if (passed >= WORTH_BYTES) timer = setTimeout(reclaim, QUIET_MS).unref()
}

function reclaim(): void {
  clearTimeout(timer)
  timer = undefined
  passed = 0
  reclaimedAt = performance.now()
  collect ??= collector()
  collect()
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
