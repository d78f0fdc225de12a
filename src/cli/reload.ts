import { findConfigFile } from '../config/load/load.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { adminSocketFolder } from './admin.ts'
import { typed } from './this-program.ts'
import { whileWaiting } from './waiting.ts'
import type { ClientEnding, ReloadAnswer } from '../admin/service.ts'
import type { AdminSocket } from '../admin/socket-files.ts'

export interface ReloadOptions {
  readonly config?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** Age of the last change up to which the watch has probably applied what the command asks for. */
const MAX_AGE_S = 60
/** Maximum number of servers with a problem that are listed one by one. */
const MAX_UNUSABLE = 20

/** What became of a gateway that has not reloaded, in words. */
const STATES = {
  unchanged: 'runs on as it was',
  ending: 'is ending',
  unknown: 'gave no answer',
} as const

/** The response of one gateway. */
export interface GatewayReload {
  readonly pid: number
  /** `undefined` when there is a problem. */
  readonly report?: ReloadAnswer
  readonly problem?: string
  /** With a problem: whether the gateway continues unchanged, ends, or may have reloaded. */
  readonly state?: keyof typeof STATES
}

/**
 * `reload`: every gateway that uses this configuration reads it again; prints the changes in each. Resolves when it is
 * in effect in all of them. Exit code 1 when a gateway could not apply it, and continues unchanged or ends.
 * @throws GatewayError `config` when no gateway uses this configuration
 */
export async function runReload({ config, dryRun = false, json = false }: ReloadOptions): Promise<void> {
  const file = await findConfigFile({ file: config })
  const { findGateways } = await import('../admin/socket-files.ts')
  const gateways = await findGateways(await adminSocketFolder(), file)
  if (gateways.length === 0)
    throw new GatewayError(
      'config',
      `No gateway of this user runs with ${file}. Start one with: ${typed('serve', file)}\nOne on stdio is started by its client, and runs as long as that.\nTo check the file alone: ${typed('check', file)}`,
    )
  const reloaded = await whileWaiting('Waiting for the running gateways', reloadAll(gateways, dryRun))
  if (reloaded.some(isFailed)) process.exitCode = 1
  const text = json ? JSON.stringify(reloaded, undefined, 2) : reloaded.map(reloadedText).join('\n')
  process.stdout.write(`${text}\n`)
}

/** Has each of the gateways read its configuration again. */
export async function reloadAll(
  gateways: readonly AdminSocket[],
  dryRun: boolean,
): Promise<readonly GatewayReload[]> {
  const { askGateway, detailOf } = await import('../admin/client.ts')
  return await Promise.all(
    gateways.map(async ({ pid, socket }): Promise<GatewayReload> => {
      try {
        const answer = await askGateway(socket, { method: 'POST', path: '/admin/reload', body: { dryRun } })
        if (answer.status === 200 && isJsonObject(answer.body))
          return { pid, report: answer.body as unknown as ReloadAnswer }
        return { pid, problem: detailOf(answer.body), state: answer.status === 503 ? 'ending' : 'unchanged' }
      } catch (error) {
        return {
          pid,
          problem: `${dryRun ? '' : 'It may have reloaded. '}Cause: ${describeError(error)}.`,
          state: 'unknown',
        }
      }
    }),
  )
}

/** An entry that cannot be used is a problem, although the rest takes effect. */
function isFailed({ report, problem }: GatewayReload): boolean {
  return problem !== undefined || report?.superseded === true || report?.problems !== undefined
}

/** What became of one gateway, for a person. */
export function reloadedText({ pid, report, problem, state = 'unchanged' }: GatewayReload): string {
  if (!report) return `Gateway ${pid} ${STATES[state]}: ${problem}`
  const { dryRun, superseded, changes, endings, notReloadable, unusable, problems } = report
  if (superseded) return `Gateway ${pid}: a later reload took the place of this one.`
  const about = [...changes]
  about.push(...endings.map(ending => endingText(ending, dryRun ? 'would lose' : 'has lost')))
  for (const { key, reason } of notReloadable) about.push(`At the next start: ${key}, because ${reason}.`)
  about.push(...unusable.slice(0, MAX_UNUSABLE).map(unusableText))
  if (unusable.length > MAX_UNUSABLE) about.push(`And ${unusable.length - MAX_UNUSABLE} more such servers.`)
  const head = changes.length > 0 ? (dryRun ? 'would take over' : 'has taken over') : nothing(report)
  const lines = [`Gateway ${pid} ${head}${about.length > 0 ? ':' : '.'}`, ...indented(about)]
  if (problems !== undefined) lines.push(problems)
  // An earlier change is not what this command is about, and stands after all that is present.
  if (report.lastApplied && report.lastApplied.secondsAgo <= MAX_AGE_S) {
    lines.push(`The last change was applied ${report.lastApplied.secondsAgo} s ago:`)
    lines.push(...indented(report.lastApplied.changes))
    lines.push(...indented(report.lastApplied.endings.map(ending => endingText(ending, 'has lost'))))
  }
  return lines.join('\n')
}

function endingText({ client, connections, reason }: ClientEnding, loses: string): string {
  const what = connections === 1 ? 'connection' : 'connections'
  return `Client ${JSON.stringify(client)} ${loses} ${connections} ${what}. It is told: ${reason}`
}

function indented(lines: readonly string[]): string[] {
  return lines.map(line => `  ${line}`)
}

function nothing({ dryRun, notReloadable, unusable }: ReloadAnswer): string {
  if (dryRun) return 'would change nothing'
  return notReloadable.length + unusable.length > 0
    ? 'has changed nothing'
    : 'runs with this configuration already'
}

function unusableText({ server, runsOn }: ReloadAnswer['unusable'][number]): string {
  const effect = runsOn ? 'runs on as it was, and the next start leaves it out' : 'is left out'
  return `Server ${JSON.stringify(server)} ${effect}, because its entry has a problem.`
}
