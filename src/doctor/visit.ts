import { listServer } from '../catalog/list-server.ts'
import { Deadlines } from '../core/deadlines.ts'
import { GatewayError } from '../core/errors.ts'
import { declaredTo } from '../protocol/capabilities.ts'
import { UNKNOWN } from '../protocol/spoken.ts'
import { connect } from '../upstream/link/connect.ts'
import { Replica } from '../upstream/replica/replica.ts'
import { VERSION } from '../version.ts'
import type { ServerSnapshot } from '../catalog/snapshot.ts'
import type { UpstreamCredentials } from '../core/upstream-credentials.ts'
import type { LinkListener } from '../upstream/link/link.ts'
import { HeardLog } from './heard-log.ts'
import type { ProbedEndpoint } from './targets.ts'

/** What one start of a server, or one connection to it, has shown. */
export interface Visit {
  readonly target: ProbedEndpoint
  /** Why the handshake failed. */
  readonly error: GatewayError | undefined
  /** Why the lists could not be fetched. */
  readonly listError: GatewayError | undefined
  /** What was learned; `undefined` after a failure. */
  readonly snapshot: ServerSnapshot | undefined
  /** From the start to the end of the handshake. */
  readonly startMs: number
  readonly heard: HeardLog
}

export interface VisitOptions {
  readonly credentials: UpstreamCredentials | undefined
  readonly signal: AbortSignal
}

const CLIENT_INFO = JSON.stringify({ name: 'mcp-manifold doctor', version: VERSION })

/** Has nothing to tell and nothing to answer. */
const ALONE: LinkListener = {
  onNotification: () => undefined,
  onRequest: (link, method) =>
    Promise.reject(
      new GatewayError('cannot_ask', `${link.server.name} asks for ${method}, and no client is there.`),
    ),
  onLost: () => undefined,
  onGap: () => undefined,
}

/**
 * Does with a server what a gateway does at its first use: starts it or connects to it, agrees on an era, fetches its
 * lists. Nothing of it stays behind. Never rejects.
 */
export async function visit(target: ProbedEndpoint, { credentials, signal }: VisitOptions): Promise<Visit> {
  const { server, replica: config } = target
  const heard = new HeardLog()
  const began = performance.now()
  const sinceStart = (): number => Math.round(performance.now() - began)
  const capabilities = declaredTo('', server.roots)
  let connected
  try {
    const replica = new Replica(server, config, 0)
    const options = { server, replica, listener: ALONE, deadlines: new Deadlines(), logger: heard, signal }
    connected = await connect(
      { ...options, clientInfo: CLIENT_INFO, capabilities, owner: undefined, credentials },
      'legacy',
      UNKNOWN,
    )
  } catch (caught) {
    const error = GatewayError.from(caught, server.name)
    return { target, error, listError: undefined, snapshot: undefined, startMs: sinceStart(), heard }
  }
  const { link } = connected
  const startMs = sinceStart()
  const base = { target, error: undefined, startMs, heard }
  try {
    const snapshot = await listServer(server, link, capabilities, undefined, heard)
    return { ...base, listError: undefined, snapshot }
  } catch (caught) {
    return { ...base, listError: GatewayError.from(caught, server.name), snapshot: undefined }
  } finally {
    await link.close()
  }
}
