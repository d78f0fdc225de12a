import type { Endpoint, UrlEndpoint } from '../config/replica-types.ts'
import type { ServerConfig } from '../config/types.ts'
import { clientValueNames } from '../core/client-placeholders.ts'
import { UNHEARD, type EventSink } from '../core/event-bus.ts'
import type { Principal } from '../core/principal.ts'
import type { UpstreamCredentials } from '../core/upstream-credentials.ts'
import type { ClientValues } from './client-values.ts'
import { FixedCredentials } from './fixed-credentials.ts'
import { PrintedCredentials } from './printed-credentials.ts'
import { JointCredentials } from './joint-credentials.ts'
import { GATEWAY_OWNER, ownerOf } from './owner.ts'
import { ReportedCredentials } from './reported-credentials.ts'
import { StaticCredentials, type HeaderText } from './static-credentials.ts'

/**
 * What a link to an endpoint of a server presents, for a principal or for the gateway. `undefined`: only what the
 * endpoint says.
 */
export type CredentialSource = (
  server: ServerConfig,
  principal: Principal | undefined,
  endpoint: Endpoint,
) => UpstreamCredentials | undefined

/** What the links of servers present: values of clients, outputs of programs, and the logins of `others`. */
export function linkCredentials(
  values: ClientValues,
  others?: CredentialSource,
  events: EventSink = UNHEARD,
): { readonly credentials: CredentialSource; readonly endpointFor: ClientValues['endpoint'] } {
  return {
    credentials: upstreamCredentials(values, others, events),
    endpointFor: (endpoint, server, principal) => values.endpoint(endpoint, server, principal),
  }
}

/** The logins of `others`, what helpers print, and headers with values of clients or outputs. The first wins. */
function upstreamCredentials(
  values: ClientValues,
  others: CredentialSource | undefined,
  events: EventSink,
): CredentialSource {
  return (server, principal, endpoint) => {
    const reported = (credentials: UpstreamCredentials, owner: string): UpstreamCredentials =>
      new ReportedCredentials(credentials, { server: server.name, owner }, events)
    const other = others?.(server, principal, endpoint)
    const texts = headersToFill(server, endpoint)
    const helper = endpoint.url === undefined ? undefined : endpoint.headersHelper
    if (texts.length === 0 && !helper) {
      if (other) return reported(other, principal ? ownerOf(server, principal) : GATEWAY_OWNER)
      const { url, headers = {} } = endpoint as Partial<UrlEndpoint>
      if (url === undefined || Object.keys(headers).length === 0) return undefined
      return reported(new FixedCredentials(server.name, headers), GATEWAY_OWNER)
    }
    const current = {
      get version() {
        return values.version
      },
      current: () => values.of(server, principal),
    }
    const owner = server.perClient && principal ? principal.id : GATEWAY_OWNER
    const all = [
      ...(other ? [other] : []),
      ...(helper ? [new PrintedCredentials(server.name, helper)] : []),
      ...(texts.length > 0 ? [new StaticCredentials(server.name, texts, current)] : []),
    ]
    return reported(
      all.reduceRight((second, first) => new JointCredentials(first, second)),
      owner,
    )
  }
}

/** The headers with values of clients, or with what programs print. */
function headersToFill({ perClient }: ServerConfig, endpoint: Endpoint): HeaderText[] {
  if (endpoint.url === undefined) return []
  const { headers, printed } = endpoint
  return Object.entries(headers)
    .map(([name, text]): HeaderText => ({ name, text, parts: printed?.[name] }))
    .filter(({ text, parts }) => parts !== undefined || (perClient && clientValueNames(text).length > 0))
}

/** Whether a link has to be opened anew for other values: those that no header carries are fixed at its start. */
export function fixesValues({ perClient, clientValues, replicas }: ServerConfig): boolean {
  return (
    perClient &&
    clientValues.length > 0 &&
    replicas.some(({ endpoint }) => {
      const fixed = endpoint.url === undefined ? [endpoint.args, endpoint.env] : endpoint.url
      return clientValueNames(JSON.stringify(fixed)).length > 0
    })
  )
}
