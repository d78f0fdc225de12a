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
}

/** The endpoints of all usable servers, or of those named. */
export function targetsOf({ servers }: Config, only: readonly string[]): ProbedEndpoint[] {
  return servers
    .filter(({ name, problem }) => problem === undefined && (only.length === 0 || only.includes(name)))
    .flatMap(server =>
      server.replicas.map((replica, at) => {
        const single = server.replicas.length === 1
        const name = /^[A-Za-z_$][\w$-]*$/.test(server.name)
          ? `.${server.name}`
          : `[${JSON.stringify(server.name)}]`
        return {
          server,
          replica,
          label: single ? server.name : `${server.name}, replica ${replica.name}`,
          at: `mcpServers${name}${single ? '' : `.replicas[${at}]`}`,
        }
      }),
    )
}
