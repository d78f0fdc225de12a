import { atOnce, type Steps } from '../../core/slices.ts'
import { isSame } from './differences.ts'
import {
  clientDetails,
  gatewayDetails,
  profileDetails,
  roleDetails,
  serverSettings,
} from './entry-details.ts'
import { LINK_SETTINGS, presentsLogin } from '../link-settings.ts'
import { replicaDetails } from './replica-details.ts'
import type { Config, ServerConfig } from '../types.ts'

/** The differences between two configurations, described without secrets. */
export interface ChangeDescription {
  /** Whether a running gateway is unaffected. */
  readonly isEmpty: boolean
  /** A sentence for each entry of `changes` that runs or ran: the first 20, and the number of the others. */
  readonly lines: readonly string[]
  /** Servers, clients, roles and profiles in this order, then the sections of `gateway`. */
  readonly changes: readonly EntryChange[]
}

/** One entry that differs. */
export interface EntryChange {
  readonly kind: 'server' | 'client' | 'role' | 'profile' | 'gateway'
  /** `undefined` for the gateway itself. */
  readonly name: string | undefined
  /** `unusable`: what differs is an entry with a problem, which runs nothing. No sentence describes it. */
  readonly change: 'added' | 'removed' | 'changed' | 'unusable'
  /** The keys of a changed entry, some with their values, as `timeout: 1m → 2m`. */
  readonly details: readonly string[]
  /** Of a changed server: those of `details` that replace its links. Calls in flight end on the old links. */
  readonly renewing: readonly string[]
}

/** Maximum number of sentences. */
const MAX_LINES = 20
/** Maximum number of keys per entry. */
const MAX_DETAILS = 8
const MAX_NAME = 60

interface Details {
  readonly details: readonly string[]
  readonly renewing: readonly string[]
}

const NONE: Details = { details: [], renewing: [] }

/** The keys of `LINK_SETTINGS`. */
const LINK_KEYS: ReadonlySet<string> = new Set(LINK_SETTINGS.map(name => name.replace(/Bytes$/, '')))

/**
 * Describes the effect of a change on a running gateway. Values are shown when they are numbers, flags or words of a
 * closed list; others may come from variables and are left out.
 */
export function describeChange(before: Config, after: Config): ChangeDescription {
  return atOnce(describing(before, after))
}

/** As `describeChange`, with pauses. */
export function* describing(before: Config, after: Config): Steps<ChangeDescription> {
  const changes = [
    ...(yield* named('server', before.servers, after.servers, serverDetails)),
    ...(yield* named('client', before.clients, after.clients, plain(clientDetails))),
    ...(yield* named('role', before.roles, after.roles, plain(roleDetails))),
    ...(yield* named('profile', before.profiles, after.profiles, plain(profileDetails))),
    ...gatewayChanges(before, after),
  ]
  const sentences = changes.filter(({ change }) => change !== 'unusable').map(sentenceOf)
  if (isReordered(before.servers, after.servers)) sentences.push('The servers are in another order.')
  const lines = sentences.length > MAX_LINES + 1 ? sentences.slice(0, MAX_LINES) : sentences
  const more = sentences.length - lines.length
  return {
    isEmpty: changes.length === 0 && sentences.length === 0,
    lines: more > 0 ? [...lines, `And ${more} more changes.`] : lines,
    changes,
  }
}

interface Named {
  readonly name: string
  /** Why the entry cannot be used. */
  readonly problem?: string | undefined
}

function* named<T extends Named>(
  kind: EntryChange['kind'],
  before: readonly T[],
  after: readonly T[],
  detailsOf: (before: T, after: T) => Details,
): Steps<EntryChange[]> {
  const old = new Map(before.map(entry => [entry.name, entry]))
  const left = new Set(old.keys())
  const changes: EntryChange[] = []
  for (const entry of after) {
    const { name } = entry
    left.delete(name)
    const was = old.get(name)
    if (was && isSame(was, entry)) continue
    if (entry.problem !== undefined) changes.push({ kind, name, change: 'unusable', ...NONE })
    else if (!was) changes.push({ kind, name, change: 'added', ...NONE })
    else {
      changes.push({ kind, name, change: 'changed', ...detailsOf(was, entry) })
      yield
    }
  }
  for (const name of left) {
    const ran = old.get(name)?.problem === undefined
    changes.push({ kind, name, change: ran ? 'removed' : 'unusable', ...NONE })
  }
  return changes
}

/** Whether the entries of both are in another order. */
function isReordered(before: readonly Named[], after: readonly Named[]): boolean {
  const [old, now] = [new Set(namesOf(before)), new Set(namesOf(after))]
  const order = [...old].filter(name => now.has(name))
  return !isSame(
    order,
    [...now].filter(name => old.has(name)),
  )
}

function namesOf(entries: readonly Named[]): string[] {
  return entries.map(({ name }) => name)
}

function serverDetails(before: ServerConfig, after: ServerConfig): Details {
  if (before.problem !== undefined) return { ...NONE, details: ['its entry is mended'] }
  const replicas = replicaDetails(before.replicas, after.replicas)
  const own = serverSettings(before, after)
  const isOtherLogin = presentsLogin(before) !== presentsLogin(after)
  const isRenewing = (detail: string): boolean => {
    const [key = ''] = /^\w+/.exec(detail) ?? []
    return LINK_KEYS.has(key) || (isOtherLogin && key === 'oauth')
  }
  return {
    details: [...replicas.details, ...own],
    renewing: [...replicas.renewing, ...own.filter(isRenewing)],
  }
}

function plain<T>(detailsOf: (before: T, after: T) => readonly string[]): (before: T, after: T) => Details {
  return (before, after) => ({ ...NONE, details: detailsOf(before, after) })
}

function gatewayChanges(before: Config, after: Config): EntryChange[] {
  return gatewayDetails(before.gateway, after.gateway).map(detail => ({
    kind: 'gateway',
    name: undefined,
    change: 'changed',
    ...NONE,
    details: [detail],
  }))
}

function sentenceOf({ kind, name, change, details, renewing }: EntryChange): string {
  if (kind === 'gateway') {
    const [detail = 'gateway'] = details
    return detail.includes(': ') ? `${detail}.` : `${detail} is changed.`
  }
  const subject = `${kind.charAt(0).toUpperCase()}${kind.slice(1)} ${quoted(name)}`
  if (change !== 'changed') return `${subject} is ${change}.`
  const shown = details.length > MAX_DETAILS + 1 ? details.slice(0, MAX_DETAILS) : details
  const more = details.length - shown.length
  const list = [...shown, ...(more > 0 ? [`and ${more} more keys`] : [])].join(', ')
  const links = renewing.length === 0 ? '' : ' It gets new links.'
  return `${subject} is changed${list === '' ? '' : `: ${list}`}.${links}`
}

function quoted(name = ''): string {
  return JSON.stringify(name.length > MAX_NAME ? `${name.slice(0, MAX_NAME)}…` : name)
}
