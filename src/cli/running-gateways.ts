import { request } from 'node:http'
import type { Duplex } from 'node:stream'
import { GatewayError } from '../core/errors.ts'
import { isJsonObject, jsonObjectIn } from '../core/json-object.ts'
import { adminSocketFolder } from './admin.ts'
import { typed } from './this-program.ts'
import type { AdminSocket } from '../admin/socket-files.ts'
import type { AdminStatus } from '../admin/service.ts'
import type { ServerStatus } from '../gateway/status.ts'

/** The status of a server as the admin API gives it. */
export type ShownServer = Omit<ServerStatus, 'startTimeoutMs' | 'errorInFull'>

/** A running gateway that has answered. */
export interface AnsweringGateway extends AdminSocket {
  readonly status: Omit<AdminStatus, 'servers'> & { readonly servers: readonly ShownServer[] }
}

/** How long a gateway may take to say how it stands. */
const STATUS_TIMEOUT_MS = 5000

export interface RunningGateways {
  /** The youngest first. */
  readonly answering: readonly AnsweringGateway[]
  /** Processes of those that have given no answer. */
  readonly silent: readonly number[]
}

/**
 * The running gateways of a configuration file, each of which has answered.
 * @throws GatewayError `config` for one that does not answer, because what a command does beside it could be wrong
 */
export async function answeringGateways(file: string): Promise<readonly AnsweringGateway[]> {
  const { answering, silent } = await runningGateways(file)
  if (silent.length === 0) return answering
  throw new GatewayError(
    'config',
    `The gateway ${silent.join(', ')} runs with ${file}, and does not answer. It is busy, ends, or has too many commands at once. Try again; if it goes on, end it.`,
  )
}

/** The running gateways of a configuration file, with their status. */
export async function runningGateways(file: string): Promise<RunningGateways> {
  const { findGateways } = await import('../admin/socket-files.ts')
  const found = await findGateways(await adminSocketFolder(), file)
  const answers = await Promise.all(
    found.map(async ({ pid, socket }): Promise<AnsweringGateway[]> => {
      const status = await statusNow({ socket })
      return status ? [{ pid, socket, status }] : []
    }),
  )
  const answering = answers.flat().sort((a, b) => b.status.startedAt - a.status.startedAt)
  const answered = new Set(answering.map(({ pid }) => pid))
  return { answering, silent: found.map(({ pid }) => pid).filter(pid => !answered.has(pid)) }
}

/** How a running gateway and its servers stand; `undefined` when it gives no answer. */
export async function statusNow({
  socket,
}: Pick<AdminSocket, 'socket'>): Promise<AnsweringGateway['status'] | undefined> {
  const { askGateway } = await import('../admin/client.ts')
  const asking = { method: 'GET', path: '/admin/status', timeoutMs: STATUS_TIMEOUT_MS }
  const answer = await askGateway(socket, asking).catch(() => undefined)
  if (answer?.status !== 200 || !isJsonObject(answer.body)) return undefined
  return answer.body as unknown as AnsweringGateway['status']
}

/** The error of a command that needs a running gateway. */
export function noneRuns(file: string, alternative: string): GatewayError {
  return new GatewayError(
    'config',
    `No gateway of this user runs with ${file}. ${alternative}\nStart one with: ${typed('serve', file)}\nOne on stdio is started by its client, and runs as long as that.`,
  )
}

export interface ConversationAs {
  readonly endpoint?: string | undefined
  readonly client?: string | undefined
}

/**
 * Opens a conversation over MCP with a running gateway.
 * @throws GatewayError with its reason when it refuses
 */
export async function converseWith({ socket }: AdminSocket, as: ConversationAs): Promise<Duplex> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(as)) if (value !== undefined) query.set(name, String(value))
  const path = `/admin/mcp${query.size > 0 ? `?${query.toString()}` : ''}`
  const headers = { host: 'localhost', connection: 'Upgrade', upgrade: 'mcp' }
  return await new Promise((resolve, reject) => {
    const asked = request({ socketPath: socket, path, headers, agent: false })
    asked.on('upgrade', (_response, connection, head) => {
      if (head.length > 0) connection.unshift(head)
      resolve(connection)
    })
    asked.on('response', response => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => (text += chunk))
      response.on('error', reject)
      response.on('end', () => reject(new GatewayError('config', reasonIn(text))))
    })
    asked.on('error', reject)
    asked.end()
  })
}

function reasonIn(text: string): string {
  const { detail } = jsonObjectIn(text) ?? {}
  if (typeof detail === 'string') return detail
  return 'The running gateway does not take commands over its socket: it is of an earlier version. Restart it.'
}
