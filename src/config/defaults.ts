/**
 * Every default and bound of the configuration, with its reason. Written in the units of the configuration, so that messages
 * and documentation show what a person would write.
 */

/** What an option is when left out, and between which values it may be. `off`: may also be `0` or `"never"`. */
export interface Limits<T extends string | number> {
  readonly default: T
  readonly min: T
  readonly max: T
  readonly off?: boolean
}

/** `npx` may have to download a package before the server can say a word. */
export const START_TIMEOUT: Limits<string> = { default: '60s', min: '100ms', max: '1h' }
/** Longer than any client waits by default; a call that reports progress may go on beyond it. */
export const CALL_TIMEOUT: Limits<string> = { default: '5m', min: '1s', max: '24h', off: true }
/** Half of what the most impatient clients allow for their own start. */
export const LIST_TIMEOUT: Limits<string> = { default: '20s', min: '100ms', max: '10m' }
/** A pause of a person, not the end of their work; restarting a server may lose its state. */
export const IDLE: Limits<string> = { default: '30m', min: '1s', max: '30d', off: true }
/** Room for a screenshot or a PDF in base64. */
export const MAX_MESSAGE: Limits<string> = { default: '32MiB', min: '64KiB', max: '512MiB' }
/** On stdio each is a process. Idle ones make room, so this is the number that work at once. */
export const MAX_LINKS: Limits<number> = { default: 64, min: 1, max: 10_000 }
/** Of these, what the calls of one client may hold where each has its own: an eighth, so that seven other clients may do the same. */
export const MAX_EXCLUSIVE_LINKS: Limits<number> = { default: 8, min: 1, max: 1000 }
/** Half of the 60 seconds that the official SDKs allow for a call: early enough to say why. */
export const LINK_WAIT: Limits<string> = { default: '30s', min: '100ms', max: '10m' }
/** More is a server in a loop, not one that has to know something. */
export const MAX_QUESTIONS: Limits<number> = { default: 64, min: 1, max: 10_000 }
/** The most a server's name may have; a prefix is what reaches models, so it has to be shorter. */
export const MAX_SERVER_NAME = 64
export const MAX_PREFIX = 32

/** Nobody but this machine, until told otherwise. */
export const HTTP_HOST = '127.0.0.1'
/** 0 asks the system for a free one. */
export const HTTP_PORT: Limits<number> = { default: 3333, min: 0, max: 65_535 }
/** Arguments of a call are text that a model wrote. */
export const MAX_BODY: Limits<string> = { default: '4MiB', min: '1KiB', max: '512MiB' }
/** A silent session with an open stream takes about 30 KiB. */
export const MAX_SESSIONS: Limits<number> = { default: 1000, min: 1, max: 1_000_000 }
export const SESSION_IDLE: Limits<string> = { default: '30m', min: '1s', max: '30d', off: true }
/** Shorter than the 30 to 60 seconds after which proxies drop a silent connection. */
export const KEEP_ALIVE: Limits<string> = { default: '15s', min: '1s', max: '10m', off: true }

/** A stream that breaks loses seconds, not hours, of what was said on it. Bounded by size as well, for events that are large. */
export const MAX_EVENTS: Limits<number> = { default: 1000, min: 0, max: 1_000_000 }
export const MAX_EVENT_BYTES: Limits<string> = { default: '1MiB', min: '1KiB', max: '512MiB' }

/** A person has to read, think, and maybe come back from lunch. */
export const ANSWER_TIMEOUT: Limits<string> = { default: '10m', min: '1s', max: '24h' }
/** Each holds a call open at a server, and is one of a client that was asked and may never come back. */
export const MAX_PARKED: Limits<number> = { default: 2000, min: 1, max: 1_000_000 }
/** A client that is asked more than this at once is not being asked by people. */
export const MAX_QUESTIONS_PER_SESSION: Limits<number> = { default: 32, min: 1, max: 10_000 }
/** A server that is not satisfied after so many rounds will not be. */
export const MAX_ROUNDS: Limits<number> = { default: 8, min: 1, max: 100 }

/** As many as sessions: each is a client with an open connection. */
export const MAX_LISTEN_STREAMS: Limits<number> = { default: 1000, min: 1, max: 1_000_000 }
/** One has to be subscribed to at its server for each. */
export const MAX_LISTENED: Limits<number> = { default: 1000, min: 1, max: 100_000 }
/** A server that does not answer must not keep a client from hearing of everything else. */
export const ACKNOWLEDGE_TIMEOUT: Limits<string> = { default: '10s', min: '100ms', max: '10m' }

/** Half of what one server may have: no single client takes all of it. */
export const MAX_LINKS_PER_CLIENT: Limits<number> = { default: 32, min: 1, max: 10_000 }

/** Leaves room for a client's own prefix below the 60 to 64 characters that models accept. */
export const MAX_NAME_LENGTH: Limits<number> = { default: 48, min: 16, max: 128 }
/** One page in practice: some clients never ask for the second. */
export const PAGE_SIZE: Limits<number> = { default: 10_000, min: 1, max: 100_000 }
/** Servers that change more often send `list_changed`. */
export const REFRESH_AFTER: Limits<string> = { default: '24h', min: '1s', max: '30d', off: true }
/** Below the 10 seconds after which the most impatient client gives up on the whole gateway. */
export const FIRST_LIST_TIMEOUT: Limits<string> = { default: '8s', min: '100ms', max: '10m' }

/** Not known: a client that wants to keep a list hears of changes. */
export const LIST_TTL: Limits<string> = { default: '0s', min: '0s', max: '1d' }

export const LOG_DEFAULT = 'info'

/** Names of log levels, quietest first. */
export const LOG_LEVEL_NAMES = ['error', 'warn', 'info', 'debug'] as const

/** Calls a server works on at once: more than a healthy server is ever given, few enough that a hanging one fills no memory. */
export const SERVER_CONCURRENCY: Limits<number> = { default: 256, min: 1, max: 10_000 }
/** Calls that wait for a server: a few bursts of a busy team. */
export const SERVER_QUEUE: Limits<number> = { default: 1000, min: 0, max: 100_000 }
/** All servers together: what one process can usefully have under way. */
export const GATEWAY_CONCURRENCY: Limits<number> = { default: 1024, min: 1, max: 100_000 }
export const GATEWAY_QUEUE: Limits<number> = { default: 4000, min: 0, max: 1_000_000 }
/** Half of what the most impatient clients wait for an answer. */
export const QUEUE_TIMEOUT: Limits<string> = { default: '30s', min: '100ms', max: '1h' }
/** Calls of one client at once, in a quota; without one there is no limit of its own. */
export const CONCURRENCY: Omit<Limits<number>, 'default'> = { min: 1, max: 10_000 }
export const COST: Limits<number> = { default: 1, min: 0, max: 1_000_000 }
export const WEIGHT: Limits<number> = { default: 1, min: 1, max: 100 }
/** What clocks of an identity provider and of this machine may differ by. */
export const CLOCK_TOLERANCE: Limits<string> = { default: '30s', min: '1s', max: '10m', off: true }
/** Asymmetric ones only: a shared secret would have to stand in this file, and `none` is no signature. */
export const JWT_ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
] as const
/** A day of a busy team in one file, and a month of them. */
export const AUDIT_MAX_SIZE: Limits<string> = { default: '64MiB', min: '64KiB', max: '4GB' }
export const AUDIT_MAX_FILES: Limits<number> = { default: 30, min: 1, max: 10_000 }

/** The repetitions of one conversation, and nothing that anyone remembers as older than it looks. */
export const CACHE_TTL: Limits<string> = { default: '5m', min: '1s', max: '30d' }
/** An answer that is known to be old is given only where somebody has said so. */
export const CACHE_STALE: Limits<string> = { default: 'never', min: '1s', max: '30d', off: true }
/** Larger results are rare, cost the place of many others, and are worth it only where somebody has said so. */
export const CACHE_MAX_RESULT: Limits<string> = { default: '1MiB', min: '1KiB', max: '48MiB' }
/** As much as the rest of a busy gateway takes. */
export const CACHE_MAX_SIZE: Limits<string> = { default: '64MiB', min: '1MiB', max: '64GiB' }
/** A quarter: one client that asks for everything leaves room for others. */
export const CACHE_MAX_SIZE_PER_CLIENT: Limits<string> = { default: '16MiB', min: '64KiB', max: '64GiB' }
/** Four times what is in memory: what one process has lost another may still want. Little enough for the disk of a laptop, and for a Redis that others use as well. */
export const CACHE_MAX_STORED: Limits<string> = { default: '256MiB', min: '1MiB', max: '1024GiB' }
/** Below a page of the database or a packet of the network, compressing saves nothing. */
export const CACHE_COMPRESS_OVER: Limits<string> = { default: '4KiB', min: '256B', max: '1GiB' }

/** The one after the first is the one that finds a replica that works; the one after that is for bad luck. */
export const RETRIES: Limits<number> = { default: 2, min: 0, max: 10 }
/** A percentage of calls: a fifth more load is what a server can take that already has trouble. */
export const RETRY_BUDGET: Limits<number> = { default: 20, min: 0, max: 100 }
export const REPLICA_WEIGHT: Limits<number> = { default: 1, min: 0, max: 1000 }
export const TIER: Limits<number> = { default: 0, min: 0, max: 9 }
/** Often enough that a call with a minute to go can still be saved. */
export const HEALTH_EVERY: Limits<string> = { default: '10s', min: '100ms', max: '1h', off: true }
export const HEALTH_TIMEOUT: Limits<string> = { default: '5s', min: '100ms', max: '5m' }
/** One may be chance, and two may be the same one. */
export const HEALTH_FAILURES: Limits<number> = { default: 3, min: 1, max: 1000 }
export const ERROR_RATE: Limits<number> = { default: 50, min: 1, max: 100 }
export const HEALTH_SLOW_BY: Limits<number> = { default: 10, min: 2, max: 1000 }
/** When most are said to be ill, it is rather the judge who is. */
export const PANIC: Limits<number> = { default: 50, min: 0, max: 100 }
export const HEALTH_EJECT: Limits<string> = { default: '5s', min: '100ms', max: '5m' }
/** Caches, pools and compilers of a server need so long to be warm. */
export const HEALTH_SLOW_START: Limits<string> = { default: '30s', min: '100ms', max: '1h', off: true }
/** With the back-off between them, some minutes. */
export const CRASHES: Limits<number> = { default: 8, min: 1, max: 1000 }
/** A browser with many pages fits; a leak does not take the machine with it. */
export const MAX_MEMORY: Limits<string> = { default: '4GiB', min: '16MiB', max: '1024GiB' }
export const SPARES: Limits<number> = { default: 0, min: 0, max: 16 }
/** Names change when something is replaced; half a minute is what resolvers and balancers elsewhere take. */
export const DNS_REFRESH: Limits<string> = { default: '30s', min: '1s', max: '1d', off: true }
/** As long as a call may take by default. */
export const DRAIN_TIMEOUT: Limits<string> = { default: '5m', min: '1s', max: '24h' }
/** Within the 30 seconds that Kubernetes allows for the end, with some left for the servers to end. */
export const SHUTDOWN_TIMEOUT: Limits<string> = { default: '25s', min: '100ms', max: '1h' }
