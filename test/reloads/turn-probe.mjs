// @ts-check
/**
 * Loaded into a gateway with `--import`: measures the longest turn of its event loop. On SIGUSR2 it writes a line to the
 * file that `TURN_FILE` names, with the longest turn since the last line in milliseconds, and begins anew.
 *
 * A turn is what passes between two ticks of a timer of a millisecond. Where the system tells how long the thread has
 * run (`/proc/thread-self/schedstat`, Linux), that time counts, so that other programs on the machine do not.
 */
import { appendFileSync, openSync, readSync } from 'node:fs'

const file = String(process.env['TURN_FILE'])
const TICK_MS = 1
const buffer = Buffer.alloc(128)
/** @type {number | undefined} */
let schedstat
try {
  schedstat = openSync('/proc/thread-self/schedstat', 'r')
} catch {}

/** What the thread has run, in milliseconds. */
function ranMs() {
  if (schedstat === undefined) return performance.now()
  const size = readSync(schedstat, buffer, 0, buffer.length, 0)
  return Number(buffer.toString('latin1', 0, size).split(' ')[0]) / 1e6
}

let longestMs = 0
let before = ranMs()
setInterval(() => {
  const now = ranMs()
  if (now - before > longestMs) longestMs = now - before
  before = now
}, TICK_MS).unref()

process.on('SIGUSR2', () => {
  appendFileSync(file, `${longestMs.toFixed(2)}\n`)
  longestMs = 0
  before = ranMs()
})
