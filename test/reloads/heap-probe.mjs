// @ts-check
/**
 * Loaded into a gateway with `--import` and `--expose-gc`: on SIGUSR2 it collects garbage and writes the bytes of the
 * heap that are in use to the file that `HEAP_FILE` names, one line a signal.
 */
import { appendFileSync } from 'node:fs'

const file = String(process.env['HEAP_FILE'])
process.on('SIGUSR2', () => {
  void (async () => {
    for (let times = 0; times < 3; times++) {
      globalThis.gc?.()
      await new Promise(resolve => setImmediate(resolve))
    }
    appendFileSync(file, `${process.memoryUsage().heapUsed}\n`)
  })()
})
