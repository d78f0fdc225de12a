import { isJsonObject } from '../core/json-object.ts'
import type { Store } from './store.ts'

/** Servers and replicas that operators have drained, for all gateways that share a store. */

/** Maximum delay until running gateways notice a change. */
export const DRAIN_POLL_MS = 1000

const PREFIX = 'drain/'
/** Changes with every change of the rest, so that a poll reads a single value. */
const VERSION = 'drain-version'
/** Number of changes, counted in the store, because the clocks of different machines yield no order. */
const CHANGES = 'drain-changes'
const COUNT = { limit: 2 ** 42, window: { until: 2 ** 42 }, spend: 0 }
const REPORTS = 'drain-report/'
/** A report that is not renewed belongs to a gateway that has exited. */
const REPORT_TTL_MS = 10_000

/** Server → names of its drained replicas; `''` stands for all of them. */
export type Drained = ReadonlyMap<string, ReadonlySet<string>>

/** The calls in flight at drained replicas of one gateway. */
export interface DrainReport {
  /** Version of the drained set that the report refers to. */
  readonly version: string
  /** Server → replica → calls. */
  readonly inFlight: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** `undefined` when nothing was ever drained. */
export async function drainVersion(store: Store): Promise<string | undefined> {
  return await store.get(VERSION)
}

export async function readDrained(store: Store): Promise<Drained> {
  const drained = new Map<string, Set<string>>()
  for (const key of await store.keys(PREFIX)) {
    const [server, replica] = key.slice(PREFIX.length).split('/').map(decodeURIComponent)
    if (server === undefined || replica === undefined) continue
    drained.set(server, (drained.get(server) ?? new Set()).add(replica))
  }
  return drained
}

/** Drains until it is undone. `replica` is `''` for all replicas. Returns the new version. */
export async function writeDrained(store: Store, server: string, replica: string): Promise<string> {
  await store.set(keyOf(server, replica), JSON.stringify({ at: Date.now() }))
  return await newVersion(store)
}

/** Resumes one replica, or everything of a server. Returns the names that were drained. */
export async function deleteDrained(
  store: Store,
  server: string,
  replica: string | undefined,
): Promise<readonly string[]> {
  const names = [...((await readDrained(store)).get(server) ?? [])]
  const undone = replica === undefined ? names : names.filter(name => name === replica)
  for (const name of undone) await store.delete(keyOf(server, name))
  if (undone.length > 0) await newVersion(store)
  return undone
}

export async function writeReport(store: Store, node: string, report: DrainReport): Promise<void> {
  await store.set(REPORTS + node, JSON.stringify(report), { ttlMs: REPORT_TTL_MS })
}

/** Reports of all gateways that are alive, or were a moment ago. Texts that are not a report are left out. */
export async function readReports(store: Store): Promise<readonly DrainReport[]> {
  const texts = await store.getMany(await store.keys(REPORTS))
  return texts.map(toReport).filter(report => report !== undefined)
}

/** Whether `version` includes the change that produced `change`. */
export function includes(version: string, change: string): boolean {
  return numberOf(version) >= numberOf(change)
}

function keyOf(server: string, replica: string): string {
  return `${PREFIX}${encodeURIComponent(server)}/${encodeURIComponent(replica)}`
}

/**
 * A version consists of the number of a change and a random part. A store that was emptied counts from the start, but
 * its versions still differ from earlier ones.
 */
async function newVersion(store: Store): Promise<string> {
  const count = await changes(store, 1)
  const version = versionOf(count)
  // A slow writer must not replace a later number by an earlier one.
  let last = count
  for (let text = version; ; text = versionOf(last)) {
    await store.set(VERSION, text)
    const now = await changes(store, 0)
    if (now <= last) return version
    last = now
  }
}

/** The number of changes after adding `more`. */
async function changes(store: Store, more: 0 | 1): Promise<number> {
  const { left } = await store.take({ ...COUNT, key: CHANGES, want: more, atLeast: more })
  return COUNT.limit - left
}

function versionOf(count: number): string {
  return `${count}-${Math.random().toString(36).slice(2, 10)}`
}

function numberOf(version: string): number {
  return Number.parseInt(version, 10)
}

function toReport(text: string | undefined): DrainReport | undefined {
  if (text === undefined) return undefined
  try {
    const report = JSON.parse(text) as Partial<DrainReport> | null
    const known = typeof report?.version === 'string' && isJsonObject(report.inFlight)
    return known && Object.values(report.inFlight).every(isJsonObject) ? (report as DrainReport) : undefined
  } catch {
    return undefined
  }
}
