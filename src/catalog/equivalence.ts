import { createHash } from 'node:crypto'
import type { ServerConfig } from '../config/types.ts'
import { canonical } from '../core/canonical.ts'
import { describeError } from '../core/errors.ts'
import { SILENT, type Logger } from '../core/logger.ts'
import { Slices } from '../core/slices.ts'
import type { ListableLink } from './list-server.ts'
import { fetchTools } from './ingest.ts'
import type { Entry } from './snapshot.ts'

/** The tools that a replica offers. */
export interface Offering {
  readonly name: string
  /** Digests of its tools' definitions by name. `undefined`: not listed yet. */
  readonly tools: ReadonlyMap<string, string> | undefined
  /** Names of tools for which this replica must not be used. `undefined`: it is equal to the others. */
  readonly missingTools: ReadonlySet<string> | undefined
  /** Sets `tools`. */
  listed(tools: ReadonlyMap<string, string>): void
  /** Sets `missingTools`. */
  compared(missing: ReadonlySet<string> | undefined): void
  readonly health: { differs(cause: string): void; agrees(): void }
}

/** The replicas of a server. */
export interface Offerings {
  readonly server: ServerConfig
  readonly list: readonly Offering[]
}

type LinkToReplica = ListableLink & { readonly replica: Offering }

/** Delay before a changed replica is listed again, so that several changes in a row cause one listing. */
const AGAIN_MS = 100

/**
 * Compares the tools of the replicas of a server. A replica that differs is reported once, and used only for the tools
 * it has in common with most of the others.
 */
export class Equivalence {
  readonly #logger: Logger
  readonly #onReference: (server: string) => void
  /** Links that are being listed, and whether each has to be listed once more. */
  readonly #looking = new WeakMap<LinkToReplica, { again: boolean }>()

  /** `onReference` is called when the reference, the tools that most replicas of a server offer, has changed. */
  constructor(logger: Logger, onReference: (server: string) => void) {
    this.#logger = logger
    this.#onReference = onReference
  }

  /**
   * Lists the tools over a link that has been opened, or whose server has reported changed tools. Only one listing of a
   * link runs at a time, however often its server reports a change. Never rejects.
   */
  async look(offerings: Offerings, link: LinkToReplica): Promise<void> {
    const running = this.#looking.get(link)
    if (running) {
      running.again = true
      return
    }
    const look = { again: false }
    this.#looking.set(link, look)
    try {
      await this.#look(offerings, link)
      while (look.again && link.usable) {
        look.again = false
        await new Promise(resolve => setTimeout(resolve, AGAIN_MS).unref())
        await this.#look(offerings, link)
      }
    } catch (error) {
      this.#logger.debug('The tools of a replica could not be listed.', {
        server: offerings.server.name,
        replica: link.replica.name,
        cause: describeError(error),
      })
    } finally {
      this.#looking.delete(link)
    }
  }

  async #look({ server, list }: Offerings, link: LinkToReplica): Promise<void> {
    const logger = this.#logger.child({ server: server.name })
    link.replica.listed(await digestsOf(await fetchTools(link, server.listTimeoutMs, SILENT)))
    let changed = false
    for (const [replica, found] of compare(list)) {
      const before = replica.missingTools
      replica.compared(found && new Set([...found.missing, ...found.changed]))
      if (!found) replica.health.agrees()
      else {
        const difference = describeDifference(found)
        replica.health.differs(`It ${difference}.`)
        if (!before || before.size !== replica.missingTools?.size)
          logger.warn('A replica differs from the others and is used only for what they share.', {
            replica: replica.name,
            difference: `it ${difference}`,
          })
      }
      changed ||= (before === undefined) !== (replica.missingTools === undefined)
    }
    if (changed) this.#onReference(server.name)
  }
}

/** Difference between one replica and the reference, by names of tools. */
export interface ReplicaDifference {
  readonly missing: readonly string[]
  readonly changed: readonly string[]
  /** Tools that only this replica has. */
  readonly extra: readonly string[]
}

/** Digests of the tools, independent of the order of keys and of the notation of numbers. */
async function digestsOf(tools: readonly Entry[]): Promise<ReadonlyMap<string, string>> {
  const digests = new Map<string, string>()
  const slices = new Slices()
  for (const { key, text } of tools) {
    if (slices.over) await slices.next()
    digests.set(key, sha256(canonical(JSON.parse(text))))
  }
  return digests
}

const digestsOfAll = new WeakMap<ReadonlyMap<string, string>, string>()

/** Digest of a set of tools, independent of their order. */
function digestOfAll(tools: ReadonlyMap<string, string>): string {
  let digest = digestsOfAll.get(tools)
  if (digest === undefined) {
    digest = sha256(JSON.stringify([...tools].sort(([a], [b]) => (a < b ? -1 : 1))))
    digestsOfAll.set(tools, digest)
  }
  return digest
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

/**
 * Compares replicas with the reference: the tools that most of them offer. In a tie, the replicas that come first in
 * the file are the reference. Replicas that have not been listed are ignored.
 * @returns the differences of those that differ; `undefined` stands for none
 */
function compare<T extends Offering>(replicas: readonly T[]): Map<T, ReplicaDifference | undefined> {
  const groups = new Map<string, T[]>()
  for (const replica of replicas) {
    if (!replica.tools) continue
    const all = digestOfAll(replica.tools)
    const group = groups.get(all)
    if (group) group.push(replica)
    else groups.set(all, [replica])
  }
  let reference: readonly T[] = []
  for (const group of groups.values()) if (group.length > reference.length) reference = group
  const expected = reference[0]?.tools
  const found = new Map<T, ReplicaDifference | undefined>()
  for (const replica of replicas) {
    if (!replica.tools || !expected) continue
    found.set(replica, reference.includes(replica) ? undefined : difference(expected, replica.tools))
  }
  return found
}

function difference(
  expected: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, string>,
): ReplicaDifference {
  const names = [...expected.keys()]
  return {
    missing: names.filter(name => !found.has(name)),
    changed: names.filter(name => found.has(name) && found.get(name) !== expected.get(name)),
    extra: [...found.keys()].filter(name => !expected.has(name)),
  }
}

const MAX_NAMED = 5

/** Describes a difference for the log. */
function describeDifference({ missing, changed, extra }: ReplicaDifference): string {
  const part = (what: string, names: readonly string[]): string[] => {
    if (names.length === 0) return []
    const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ''
    return [`${what} ${names.slice(0, MAX_NAMED).join(', ')}${more}`]
  }
  return [
    ...part('does not have', missing),
    ...part('defines differently', changed),
    ...part('alone has', extra),
  ].join('; ')
}
