import { configFrom } from '../../src/config/load/load.ts'
import { SILENT } from '../../src/core/logger.ts'
import type { Logger } from '../../src/core/logger.ts'
import { buildGateway } from '../../src/gateway/gateway.ts'
import type { RunningGateway } from '../../src/gateway/gateway.ts'
import { createMemoryStore } from '../../src/state/memory.ts'
import type { Store } from '../../src/state/store.ts'
import { assertNothingLeft, takeStock } from './leftovers.ts'

/** A gateway in this process, listening on a free port. */
export interface TestGateway extends AsyncDisposable {
  readonly gateway: RunningGateway
  /** `http://127.0.0.1:<port>`; empty with `listen: false`. */
  readonly origin: string
}

export interface GatewayOptions {
  /** Default: a fresh one in memory. Closed with the gateway. */
  readonly store?: Store
  /** Default: silent. */
  readonly logger?: Logger
  /** Whether to open the HTTP front; default true. */
  readonly listen?: boolean
  /** Whether entries of servers may be wrong; default false. */
  readonly problems?: boolean
  /** `timeout` of every server, also below the bound of the option. */
  readonly timeoutMs?: number
  /** Variables for `${VAR}`; default none. */
  readonly env?: Readonly<Record<string, string>>
}

/**
 * Starts a gateway from a value in the form of servers.json; port 0 and state in memory unless it says otherwise. Meant for `await using`:
 * at the end of the scope the gateway is closed, and a child, socket or timer that it leaves behind fails the test.
 */
export async function startGateway(
  file: { readonly gateway?: Readonly<Record<string, unknown>>; readonly [key: string]: unknown },
  options: GatewayOptions = {},
): Promise<TestGateway> {
  const before = takeStock()
  const read = await configFrom(
    { ...file, gateway: { http: { port: 0 }, state: 'memory', ...file.gateway } },
    { env: options.env ?? {} },
  )
  for (const { problem } of options.problems === true ? [] : read.servers)
    if (problem !== undefined) throw new Error(problem)
  const { timeoutMs } = options
  const config =
    timeoutMs === undefined
      ? read
      : { ...read, servers: read.servers.map(server => ({ ...server, timeoutMs })) }
  const store = options.store ?? createMemoryStore()
  const gateway = await buildGateway(config, {
    logger: options.logger ?? SILENT,
    store,
  })
  const close = async (): Promise<void> => {
    await gateway.close()
    await store.close()
    await assertNothingLeft(before)
  }
  try {
    const origin = options.listen === false ? '' : new URL((await gateway.listen()).url).origin
    return { gateway, origin, [Symbol.asyncDispose]: close }
  } catch (error) {
    await close()
    throw error
  }
}
