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
  const renewing = endpointDetails(before.endpoint, after.endpoint)
  return { details: [...renewing, ...sectionDetails(SETTINGS, before, after, [])], renewing }
}

/** What an endpoint of any transport may have. */
interface EndpointMembers {
  readonly kind: string
  readonly sseFallback?: boolean
  readonly command?: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  readonly url?: string | undefined
  readonly headers?: Readonly<Record<string, string>>
}

/** A program and an address have other keys, which then all differ: only the two that make the difference are named. */
function endpointDetails(before: EndpointMembers, after: EndpointMembers): string[] {
  if ((before.url === undefined) !== (after.url === undefined))
    return before.url === undefined ? ['command', 'url'] : ['url', 'command']
  const { env: wasEnv = {}, headers: wasHeaders = {}, ...was } = before
  const { env = {}, headers = {}, ...is } = after
  return [
    ...keyDetails(['type'], [was.kind, was.sseFallback], [is.kind, is.sseFallback]),
    ...keyDetails(['command'], was.command, is.command),
    ...keyDetails(['args'], was.args, is.args),
    ...tableDetails(['env'], wasEnv, env),
    ...keyDetails(['cwd'], was.cwd, is.cwd),
    ...keyDetails(['url'], was.url, is.url),
    ...tableDetails(['headers'], wasHeaders, headers),
  ]
}
