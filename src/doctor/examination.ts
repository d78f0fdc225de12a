import type { Config } from '../config/types.ts'
import type { Store } from '../state/store.ts'
import type { LayerName } from './codes.ts'
import type { Finding } from './finding.ts'
import type { ProbedEndpoint } from './targets.ts'
import type { Visit } from './visit.ts'
import type { World } from './world.ts'

/** What a layer was not asked about, and why. */
export interface Skipped {
  readonly layer: LayerName
  /** `undefined`: the whole layer. */
  readonly server: string | undefined
  /** Completes "skipped, because". */
  readonly because: string
}

/** What `--fix` has done, or could not do. */
export interface Mended {
  readonly code: Finding['code']
  readonly done: string | undefined
  readonly failed: string | undefined
}

/** What the layers have learned so far. Later layers build on earlier ones. */
export interface Examination {
  readonly world: World
  readonly findings: Finding[]
  readonly skipped: Skipped[]
  readonly mended: Mended[]
  /** Set by the layer `file`, unless the file cannot be used at all. */
  config: Config | undefined
  /** The configuration as written, with the names of its keys. */
  written: unknown
  /** What the servers are reached by, without those that the file leaves out. */
  targets: readonly ProbedEndpoint[]
  /** Open from the layer `state` on, where the store can be used. */
  store: Store | undefined
  /** What the servers said, by the label of the target. */
  readonly visits: Map<string, Visit>
}

export function newExamination(world: World): Examination {
  return {
    world,
    findings: [],
    skipped: [],
    mended: [],
    config: undefined,
    written: undefined,
    targets: [],
    store: undefined,
    visits: new Map(),
  }
}

/** The first error of a server that earlier layers have found. */
export function errorOf({ findings }: Examination, server: string): Finding | undefined {
  return findings.find(found => found.server === server && found.severity === 'error')
}

/** Whether an earlier layer has found an error of a server, so that later ones would only repeat it. */
export function isBroken(exam: Examination, server: string): boolean {
  return errorOf(exam, server) !== undefined
}
