import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scratch } from './scratch.ts'
import { BIN, serve, type Served } from './served.ts'

const MEMORY_REPORT = new URL('../fixtures/programs/memory-report.js', import.meta.url).href

/** A gateway in a process of its own, whose memory can be read. */
export interface MeasuredGateway extends Served {
  /** Memory of the process that is in use and in RAM, in MiB. */
  readonly rss: number
  /** What JavaScript holds after a collection, buffers included, in MiB. */
  held(): Promise<number>
}

/** A configuration of a gateway in front of one server, `s`. */
export const inFrontOf = (scratch: Scratch, s: object): string =>
  scratch.write('servers.json', { mcpServers: { s }, gateway: { http: { port: 0 }, state: 'memory' } })

/** Starts the built gateway with an HTTP front. Its configuration should ask for port 0. */
export async function serveMeasured(configFile: string): Promise<MeasuredGateway> {
  const served = await serve(['--import', MEMORY_REPORT, BIN, 'serve', '--config', configFile])
  let count = 0
  return {
    origin: served.origin,
    pid: served.pid,
    get said() {
      return served.said
    },
    exited: served.exited,
    stop: () => served.stop(),
    [Symbol.asyncDispose]: () => served[Symbol.asyncDispose](),
    get rss() {
      const status = readFileSync(`/proc/${served.pid}/status`, 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024
    },
    async held() {
      const line = new RegExp(`memory-report ${++count} (.*)`)
      process.kill(served.pid, 'SIGUSR2')
      for (;;) {
        const said = line.exec(served.said)?.[1]
        if (said !== undefined) {
          const { heapUsed, external } = JSON.parse(said) as NodeJS.MemoryUsage
          return (heapUsed + external) / 1024 / 1024
        }
        await sleep(10)
      }
    },
  }
}
