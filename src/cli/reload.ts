import { findConfigFile } from '../config/load/load.ts'
import { describeError, GatewayError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { adminSocketFolder } from './admin.ts'
import { typed } from './this-program.ts'
import type { ReloadAnswer } from '../admin/service.ts'

export interface ReloadOptions {
  readonly config?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

/** The response of one gateway. */
interface Reloaded {
  readonly pid: number
  /** Exactly one of the two is set. */
  readonly report?: ReloadAnswer
  readonly problem?: string
}

/**
 * `reload`: every gateway that uses this configuration reads it again; prints the changes in each. Resolves when it is
 * in effect in all of them. Exit code 1 when a gateway could not apply it; that gateway continues unchanged.
 * @throws GatewayError `config` when no gateway uses this configuration
 */
export async function runReload({ config, dryRun = false, json = false }: ReloadOptions): Promise<void> {
  const file = await findConfigFile({ file: config })
  const [{ findGateways }, { askGateway, detailOf }] = await Promise.all([
    import('../admin/socket-files.ts'),
    import('../admin/client.ts'),
  ])
  const gateways = await findGateways(await adminSocketFolder(), file)
  if (gateways.length === 0)
    throw new GatewayError(
      'config',
      `No gateway of this user runs with ${file}. Start one with: ${typed('serve', file)}\nTo check the file alone: ${typed('check', file)}`,
    )
  const reloaded = await Promise.all(
    gateways.map(async ({ pid, socket }): Promise<Reloaded> => {
      try {
        const answer = await askGateway(socket, { method: 'POST', path: '/admin/reload', body: { dryRun } })
        if (answer.status === 200 && isJsonObject(answer.body))
          return { pid, report: answer.body as unknown as ReloadAnswer }
        return { pid, problem: detailOf(answer.body) }
      } catch (error) {
        return { pid, problem: `It ended before it answered: ${describeError(error)}.` }
      }
    }),
  )
  if (reloaded.some(({ report, problem }) => problem !== undefined || report?.superseded))
    process.exitCode = 1
  const text = json ? JSON.stringify(reloaded, undefined, 2) : reloaded.map(textOf).join('\n')
  process.stdout.write(`${text}\n`)
}

function textOf({ pid, report, problem }: Reloaded): string {
  if (!report) return `Gateway ${pid} runs on as it was: ${problem}`
  const { dryRun, superseded, changes, notReloadable, problems } = report
  if (superseded) return `Gateway ${pid}: a later reload took the place of this one.`
  const differs = changes.length > 0 || notReloadable.length > 0
  const head = dryRun
    ? `Gateway ${pid} would ${differs ? 'take over:' : 'change nothing.'}`
    : `Gateway ${pid} ${differs ? 'has taken over:' : 'runs with this configuration already.'}`
  const lines = [head, ...changes.map(change => `  ${change}`)]
  if (notReloadable.length > 0) lines.push(`  At the next start: ${notReloadable.join(', ')}.`)
  if (problems !== undefined) lines.push(problems)
  return lines.join('\n')
}
