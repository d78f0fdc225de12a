import type { Endpoint } from '../../config/replica-types.ts'
import type { ServerConfig } from '../../config/types.ts'
import type { Principal } from '../../core/principal.ts'
import type { UpstreamCredentials } from '../../core/upstream-credentials.ts'

/**
 * What links present to a server. `principal` is whose credentials they are, where the server gets those of each
 * (`perClient`). `undefined` stands for the gateway itself, which borrows those of a principal for its own requests to
 * such a server.
 */
export interface LinkCredentials {
  /** Absent, or `undefined`: nothing but what the endpoint says. */
  readonly credentials?:
    | ((
        server: ServerConfig,
        principal: Principal | undefined,
        endpoint: Endpoint,
      ) => UpstreamCredentials | undefined)
    | undefined
  /**
   * The endpoint with the values of the principal. Absent: as it is.
   * @throws GatewayError `missing_value`
   */
  readonly endpointFor?:
    ((endpoint: Endpoint, server: ServerConfig, principal: Principal | undefined) => Endpoint) | undefined
}
