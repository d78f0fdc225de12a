import { ERROR_KINDS, type ErrorCode } from '../core/errors.ts'

/**
 * The closed list of codes: those of the errors that a gateway gives (`ERROR_KINDS`), and those of what `doctor` finds.
 * Each has a page in `docs/errors/`.
 */

/** The layers that `doctor` looks at, in this order, each with its exit code. */
export const LAYER_EXITS = {
  machine: 10,
  file: 11,
  programs: 12,
  state: 13,
  vault: 14,
  network: 15,
  credentials: 16,
  start: 17,
  protocol: 18,
  lists: 19,
  quotas: 20,
  gateway: 21,
  applications: 22,
  versions: 23,
} as const

export type LayerName = keyof typeof LAYER_EXITS

/** `error`: something does not work. `warning`: it works here, or for now. */
export type Severity = 'error' | 'warning'

const of = <L extends LayerName>(
  layer: L,
  severity: Severity = 'error',
): { readonly layer: L; readonly severity: Severity } => ({ layer, severity })

/** What `doctor` finds. A code that is in `ERROR_KINDS` as well is what a gateway would answer in that case. */
export const FINDING_CODES = {
  node_too_old: of('machine'),

  config_missing: of('file'),
  config_unreadable: of('file'),
  config_syntax: of('file'),
  config_invalid: of('file'),
  config_unknown_key: of('file'),
  variable_unset: of('file'),
  config_old_key: of('file', 'warning'),
  config_questionable: of('file', 'warning'),

  command_missing: of('programs'),
  command_not_executable: of('programs'),
  command_holds_arguments: of('programs'),
  folder_missing: of('programs'),
  desktop_path: of('programs', 'warning'),

  state_unusable: of('state'),
  state_damaged: of('state'),
  state_exposed: of('state', 'warning'),
  lmdb_missing: of('state'),
  disk_full: of('state', 'warning'),
  redis_unreachable: of('state'),
  redis_refused: of('state'),
  redis_evicts: of('state', 'warning'),

  vault_key_exposed: of('vault'),
  vault_key_damaged: of('vault'),
  vault_key_other: of('vault'),
  keyring_unusable: of('vault'),

  host_unknown: of('network'),
  connection_refused: of('network'),
  host_silent: of('network'),
  proxy_unused: of('network', 'warning'),
  clock_skew: of('network', 'warning'),
  tls_untrusted: of('network'),
  tls_expired: of('network'),
  tls_other_host: of('network'),
  tls_missing: of('network'),
  tls_needed: of('network'),

  needs_login: of('credentials'),
  upstream_unauthorized: of('credentials'),
  upstream_forbidden: of('credentials'),

  upstream_start_failed: of('start'),
  server_exits: of('start'),
  not_a_server: of('start'),
  stdout_noise: of('start', 'warning'),
  start_timeout: of('start'),
  slow_start: of('start', 'warning'),

  wrong_path: of('protocol'),
  web_page: of('protocol'),
  redirected: of('protocol'),
  server_fails: of('protocol'),
  wrong_transport: of('protocol'),
  upstream_protocol: of('protocol'),
  deprecated_transport: of('protocol', 'warning'),
  deprecated_revision: of('protocol', 'warning'),

  list_fails: of('lists'),
  definition_left_out: of('lists', 'warning'),
  name_too_long: of('lists', 'warning'),
  name_not_plain: of('lists', 'warning'),
  too_many_tools: of('lists', 'warning'),
  lists_too_long: of('lists', 'warning'),
  description_too_long: of('lists', 'warning'),

  quota_exhausted: of('quotas', 'warning'),

  port_in_use: of('gateway'),
  address_unusable: of('gateway'),
  exposed: of('gateway'),
  certificate_unusable: of('gateway'),
  certificate_expired: of('gateway'),
  socket_stale: of('gateway', 'warning'),
  socket_folder_exposed: of('gateway'),
  other_version: of('gateway', 'warning'),

  entry_broken: of('applications'),

  version_outdated: of('versions', 'warning'),
} as const satisfies Record<string, { readonly layer: LayerName; readonly severity: Severity }>

export type FindingCode = keyof typeof FINDING_CODES

/** Every code there is, in alphabetical order. */
export const ALL_CODES: readonly (ErrorCode | FindingCode)[] = [
  ...new Set([...Object.keys(ERROR_KINDS), ...Object.keys(FINDING_CODES)]),
].sort() as (ErrorCode | FindingCode)[]
