import { APPLICATIONS } from '../client-files/applications/applications.ts'
import { GatewayError } from '../core/errors.ts'
import { applyPlan, type Applied } from '../first-run/apply.ts'
import { lookAround, type FirstRun } from '../first-run/first-run.ts'
import { ownEntryFor } from '../first-run/own-program.ts'
import { checkedPlan, optionsOf, type Plan, type PlanOptions } from '../first-run/plan.ts'
import { isRunning, runningPrograms } from '../first-run/running.ts'
import { KEYRING_SERVICE } from '../first-run/secrets.ts'
import { windowsFiles } from '../first-run/windows-homes.ts'
import { writeKeyring } from '../os-keyring.ts'
import { readRegularFile, whyUnreadable } from '../regular-file.ts'
import { confirmOrStop } from './confirm.ts'
import { appliedText, planText } from './init-text.ts'
import { print, printJson } from './say.ts'
import { stoppedByUser } from './stopped-by-user.ts'
import { isPersonThere } from './terminal.ts'
import { applicationNamed, ownConfigFile, recordsFolder, thisMachine } from './this-machine.ts'
import { thisProgram, typed } from './this-program.ts'
import type { Machine } from '../client-files/applications/application.ts'

export interface InitOptions {
  readonly config?: string
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly only?: readonly string[]
  readonly project?: boolean
  readonly keep?: boolean
  readonly name: string
  readonly secrets: 'config' | 'keyring'
  readonly json?: boolean
  readonly apply?: string
}

/**
 * `init`: finds the servers of all applications, writes them to the configuration, and puts one entry in their place.
 * Exit code 1 when a file could not be changed, 130 when it was stopped.
 * @throws GatewayError `config` for a plan or a configuration that cannot be used
 */
export async function runInit(options: InitOptions): Promise<void> {
  const machine = thisMachine()
  const given = options.apply === undefined ? undefined : await readPlan(options.apply)
  const planned: PlanOptions = given?.options ?? {
    ...(options.only && { only: options.only.map(name => applicationNamed(name).id) }),
    project: options.project === true,
    name: options.name,
    secrets: options.secrets,
  }
  const file = given?.file ?? ownConfigFile(options.config, machine)
  const only = planned.only?.map(applicationNamed)
  const found = await lookAround(only ?? APPLICATIONS, machine, file, planned)
  const plan = given ? accepted(given.plan, found.plan, options.apply as string) : kept(found.plan, options)
  if (options.json === true && !given) return printJson(plan)
  if (!given) print(planText({ plan, found, machine, ofWindows: windowsFiles(machine) }))
  const isEmpty = plan.servers.every(({ isKnown }) => isKnown) && !plan.files.some(({ change }) => change)
  if (isEmpty && !given) return print(nothingText(plan))
  const isAgreed = options.dryRun !== true && (given !== undefined || options.yes === true)
  const wished = isAgreed ? plan : await agreed(plan, options)
  if (wished) await apply(wished, found, machine, options)
}

/** Carries out a plan, and says what came of it. */
async function apply(plan: Plan, found: FirstRun, machine: Machine, { json }: InitOptions): Promise<void> {
  const stop = stoppedByUser()
  const servers = [...Object.values(found.config.servers), ...found.servers.map(({ entry }) => entry)]
  const program = { ...thisProgram(), node: process.execPath, config: found.config.file, servers }
  let applied: Applied
  try {
    applied = await applyPlan({
      ...found,
      plan,
      stateFolder: recordsFolder(machine),
      command: 'init',
      ownEntry: ({ application }) => ownEntryFor(application, program, machine),
      storeSecret: (account, secret) => writeKeyring({ service: KEYRING_SERVICE, account }, secret),
      isStopped: stop.isStopped,
    })
  } finally {
    stop.done()
  }
  if (applied.config.state === 'left' || applied.files.some(({ outcome }) => outcome.state === 'left'))
    process.exitCode ||= 1
  if (json) return printJson(applied)
  const programs = await runningPrograms(machine.platform)
  const running = found.files.filter(({ application }) => isRunning(application, programs))
  const titles = new Set(running.map(({ application }) => application.title))
  print(
    appliedText({
      applied,
      file: found.config.file,
      running: titles,
      undo: typed('undo', undefined),
      machine,
    }),
  )
}

/** The plan that a person agrees to; `undefined` for nothing at all. */
async function agreed(plan: Plan, { dryRun }: InitOptions): Promise<Plan | undefined> {
  if (dryRun) {
    print('\nNothing was changed. Without --dry-run, the command asks before it does.')
    return undefined
  }
  if (!isPersonThere()) {
    print('\nNothing was changed. With --yes it is done without a question.')
    return undefined
  }
  const isNew = plan.servers.some(({ isKnown }) => !isKnown)
  if (isNew && !(await confirmOrStop(`\nWrite these servers to ${plan.config.file}?`))) return stopped()
  const files = plan.files.filter(({ change }) => change)
  if (files.length === 0) return plan
  const what = files.length === 1 ? 'this file' : `these ${files.length} files`
  const isReplaced = await confirmOrStop(`Put one entry "${plan.options.name}" in place of them in ${what}?`)
  if (isReplaced === undefined) return stopped()
  return isReplaced ? plan : kept(plan, { keep: true })
}

function stopped(): undefined {
  print('Nothing was changed.')
}

/** With `--keep`, no file of an application is changed. */
function kept(plan: Plan, { keep }: Pick<InitOptions, 'keep'>): Plan {
  return keep ? { ...plan, files: plan.files.map(file => ({ ...file, change: false })) } : plan
}

interface GivenPlan {
  readonly plan: unknown
  readonly options: PlanOptions
  readonly file: string
}

async function readPlan(path: string): Promise<GivenPlan> {
  const refuse = (why: string): GatewayError =>
    new GatewayError(
      'config',
      `The plan ${path} was not used: ${why} Make one: mcp-manifold init --json > plan.json`,
    )
  let plan: unknown
  try {
    plan = JSON.parse((await readRegularFile(path)).toString('utf8'))
  } catch (error) {
    throw refuse(error instanceof SyntaxError ? 'it is not JSON.' : `${whyUnreadable(error)}.`)
  }
  try {
    return { plan, options: optionsOf(plan), file: String((plan as Plan).config.file) }
  } catch (error) {
    throw refuse((error as Error).message)
  }
}

function accepted(given: unknown, now: Plan, path: string): Plan {
  const checked = checkedPlan(given, now)
  if (typeof checked !== 'string') return checked
  throw new GatewayError(
    'config',
    `The plan ${path} was not carried out, and nothing was changed: ${checked} Make a new one: mcp-manifold init --json > plan.json`,
  )
}

function nothingText({ servers, files }: Plan): string {
  if (servers.length > 0) return '\nThere is nothing to do: the gateway has all of these servers.'
  if (files.some(({ own }) => own.length > 0)) return '\nThere is nothing to do: the gateway is in place.'
  return '\nNo servers were found. Write them to servers.json, then: mcp-manifold install <application>'
}
