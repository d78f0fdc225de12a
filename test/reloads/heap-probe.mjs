// @ts-check
/**
 * Loaded into a gateway with `--import` and `--expose-gc`: on SIGUSR2 it collects garbage and adds a line to the file
 * that `HEAP_FILE` names: the bytes of the heap that are in use, those of compiled code among them, and how many
 * generations of the configuration are left.
 */
import { appendFileSync } from 'node:fs'
import { getHeapCodeStatistics, queryObjects } from 'node:v8'
import { Generation } from '../../dist/gateway/generation.js'

const file = String(process.env['HEAP_FILE'])
process.on('SIGUSR2', () => {
  void (async () => {
    for (let times = 0; times < 3; times++) {
      globalThis.gc?.()
      await new Promise(resolve => setImmediate(resolve))
    }
    const { heapUsed } = process.memoryUsage()
    const { code_and_metadata_size: code } = getHeapCodeStatistics()
    const generations = queryObjects(Generation)
    appendFileSync(file, `${heapUsed} ${code} ${generations}\n`)
  })()
})
