import type { Store } from './store.ts'

/** What operators have taken out of use, for all gateways that share a store. */

/** Running gateways hear of it within so long. */
export const DRAIN_POLL_MS = 1000

const PREFIX = 'drain/'
/** Changes with every change of the rest, so that a poll once a second reads one value. */
const VERSION = 'drain-version'
const REPORTS = 'drain-report/'
/** One that is not renewed is of a gateway that is gone. */
const REPORT_TTL_MS = 10_000

/** Server → names of its drained replicas; `''` stands for all of them. */
export type Drained = ReadonlyMap<string, ReadonlySet<string>>

/** What one gateway has in flight at drained replicas. */
export interface DrainReport {
  /** Of what it knows. */
  readonly version: string
  /** Server → replica → calls. */
  readonly inFlight: Readonly<Record<string, Readonly<Record<string, number>>>>
}

/** `undefined` where nothing was ever drained. */
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

/** Until it is undone. `replica` is `''` for all of them. Returns the version that says so. */
export async function writeDrained(store: Store, server: string, replica: string): Promise<string> {
  await store.set(keyOf(server, replica), JSON.stringify({ at: Date.now() }))
  return await newVersion(store)
}

/** Of one replica, or of everything of a server. Returns the names of what was drained. */
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

/** Of all gateways that have something to say, or had a moment ago. */
export async function readReports(store: Store): Promise<readonly DrainReport[]> {
  const texts = await store.getMany(await store.keys(REPORTS))
  return texts.flatMap(text => (text === undefined ? [] : [JSON.parse(text) as DrainReport]))
}

function keyOf(server: string, replica: string): string {
  return `${PREFIX}${encodeURIComponent(server)}/${encodeURIComponent(replica)}`
}

async function newVersion(store: Store): Promise<string> {
  const version = `${Date.now()}-${Math.random().toString(36).slice(2, 10)}`
  await store.set(VERSION, version)
  return version
}
