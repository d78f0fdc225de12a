import type { LabelDescription, MetricDescription } from './series.ts'

/**
 * Every metric of the gateway that is counted while it runs. `mcp_…` follow the semantic conventions of OpenTelemetry
 * for MCP, with `server` and `replica` as further labels.
 */

/** A label whose values come from outside. */
const open = (name: string): LabelDescription => ({ name, open: true })
/** A label with few possible values. */
const listed = (name: string): LabelDescription => ({ name, open: false })

/** Seconds, as the semantic conventions for MCP recommend them. */
const OPERATION_SECONDS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300]
/** Seconds. The stages inside the gateway are short. */
const STAGE_SECONDS = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60, 300]

const OPERATION = [
  listed('mcp_method_name'),
  open('gen_ai_tool_name'),
  open('gen_ai_prompt_name'),
  open('error_type'),
  open('server'),
]

const counter = (name: string, help: string, ...labels: readonly LabelDescription[]): MetricDescription => ({
  name,
  help,
  kind: 'counter',
  labels,
})

export const METRICS = {
  requests: counter(
    'manifold_requests',
    'Requests of clients that have ended. "code" is that of the error: of the gateway, or a number of the server.',
    open('client'),
    open('server'),
    listed('method'),
    open('name'),
    listed('result'),
    open('code'),
  ),
  operations: {
    name: 'mcp_server_operation_duration_seconds',
    help: 'Duration of requests of clients, as the gateway answers them.',
    kind: 'histogram',
    buckets: OPERATION_SECONDS,
    labels: OPERATION,
  },
  attempts: {
    name: 'mcp_client_operation_duration_seconds',
    help: 'Duration of requests of the gateway to replicas of servers. A call may need several.',
    kind: 'histogram',
    buckets: OPERATION_SECONDS,
    labels: [...OPERATION, open('replica')],
  },
  stages: {
    name: 'manifold_stage_duration_seconds',
    help: 'Duration of the stages of calls: "queue", "store", "link", "upstream", "client" (asked for input), and "gateway", which is the rest.',
    kind: 'histogram',
    buckets: STAGE_SECONDS,
    labels: [listed('stage'), open('server')],
  },
  authentications: {
    name: 'manifold_authentication_duration_seconds',
    help: 'Duration of checks of credentials that had to wait, such as for the keys of an issuer or the state store.',
    kind: 'histogram',
    buckets: STAGE_SECONDS,
    labels: [],
  },
  bytesIn: counter('manifold_request_bytes', 'Bytes of parameters.', open('client'), open('server')),
  bytesOut: counter('manifold_result_bytes', 'Bytes of results.', open('client'), open('server')),
  coalesced: counter(
    'manifold_coalesced_calls',
    'Calls answered by an equal call that was in flight.',
    open('server'),
  ),
  fallbacks: counter(
    'manifold_fallback_calls',
    'Calls that the fallback of an unavailable server has taken.',
    open('server'),
  ),
  failovers: counter(
    'manifold_failover_calls',
    'Calls that were answered although an attempt had failed.',
    open('server'),
  ),
  quotaRefusals: counter(
    'manifold_quota_refusals',
    'Requests refused by a quota.',
    open('client'),
    open('limit'),
  ),
  accessRefusals: counter(
    'manifold_access_refusals',
    'HTTP requests refused for wrong or missing credentials.',
    listed('status'),
  ),
  sessionsOpened: counter('manifold_sessions_opened', 'Legacy sessions that were opened.', open('client')),
  streams: {
    name: 'manifold_streams',
    help: 'Streams to clients that are open, for messages that answer no request.',
    kind: 'gauge',
    labels: [listed('era')],
  },
  linksOpened: counter(
    'manifold_links_opened',
    'Links to servers that were opened.',
    open('server'),
    listed('era'),
  ),
  linksLost: counter('manifold_links_lost', 'Open links that were lost.', open('server')),
  linkFailures: counter(
    'manifold_link_failures',
    'Attempts to open a link that failed.',
    open('server'),
    listed('code'),
  ),
  ejections: counter(
    'manifold_replica_ejections',
    'Times that an unhealthy replica was taken out of use.',
    open('server'),
    open('replica'),
  ),
  listChanges: counter(
    'manifold_list_changes',
    'Changes of lists that clients were told of.',
    listed('kind'),
  ),
  invalidations: counter('manifold_cache_invalidations', 'Invalidations of cached results.', open('server')),
  logins: counter('manifold_logins', 'Logins at servers that have ended.', open('server'), listed('outcome')),
  renewals: counter(
    'manifold_credential_renewals',
    'Tokens that were renewed.',
    open('server'),
    listed('cause'),
  ),
  credentialRefusals: counter(
    'manifold_credential_refusals',
    'Requests that a server refused for what the gateway presented.',
    open('server'),
    listed('status'),
  ),
  reloads: counter('manifold_reloads', 'Configurations that were read again.', listed('outcome')),
  adminActions: counter('manifold_admin_actions', 'Changes over the admin API.', listed('status')),
} as const satisfies Record<string, MetricDescription>

export type MetricKey = keyof typeof METRICS
