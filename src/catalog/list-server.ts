import type { ServerConfig } from '../config/types.ts'
import { describeError } from '../core/errors.ts'
import type { Exchange } from '../core/exchange.ts'
import type { Logger } from '../core/logger.ts'
import { clientKindOf, type ClientKind } from '../protocol/client-kind.ts'
import type { Caching } from '../protocol/caching.ts'
import { declaredTo } from '../protocol/capabilities.ts'
import type { Spoken } from '../protocol/spoken.ts'
import { fetchLists, type Lister } from './ingest.ts'
import { spokenBy, type ServerSnapshot } from './snapshot.ts'
import type { Variants } from './variants.ts'

/** The part of a link that the catalogue needs. */
export interface ListableLink extends Lister {
  readonly peer: Lister['peer'] & {
    readonly protocolVersion: string
    readonly instructions: string | undefined
    /** Caching of the discovery. */
    readonly caching?: Caching | undefined
  }
  readonly transport: { readonly kind: string }
  readonly replica?: { readonly spoken: Spoken; readonly missingTools?: ReadonlySet<string> | undefined }
  /**
   * Raw JSON of the capabilities that a legacy server received at `initialize`. A modern server receives them with
   * every request.
   */
  readonly capabilities?: string
  /** Whether requests can be sent. */
  readonly usable: boolean
}

/** Whether the replica behind a link is known to differ from most others. Its lists are those of no other. */
export function differs({ replica }: ListableLink): boolean {
  return replica?.missingTools !== undefined
}

/** What a server has listed, and for which kind of client. */
export interface ShownTo {
  readonly variant: ClientKind
  /** Raw JSON of the client capabilities that the server received. */
  readonly told: string
  readonly snapshot: ServerSnapshot
}

/** The variant that is listed over a link, for a client or for no particular client. */
export function variantOver(
  { roots }: Pick<ServerConfig, 'roots'>,
  link: ListableLink,
  exchange: Exchange | undefined,
): Pick<ShownTo, 'variant' | 'told'> {
  const modern = link.peer.era === 'modern'
  const told = modern ? declaredTo(exchange?.features ?? '', roots) : (link.capabilities ?? '{}')
  return { variant: withoutRoots(clientKindOf(modern, told), roots), told }
}

/** Configured roots replace the roots of every client, so kinds of clients do not differ in them. */
export function withoutRoots(kind: ClientKind, roots: readonly unknown[] | undefined): ClientKind {
  return roots ? kind.replace('r', '') : kind
}

/** Fetches the lists of a server for clients with the capabilities in `told`. @throws as `fetchLists` */
export async function listServer(
  server: ServerConfig,
  link: ListableLink,
  told: string,
  previous: ServerSnapshot | undefined,
  logger: Logger,
): Promise<ServerSnapshot> {
  const { peer } = link
  const lister: Lister = {
    peer,
    request: (method, params, timeoutMs) => link.request(method, params, timeoutMs, told),
  }
  const { lists, caching, incomplete } = await fetchLists(lister, server.listTimeoutMs, previous, logger)
  const now = Date.now()
  return {
    server: server.name,
    fetchedAt: now,
    era: peer.era,
    spoken: link.replica?.spoken ?? spokenBy(peer.era),
    eraAt: now,
    transport: link.transport.kind,
    protocolVersion: peer.protocolVersion,
    capabilities: peer.capabilities,
    instructions: peer.instructions,
    // What is listed over the link of one principal is not what another one has.
    lists: server.perClient ? { ...lists, resources: [] } : lists,
    ...(incomplete && { incomplete }),
    caching: peer.caching ? { ...caching, discover: peer.caching } : caching,
  }
}

/**
 * Lists a server again for all but the `first` variant: a change for one kind of client may be a change for the others.
 * Where no link is open for a variant, its lists are fetched for the next client of that kind.
 */
export async function listOthers(
  server: ServerConfig,
  variants: Variants,
  links: readonly ListableLink[],
  first: ClientKind,
  logger: Logger,
): Promise<void> {
  const overFor = (variant: ClientKind): ListableLink | undefined =>
    links.find(
      link =>
        link.usable &&
        (variant.startsWith('m')
          ? link.peer.era === 'modern'
          : variantOver(server, link, undefined).variant === variant),
    )
  const others = [...variants.all].filter(([variant]) => variant !== first)
  await Promise.all(
    others.map(async ([variant, previous]) => {
      const link = overFor(variant)
      if (!link) return variants.outdate(variant)
      const told = variants.told(variant)
      try {
        variants.set(variant, told, await listServer(server, link, told, previous, logger), undefined)
      } catch (error) {
        variants.outdate(variant)
        logger.debug('The lists for some kinds of clients could not be fetched again.', {
          cause: describeError(error),
        })
      }
    }),
  )
}
