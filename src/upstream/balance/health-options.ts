/** See `docs/resilience.md`, Health. */
export interface HealthOptions {
  /** Failures in a row that cause an ejection. */
  readonly failures: number
  /** Fraction of failed calls within ten seconds above which failures cause an ejection. */
  readonly errorRate: number
  /** A latency of more than this many times the median of the other replicas causes an ejection. */
  readonly slowBy: number
  /** Fraction of the replicas above which ejections are ignored. */
  readonly panic: number
  /** Duration of the first ejection. */
  readonly baseEjectionTimeMs: number
  /** Slow start: time in which the share of a returned replica grows to its full weight. 0: none. */
  readonly slowStartMs: number
  /** Interval of the health checks. 0: no checks; calls decide instead. */
  readonly intervalMs: number
  /** Timeout of a check. */
  readonly timeoutMs: number
}
