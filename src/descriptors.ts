import { readFileSync } from 'node:fs'

/** What is assumed where the system does not say. */
const ASSUMED_LIMIT = 1024
/** Files, pipes of processes, the state, and what Node keeps for itself. */
const RESERVED = 64
const RESERVED_SHARE = 0.2
const LEAST = 8
/** Beyond that it is memory that is scarce. */
const MOST = 16_384

/** File descriptors this process may have open; Node itself raises the soft limit (`ulimit -n`) to the hard one. */
function descriptorLimit(): number {
  if (process.platform !== 'linux') return ASSUMED_LIMIT
  try {
    const found = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1]
    return found === undefined ? ASSUMED_LIMIT : found === 'unlimited' ? Infinity : Number(found)
  } catch {
    return ASSUMED_LIMIT
  }
}

export interface DescriptorShares {
  /** Connections of clients. */
  readonly clients: number
  /** Sockets to servers. */
  readonly servers: number
}

/** How the descriptors are divided, so that no side takes what the others need: what is not reserved, half and half. */
export function descriptorShares(limit = descriptorLimit()): DescriptorShares {
  const counted = Math.min(limit, 4 * MOST)
  const free = counted - Math.max(RESERVED, counted * RESERVED_SHARE)
  const half = Math.min(MOST, Math.max(LEAST, Math.floor(free / 2)))
  return { clients: half, servers: half }
}
