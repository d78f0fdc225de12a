/** Why an unfinished message of a server is given up. */
export interface GivenUp {
  readonly code: 'upstream_timeout' | 'overloaded'
  /** What the server did, after its name. */
  readonly what: string
  readonly fix: string
}

/** A message of which less than so many bytes come within so many milliseconds has stopped. */
export const STALLED = { bytes: 16 * 1024, ms: 2000 }
/** A message that comes more slowly has not earned its room, where another one waits for long. */
export const LEAST_BYTES_PER_S = 256 * 1024

const MIB = 1024 * 1024

/** So little of a message came that it gives up its room. */
export const STOPPED: GivenUp = {
  code: 'upstream_timeout',
  what:
    `began a large message and stopped: less than ${STALLED.bytes / 1024} KiB of it came within ` +
    `${STALLED.ms / 1000} s, while other messages waited for room`,
  fix: 'try again, or ask it for less at once',
}

/** A message came so slowly that it gives up its room. */
export function tooSlow(bytesPerSecond: number, roomBytes: number): GivenUp {
  const rate = `${Math.round(bytesPerSecond / 1024)} KiB/s`
  return {
    code: 'upstream_timeout',
    what:
      `began a large message that came at ${rate}, less than ${LEAST_BYTES_PER_S / 1024} KiB/s, ` +
      `while other messages waited for room (${roomBytes / MIB} MiB)`,
    fix: 'try again, or ask it for less at once',
  }
}

/** Unfinished messages hold more than `maxBytes`, and no server holds more than this one. */
export function tooMany(maxBytes: number): GivenUp {
  return {
    code: 'overloaded',
    what:
      `sends more large messages at once than have room: unfinished ones of all servers held more than ` +
      `${maxBytes / MIB} MiB, and no server has more of that than this one`,
    fix: 'try again later, or set "maxConcurrentCalls" for this server',
  }
}
