import { atOnce, type Steps } from '../../core/slices.ts'
import { formatPath } from '../problem.ts'
import { different, isSame, type ValueDifference } from './differences.ts'
import { LINK_SETTINGS } from '../link-settings.ts'
import type { Config, ServerConfig } from '../types.ts'
import type { ReplicaConfig } from '../replica-types.ts'

/** The differences between two configurations, described without secrets. */
export interface ChangeDescription {
  /** Whether a running gateway is unaffected. */
  readonly isEmpty: boolean
  /** A sentence for each entry of `changes`: the first 20, and the number of the others. */
  readonly lines: readonly string[]
  /** Servers, clients, roles and profiles in this order, then the sections of `gateway`. */
  readonly changes: readonly EntryChange[]
}

/** One entry that differs. */
export interface EntryChange {
  readonly kind: 'server' | 'client' | 'role' | 'profile' | 'gateway'
  /** `undefined` for the gateway itself. */
  readonly name: string | undefined
  readonly change: 'added' | 'removed' | 'changed'
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

/** Members of a resolved server that are derived from others. */
const DERIVED = new Set(['name', 'fingerprint', 'replicas', 'problem', 'hintsRule'])

/** Resolved members whose key in the file has another name. */
const KEYS: Readonly<Record<string, string>> = { 'gateway.rules': 'gateway.policy' }

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
    ...(yield* named('client', before.clients, after.clients, plainDetails)),
    ...(yield* named('role', before.roles, after.roles, plainDetails)),
    ...(yield* named('profile', before.profiles, after.profiles, plainDetails)),
    ...gatewayChanges(before, after),
  ]
  const sentences = changes.map(sentenceOf)
  if (isReordered(before.servers, after.servers)) sentences.push('The servers are in another order.')
  const lines = sentences.length > MAX_LINES + 1 ? sentences.slice(0, MAX_LINES) : sentences
  const more = sentences.length - lines.length
  return {
    isEmpty: sentences.length === 0,
    lines: more > 0 ? [...lines, `And ${more} more changes.`] : lines,
    changes,
  }
}

interface Named {
  readonly name: string
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
    if (!was) changes.push({ kind, name, change: 'added', ...NONE })
    else if (!isSame(was, entry)) {
      changes.push({ kind, name, change: 'changed', ...detailsOf(was, entry) })
      yield
    }
  }
  for (const name of left) changes.push({ kind, name, change: 'removed', ...NONE })
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
  if (before.problem !== undefined || after.problem !== undefined) {
    if (before.problem === undefined) return { ...NONE, details: ['its entry has a problem now'] }
    const detail = after.problem === undefined ? 'its entry is mended' : 'its entry has another problem'
    return { ...NONE, details: [detail] }
  }
  const replicas = replicaDetails(before.replicas, after.replicas)
  const own = different(before, after, DERIVED)
  const renewing = own.filter(({ path }) => (LINK_SETTINGS as readonly unknown[]).includes(path[0]))
  return {
    details: [...replicas.details, ...words(own)],
    renewing: [...replicas.renewing, ...words(renewing)],
  }
}

function replicaDetails(before: readonly ReplicaConfig[], after: readonly ReplicaConfig[]): Details {
  const [one, other] = [before[0], after[0]]
  if (before.length === 1 && after.length === 1 && one && other) {
    const { endpoint: was, name: _was, ...rest } = one
    const { endpoint: is, name: _is, ...now } = other
    const moved = different(was, is)
    // Another transport has other keys.
    const isOther = moved.some(({ path }) => path[0] === 'kind')
    const renewing = isOther ? ['type'] : words(moved)
    return { details: [...renewing, ...words(different(rest, now))], renewing }
  }
  const changes = atOnce(
    named('server', before, after, (was, is) => ({
      details: [],
      renewing: words(different(was.endpoint, is.endpoint)),
    })),
  )
  const wordsOf = ({ name, change }: EntryChange): string =>
    change === 'changed' ? `replica ${quoted(name)}` : `replica ${quoted(name)} ${change}`
  return {
    details: changes.map(wordsOf),
    renewing: changes.filter(({ renewing }) => renewing.length > 0).map(wordsOf),
  }
}

function plainDetails(before: object, after: object): Details {
  return { ...NONE, details: words(different(before, after)) }
}

function gatewayChanges(before: Config, after: Config): EntryChange[] {
  const details = words(different({ gateway: before.gateway }, { gateway: after.gateway }))
  return details.map(detail => ({
    kind: 'gateway',
    name: undefined,
    change: 'changed',
    ...NONE,
    details: [detail],
  }))
}

/** Differences as details, one for each key of the file. */
function words(differences: readonly ValueDifference[]): string[] {
  return [...new Set(differences.map(detailOf))]
}

function detailOf({ path, before, after }: ValueDifference): string {
  const last = String(path.at(-1) ?? '')
  const shown = formatPath([...path.slice(0, -1), last.replace(/(?<=[a-z])(?:Ms|Bytes)$/, '')])
  const key = KEYS[shown] ?? shown
  if (last === 'contentDigest') return `${formatPath(path.slice(0, -1))}: the content of its files`
  const [from, to] = [valueOf(last, before), valueOf(last, after)]
  return from === undefined || to === undefined ? key : `${key}: ${from} → ${to}`
}

/** Keys whose values are words of a closed list, or names that are public. */
const SHOWN = new Set([
  'log',
  'isolation',
  'transport',
  'scope',
  'default',
  'prefix',
  'host',
  'timeZone',
  'zone',
])
const DURATIONS = [
  ['d', 86_400e3],
  ['h', 3_600e3],
  ['m', 60e3],
  ['s', 1e3],
] as const
const SIZES = [
  ['GiB', 1024 ** 3],
  ['MiB', 1024 ** 2],
  ['KiB', 1024],
] as const

/** A value that is safe to show, with its unit; else `undefined`. */
function valueOf(key: string, value: unknown): string | undefined {
  if (value === undefined) return 'not set'
  if (typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return SHOWN.has(key) ? JSON.stringify(value.slice(0, MAX_NAME)) : undefined
  if (typeof value !== 'number') return undefined
  const units = key.endsWith('Ms') ? DURATIONS : key.endsWith('Bytes') ? SIZES : []
  const unit = units.find(([, size]) => value !== 0 && value % size === 0)
  if (unit) return `${value / unit[1]}${unit[0]}`
  return `${value}${value === 0 ? '' : key.endsWith('Ms') ? 'ms' : key.endsWith('Bytes') ? 'B' : ''}`
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
