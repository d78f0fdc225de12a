import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * Gives memory back that large messages leave behind. V8 collects when it allocates, so what the last of them leave, hundreds of megabytes, stays until
 * enough others come. While they keep coming nothing is done here.
 */

/** Messages below this are part of what is collected anyway. */
const LARGE_BYTES = 256 * 1024
/** So much has to have passed; each byte leaves about five behind. A collection stops everything for 10 to 30 ms. */
const WORTH_BYTES = 16 * 1024 * 1024
/** Without a large message for so long, they are over. */
const QUIET_MS = 250

let passed = 0
let timer: NodeJS.Timeout | undefined
let collect: (() => void) | undefined

/** A message of this size has passed, or is no longer held. */
export function letGo(bytes: number): void {
  if (bytes < LARGE_BYTES) return
  passed += bytes
  if (timer) timer.refresh()
  else if (passed >= WORTH_BYTES) timer = setTimeout(reclaim, QUIET_MS).unref()
}

function reclaim(): void {
  timer = undefined
  passed = 0
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
