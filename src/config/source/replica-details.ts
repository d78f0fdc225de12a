import { isJsonObject } from '../../core/json-object.ts'
import { ENDPOINT, LOCATION_KEYS, type LocationKey } from '../options/endpoint.ts'
import { section } from '../options/option.ts'
import { REPLICA } from '../options/resilience.ts'
import { keyDetail, keyDetails, sectionDetails, tableDetails } from './key-details.ts'
import { isSame } from './differences.ts'
import type { ReplicaConfig } from '../replica-types.ts'

/** The keys that differ, and of these the ones that replace links. */
export interface ReplicaDetails {
  readonly details: readonly string[]
  readonly renewing: readonly string[]
}

const SETTINGS = section('mcpServers.*.replicas.*', REPLICA)

/**
 * The keys of a server's replicas that differ. What differs in all of them alike is said once, since a server has one
 * replica without `replicas`, and passes values on to those that it has.
 */
export function replicaDetails(
  before: readonly ReplicaConfig[],
  after: readonly ReplicaConfig[],
): ReplicaDetails {
  const [one, other] = [before[0], after[0]]
  if (before.length === 1 && after.length === 1 && one && other) return ofReplica(one, other)
  const old = new Map(before.map(replica => [replica.name, replica]))
  const kept = after.flatMap(replica => {
    const was = old.get(replica.name)
    return was === undefined ? [] : [{ name: replica.name, ...ofReplica(was, replica) }]
  })
  const names = new Set(after.map(({ name }) => name))
  const added = after.filter(({ name }) => !old.has(name)).map(({ name }) => `${pathOf(name)} added`)
  const removed = before.filter(({ name }) => !names.has(name)).map(({ name }) => `${pathOf(name)} removed`)
  const isOfAll = (detail: string): boolean =>
    kept.length > 1 && kept.every(({ details }) => details.includes(detail))
  const named = (which: 'details' | 'renewing'): string[] => [
    ...new Set(
      kept.flatMap(replica =>
        replica[which].map(detail => (isOfAll(detail) ? detail : `${pathOf(replica.name)}.${detail}`)),
      ),
    ),
  ]
  const changed = named('details')
  const isReordered = changed.length + added.length + removed.length === 0 && !isSame(before, after)
  return {
    details: [...changed, ...added, ...removed, ...(isReordered ? ['replicas: their order'] : [])],
    renewing: named('renewing'),
  }
}

function pathOf(name: string): string {
  return keyDetail(['replicas', name])
}

function ofReplica(before: ReplicaConfig, after: ReplicaConfig): ReplicaDetails {
  const renewing = endpointDetails({ ...before.endpoint }, { ...after.endpoint })
  return { details: [...renewing, ...sectionDetails(SETTINGS, before, after, [])], renewing }
}

type Members = Readonly<Record<string, unknown>>

/** Endpoints at different locations have other keys, which then all differ: only the two locations are named. */
function endpointDetails(before: Members, after: Members): string[] {
  const [was, is] = [locationOf(before), locationOf(after)]
  if (was !== undefined && is !== undefined && was !== is) return [was, is]
  return [
    ...keyDetails(['type'], withoutKeys(before), withoutKeys(after)),
    ...keyDetails(['headersHelper'], before['headersHelper'], after['headersHelper']),
    ...Object.entries(ENDPOINT).flatMap(([key, { check }]) =>
      check.kind === 'table'
        ? tableDetails([key], tableOf(valuesOf(before, key)), tableOf(valuesOf(after, key)))
        : keyDetails([key], before[key], after[key]),
    ),
  ]
}

function locationOf(endpoint: Members): LocationKey | undefined {
  return LOCATION_KEYS.find(key => endpoint[key] !== undefined)
}

/** The members that are no key of the file: they follow from `type`. */
function withoutKeys(endpoint: Members): Members {
  return Object.fromEntries(
    Object.entries(endpoint).filter(([key]) => !Object.hasOwn(ENDPOINT, key) && !OF_PROGRAMS.has(key)),
  )
}

/** Members that have details of their own. */
const OF_PROGRAMS: ReadonlySet<string> = new Set(['printed', 'headersHelper'])

/** Headers with their programs, which may differ where their outputs do not. */
function valuesOf(endpoint: Members, key: string): unknown {
  if (key !== 'headers') return endpoint[key]
  const headers = tableOf(endpoint['headers'])
  const printed = tableOf(endpoint['printed'])
  return Object.fromEntries(Object.entries(headers).map(([name, text]) => [name, [text, printed[name]]]))
}

function tableOf(value: unknown): Members {
  return isJsonObject(value) ? value : {}
}
