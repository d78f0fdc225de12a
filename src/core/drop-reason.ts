/** Why an unfinished message of a server is dropped. */
export interface DropReason {
  readonly code: 'upstream_timeout' | 'overloaded'
  /** What the server did; follows its name in a message. */
  readonly what: string
  readonly fix: string
}

/** A message that receives fewer than `bytes` within `ms` has stalled. */
export const STALLED = { bytes: 16 * 1024, ms: 2000 }
/** A message below this rate may be dropped when another one has waited long. */
export const LEAST_BYTES_PER_S = 256 * 1024

const MIB = 1024 * 1024

/** Too few bytes of a message arrived, so it gives up its room. */
export const STOPPED: DropReason = {
  code: 'upstream_timeout',
  what:
    `began a large message and stopped: less than ${STALLED.bytes / 1024} KiB of it came within ` +
    `${STALLED.ms / 1000} s, while other messages waited for room`,
  fix: 'try again, or ask it for less at once',
}

/** A message arrived too slowly, so it gives up its room. */
export function tooSlow(bytesPerSecond: number, roomBytes: number): DropReason {
  const rate = `${Math.round(bytesPerSecond / 1024)} KiB/s`
  return {
    code: 'upstream_timeout',
    what:
      `began a large message that came at ${rate}, less than ${LEAST_BYTES_PER_S / 1024} KiB/s, ` +
      `while other messages waited for room (${roomBytes / MIB} MiB)`,
    fix: 'try again, or ask it for less at once',
  }
}

/** Unfinished messages hold more than `maxBytes`, and this server holds the most. */
export function tooMany(maxBytes: number): DropReason {
  return {
    code: 'overloaded',
    what:
      `sends more large messages at once than have room: unfinished ones of all servers held more than ` +
      `${maxBytes / MIB} MiB, and no server has more of that than this one`,
    fix: 'try again later, or set "maxConcurrentCalls" for this server',
  }
}
