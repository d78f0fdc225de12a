import type { ClientConfig, Config } from '../config/types.ts'
import { isLoopback } from '../core/loopback.ts'

/** Rows of a table: each client, and the permissions of callers without a key. */
export function clientRows({ clients, gateway }: Pick<Config, 'clients' | 'gateway'>): string[][] {
  const within = gateway.rules.length > 0 ? 'what "gateway.policy" allows' : 'everything'
  return [
    ...clients.map(client => [client.name, describe(client)]),
    [
      'no key, stdio',
      `may use ${within}, under the account that starts it; --client <name> serves as a client`,
    ],
    ['no key, HTTP', overHttp({ clients, gateway }, within)],
  ]
}

function describe({ rules, roles, default: rest, shadow }: ClientConfig): string {
  const parts = [
    ...(roles.length > 0 ? [`roles ${roles.join(', ')}`] : []),
    ...(rules.length > 0 ? [`${rules.length} ${rules.length === 1 ? 'rule' : 'rules'} of its own`] : []),
    `${rest === 'allow' ? 'allowed' : 'denied'} what no rule is about`,
    ...(shadow ? ['shadow mode: denials are only logged'] : []),
  ]
  return parts.join('; ')
}

function overHttp({ clients, gateway }: Pick<Config, 'clients' | 'gateway'>, within: string): string {
  const { auth, http } = gateway
  if (auth.anonymous !== undefined) return `is the client "${auth.anonymous}"`
  if (clients.length > 0 || auth.jwt.length > 0) return 'is refused (401)'
  if (isLoopback(http.host)) return `may use ${within}, from this machine only; keys need "clients"`
  return `may use ${within} from anywhere; serve needs --allow-anonymous for that, since ${http.host} is open to others`
}
