import { isJsonObject } from '../core/json-object.ts'
import { assertServer, loadForCommand } from './reach.ts'
import { answeringGateways, noneRuns } from './running-gateways.ts'
import { describeError } from '../core/errors.ts'
import type { CommonOptions } from './common-options.ts'

export interface RestartOptions extends CommonOptions {
  readonly json?: boolean
}

/** The answer of one gateway. */
interface Restarted {
  readonly pid: number
  /** Links that get no new calls; `undefined` when there is a problem. */
  readonly drainedLinks?: number
  readonly problem?: string
}

/**
 * `restart`: every running gateway of this configuration opens new links to a server, for a program a new process.
 * Calls in flight end on the old ones. Exit code 1 when a gateway could not.
 * @throws GatewayError `config` when there is no such server, or no gateway runs
 */
export async function runRestart(server: string, options: RestartOptions): Promise<void> {
  const loaded = await loadForCommand(options)
  const { config } = loaded
  assertServer(server, loaded)
  const file = config.file ?? ''
  const [gateways, { askGateway, detailOf }] = await Promise.all([
    answeringGateways(file),
    import('../admin/client.ts'),
  ])
  if (gateways.length === 0) throw noneRuns(file, `"${server}" is started with the next call.`)
  const restarted = await Promise.all(
    gateways.map(async ({ pid, socket }): Promise<Restarted> => {
      try {
        const answer = await askGateway(socket, { method: 'POST', path: '/admin/restart', body: { server } })
        if (answer.status === 200 && isJsonObject(answer.body))
          return { pid, drainedLinks: Number(answer.body['drainedLinks']) }
        return { pid, problem: detailOf(answer.body) }
      } catch (error) {
        return { pid, problem: `It gave no answer. Cause: ${describeError(error)}.` }
      }
    }),
  )
  if (restarted.some(({ problem }) => problem !== undefined)) process.exitCode = 1
  if (options.json) return void process.stdout.write(`${JSON.stringify(restarted, undefined, 2)}\n`)
  const lines = restarted.map(({ pid, drainedLinks = 0, problem }) =>
    problem === undefined
      ? `Gateway ${pid}: "${server}" gets new links${drainedLinks > 0 ? `; ${drainedLinks} end when their calls have` : ''}.`
      : `Gateway ${pid}: ${problem}`,
  )
  process.stdout.write(`${lines.join('\n')}\n`)
}
