import { changeEntry, checkChange, type ServerEdit } from '../config/edit/change-entry.ts'
import { GatewayError } from '../core/errors.ts'
import { plannedServer, type Planned } from './add-plan.ts'
import { answersTo, askedFor } from './asked-values.ts'
import { confirm } from './confirm.ts'
import { keepSecrets } from './kept-secrets.ts'
import { plannedEntry, type PlannedEntry, type WrittenPlan } from './planned-entry.ts'
import { serverKey } from './server-key.ts'
import { entryLines } from './shown-entry.ts'
import { isPersonThere, oneLine } from './terminal.ts'
import type { AddOptions } from './add-options.ts'

/** What was added. */
export interface AddedServer {
  readonly server: string
  readonly changed: boolean
  /** What is left to do, each a sentence. */
  readonly left: readonly string[]
  /** Whether it has all that it needs. */
  readonly isReady: boolean
  /** Removes what the server had before, once no gateway uses it. */
  tidyUp(): Promise<void>
}

export interface Adding {
  readonly signal: AbortSignal
  /** @throws GatewayError `config` for a name that the file has */
  readonly refuseTaken: (server: string) => Promise<void>
}

/**
 * Adds what a registry or a bundle describes. The values are collected first; then exactly what will run is shown and
 * agreed to; then everything is checked; the keyring and the file are written last.
 * @throws GatewayError `config` or `cancelled`; NotAnswered; the reason of the signal. Everything is as before then
 */
export async function addDescribed(
  source: string,
  file: string,
  options: AddOptions,
  { signal, refuseTaken }: Adding,
): Promise<AddedServer> {
  const planned = await plannedServer(source, file, options, signal)
  const { plan, server } = planned
  await refuseTaken(server)
  signal.throwIfAborted()
  if (isAsking(options) && plan.description !== '') process.stderr.write(`${oneLine(plan.description)}\n`)
  const answers = await answersTo(plan.asked, options, signal)
  const entry = plannedEntry(plan, answers, server, await serverKey(file, server))
  await agree(planned, entry, options, signal)
  return await write(planned, entry, file, signal)
}

function isAsking({ json }: AddOptions): boolean {
  return !json && isPersonThere()
}

/** @throws GatewayError `config` unless it was agreed to */
async function agree(
  { plan, server }: Planned,
  { shown, missing }: PlannedEntry,
  options: AddOptions,
  signal: AbortSignal,
): Promise<void> {
  const needs = missing.map(asked => `It needs ${askedFor(asked)}: --set ${asked.label}=<value>`)
  const isAgreed = options.yes === true && missing.length === 0
  const willBe = isAgreed || isAsking(options) ? 'will be' : 'would be'
  const [first = '', ...more] = entryLines(shown)
  const lines = [`"${oneLine(server)}" ${willBe}: ${first}`, ...more, ...plan.notes.map(oneLine)]
  if (isAgreed) return void process.stderr.write(`${lines.join('\n')}\n`)
  if (!isAsking(options)) {
    const agreeing = options.yes ? [] : [' Add --yes to agree to that.']
    throw new GatewayError(
      'config',
      [...lines, ...needs, `Nothing was added.${agreeing.join('')}`].join('\n'),
    )
  }
  process.stderr.write(`${lines.join('\n')}\n`)
  if (!(await confirm('Add it?', true, signal))) throw new GatewayError('cancelled', 'Nothing was added.')
}

async function write(
  { server, code }: Planned,
  planned: PlannedEntry,
  file: string,
  signal: AbortSignal,
): Promise<AddedServer> {
  const editOf = ({ entry, laterVariables }: WrittenPlan): ServerEdit => ({
    file,
    name: server,
    change: () => entry,
    laterVariables: laterVariables.map(({ variable }) => variable),
  })
  const bundles = code && (await import('../bundles/unpack.ts'))
  if (code) await bundles?.unpack(code, signal)
  let undo = async (): Promise<void> => {
    if (code) await bundles?.removeCode(code.folder)
  }
  try {
    await checkChange(editOf(planned.written(new Set(planned.secrets.keys()))))
    signal.throwIfAborted()
    const kept = await keepSecrets(planned.secrets)
    const removeUnpacked = undo
    undo = async () => {
      await kept.undo()
      await removeUnpacked()
    }
    signal.throwIfAborted()
    const written = planned.written(kept.accounts)
    const changed = await changeEntry(editOf(written))
    return {
      server,
      changed,
      left: leftOf(written),
      isReady: written.laterVariables.length === 0,
      tidyUp: async () => {
        if (code) await bundles?.removeOtherCode(code.folder)
      },
    }
  } catch (error) {
    await undo()
    throw error
  }
}

function leftOf({ kept, laterVariables }: WrittenPlan): string[] {
  return [
    ...kept.map(({ label }) => `${oneLine(label)} is in the keyring of the system.`),
    ...laterVariables.map(({ variable, asked, wasGiven }) =>
      wasGiven
        ? `There is no keyring here, so ${oneLine(asked.label)} was not kept. Set the variable ${variable} before the gateway starts.`
        : `Set the variable ${variable}${described(asked.description)} before the gateway starts.`,
    ),
  ]
}

function described(description: string): string {
  return description === '' ? '' : ` (${oneLine(description)})`
}
