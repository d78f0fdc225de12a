import { Generation } from './generation.ts'
import type { Runtime } from './runtime.ts'
import type { ClientConfig, Config } from '../config/types.ts'
import type { EventSink } from '../core/event-bus.ts'
import type { ServedClient } from '../front/fronts.ts'
import { compilePolicies, type Policies } from '../policy/policies.ts'

export interface BuildOptions {
  readonly config: Config
  readonly runtime: Runtime
  readonly events: EventSink
  readonly former: Generation
  /** The clients that are served now: what they see is ready when the generation takes effect. */
  readonly clients: Iterable<ServedClient>
}

/**
 * Makes the generation of another configuration, whole and checked, beside the one that is in effect. What is the same
 * in both is taken from the former: the rules, and what endpoints show. Nothing that runs is changed.
 * @throws GatewayError `config` for rules that do not compile
 */
export async function buildGeneration(options: BuildOptions): Promise<Generation> {
  const { config, runtime, events, former, clients } = options
  const same = haveSameRules(config, former.config)
  const policies: Policies = same ? former.policies : await compilePolicies(config, runtime.logger)
  const generation = new Generation({ config, policies, runtime, events })
  const { views } = generation.catalog
  await views.adopt(former.catalog.views, same)
  for (const { endpoint, principal } of clients) await views.known(endpoint, policies.of(principal))
  return generation
}

/** Whether rules compile to the same in two configurations, which share the objects of what is equal. */
function haveSameRules(a: Config, b: Config): boolean {
  const isClient = (client: ClientConfig, other: ClientConfig | undefined): boolean =>
    client === other ||
    (client.name === other?.name &&
      client.roles === other.roles &&
      client.rules === other.rules &&
      client.default === other.default &&
      client.shadow === other.shadow)
  return (
    a.gateway.rules === b.gateway.rules &&
    a.roles === b.roles &&
    a.clients.length === b.clients.length &&
    a.clients.every((client, at) => isClient(client, b.clients[at])) &&
    a.servers.length === b.servers.length &&
    a.servers.every(({ name }, at) => name === b.servers[at]?.name)
  )
}
