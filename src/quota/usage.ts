import type { Exchange, Outcome } from '../core/exchange.ts'
import type { Principal } from '../core/principal.ts'
import type { Live } from './limit-leases.ts'
import type { Quotas } from './quotas.ts'

export const USAGE_URI = 'manifold://usage'

const RESOURCE = JSON.stringify({
  uri: USAGE_URI,
  name: 'usage',
  title: 'What is left of the quotas',
  description: 'Limits of this client: what is used, what is left, and when all of it can be reached again.',
  mimeType: 'application/json',
})

/** Use of one limit. */
export interface LimitUsage {
  readonly name: string
  /** `everything`, or the limited pattern. */
  readonly of: string
  readonly limit: number
  readonly used: number
  readonly left: number
  /** ISO 8601. Absent if there is no such moment. */
  readonly resetsAt?: string
}

/** The resource with the remaining quota, for a limited client or its model. */
export class UsageResource {
  readonly #quotas: Quotas
  /** Lists with the resource, by the list without it. */
  readonly #lists = new WeakMap<Buffer, Buffer>()

  constructor(quotas: Quotas) {
    this.#quotas = quotas
  }

  isFor(principal: Principal): boolean {
    return this.#quotas.has(principal)
  }

  /** The first page of a list of resources, with this resource first. */
  listed(page: Buffer): Buffer {
    let list = this.#lists.get(page)
    if (!list) {
      const member = '"resources":['
      const at = page.indexOf(member) + member.length
      const comma = page[at] === 0x5d ? '' : ','
      list = Buffer.concat([page.subarray(0, at), Buffer.from(RESOURCE + comma), page.subarray(at)])
      this.#lists.set(page, list)
    }
    return list
  }

  /** Answers a read. */
  async read({ principal }: Exchange): Promise<Outcome> {
    const limits = this.#quotas.limits(principal)
    // If the store cannot be asked, the last known state is shown.
    const asked = await Promise.allSettled(
      limits.map(live => ('lease' in live ? live.lease.refresh() : live.leases.refresh())),
    )
    const current = asked.every(({ status }) => status === 'fulfilled')
    const usage = { principal: principal.name, current, limits: limits.map(usageOf) }
    const value = {
      contents: [{ uri: USAGE_URI, mimeType: 'application/json', text: JSON.stringify(usage, null, 2) }],
    }
    return { kind: 'result', text: JSON.stringify(value), value, modern: false }
  }
}

function usageOf(live: Live): LimitUsage {
  const { limit } = live
  const { left, resetsAt } = 'lease' in live ? live.lease : live.leases
  return {
    name: limit.name,
    of: limit.owner.part ?? 'everything',
    limit: limit.limit,
    used: Math.max(0, Math.round((limit.limit - left) * 1000) / 1000),
    left,
    ...(resetsAt !== undefined && { resetsAt }),
  }
}
