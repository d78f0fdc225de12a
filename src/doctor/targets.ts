import { formatPath } from '../config/problem.ts'
import { isJsonObject } from '../core/json-object.ts'
import type { Config, ServerConfig } from '../config/types.ts'
import type { ReplicaConfig } from '../config/replica-types.ts'

/** One endpoint of one server. */
export interface ProbedEndpoint {
  readonly server: ServerConfig
  readonly replica: ReplicaConfig
  /** Unique; for people. */
  readonly label: string
  /** Location of its entry in the file, as in `mcpServers.search`. */
  readonly at: string
  /** Its address as written, with variables in place of their values. */
  readonly writtenUrl: string | undefined
}

/**
 * The endpoints of all usable servers, or of those named.
 * @param written the configuration as written
 */
export function targetsOf(
  { servers }: Config,
  { written, only }: { readonly written: unknown; readonly only: readonly string[] },
): ProbedEndpoint[] {
  return servers
    .filter(({ name, problem }) => problem === undefined && (only.length === 0 || only.includes(name)))
    .flatMap(server =>
      server.replicas.map((replica, at) => {
        const single = server.replicas.length === 1
        return {
          server,
          replica,
          label: single ? server.name : `${server.name}, replica ${replica.name}`,
          at: formatPath(['mcpServers', server.name, ...(single ? [] : ['replicas', at])]),
          writtenUrl: urlIn(written, server.name, at),
        }
      }),
    )
}

function urlIn(written: unknown, server: string, at: number): string | undefined {
  const entries = memberOf(written, 'mcpServers')
  const entry = memberOf(entries, server)
  const replicas = memberOf(entry, 'replicas')
  const replica: unknown = Array.isArray(replicas) ? replicas[at] : undefined
  const url = memberOf(replica, 'url') ?? memberOf(entry, 'url')
  return typeof url === 'string' ? url : undefined
}

function memberOf(value: unknown, name: string): unknown {
  return isJsonObject(value) && Object.hasOwn(value, name) ? value[name] : undefined
}
