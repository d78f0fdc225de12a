import { describeError } from '../core/errors.ts'
import { LAYER_EXITS } from './codes.ts'
import { errorOf, newExamination, type Examination, type Mended, type Skipped } from './examination.ts'
import { LAYERS, type Layer } from './layers.ts'
import { tokensOf } from './check-lists.ts'
import type { Finding } from './finding.ts'
import type { World } from './world.ts'

/** What is known of one endpoint of a server after its visit. */
export interface ServerFacts {
  readonly server: string
  readonly transport: string
  readonly era: 'legacy' | 'modern'
  readonly revision: string
  readonly startMs: number
  readonly tools: number
  readonly resources: number
  readonly prompts: number
  /** About how much of a conversation its tools take. */
  readonly tokens: number
}

export interface Report {
  /** In the order of the layers. */
  readonly findings: readonly Finding[]
  readonly skipped: readonly Skipped[]
  readonly mended: readonly Mended[]
  readonly servers: readonly ServerFacts[]
  /** The file that was looked at; `undefined` when there is none. */
  readonly file: string | undefined
  /** 0 without an error, else that of the first layer with one. */
  readonly exitCode: number
}

/** Looks at everything, layer by layer. `fixes`: does what is safe about what it finds. Leaves nothing behind. */
export async function examine(world: World, fixes: boolean): Promise<Report> {
  const exam = newExamination(world)
  try {
    for (const layer of LAYERS) {
      world.signal.throwIfAborted()
      const found = await run(layer, exam)
      exam.findings.push(...(fixes ? await mend(found, exam) : found))
      if (layer.name === 'network') skipBroken(exam)
    }
    world.signal.throwIfAborted()
    return reportOf(exam)
  } finally {
    await exam.store?.close()
  }
}

async function run(layer: Layer, exam: Examination): Promise<Finding[]> {
  const skip = (because: string): Finding[] => {
    exam.skipped.push({ layer: layer.name, server: undefined, because })
    return []
  }
  if (layer.needsFile && !exam.config) return skip('the configuration cannot be used')
  try {
    return await layer.check(exam)
  } catch (error) {
    return skip(`it could not be looked at: ${describeError(error)}`)
  }
}

/** What is left after everything that can be mended was. */
async function mend(found: readonly Finding[], { mended }: Examination): Promise<Finding[]> {
  const left: Finding[] = []
  const done = new Map<Finding['mend'], boolean>()
  for (const one of found) {
    if (!one.mend || done.get(one.mend) === false) left.push(one)
    else if (!done.has(one.mend))
      try {
        mended.push({ code: one.code, done: await one.mend(), failed: undefined })
        done.set(one.mend, true)
      } catch (error) {
        mended.push({ code: one.code, done: undefined, failed: describeError(error) })
        done.set(one.mend, false)
        left.push(one)
      }
  }
  return left
}

/** Servers with an error are not started. */
function skipBroken(exam: Examination): void {
  const names = new Set(exam.targets.map(({ server }) => server.name))
  for (const server of names) {
    const error = errorOf(exam, server)
    if (error)
      exam.skipped.push({ layer: 'start', server, because: `the layer "${error.layer}" has an error of it` })
  }
}

function reportOf({ findings, skipped, mended, visits, config }: Examination): Report {
  const order = Object.keys(LAYER_EXITS)
  const inOrder = findings.toSorted((a, b) => order.indexOf(a.layer) - order.indexOf(b.layer))
  const first = inOrder.find(({ severity }) => severity === 'error')
  return {
    findings: inOrder,
    skipped,
    mended,
    servers: [...visits.values()].flatMap(({ target, snapshot, startMs }) =>
      snapshot
        ? [
            {
              server: target.label,
              transport: snapshot.transport,
              era: snapshot.era,
              revision: snapshot.protocolVersion,
              startMs,
              tools: snapshot.lists.tools.length,
              resources: snapshot.lists.resources.length,
              prompts: snapshot.lists.prompts.length,
              tokens: tokensOf(snapshot.lists.tools.map(({ text }) => text)),
            },
          ]
        : [],
    ),
    file: config?.file,
    exitCode: first ? LAYER_EXITS[first.layer] : 0,
  }
}
