import { isLoopback } from '../../core/loopback.ts'
import type { Problem } from '../problem.ts'
import type { ServersFile } from '../options/file.ts'

const LISTEN = ['gateway', 'admin', 'listen'] as const
const MAX_PORT = 65_535

/** Checks that the admin API has a credential, and on a network TLS or an explicit exception. */
export function checkAdmin({ gateway }: ServersFile): Problem[] {
  const { listen, token, allowPlaintext = false } = gateway?.admin ?? {}
  if (typeof listen !== 'string') return []
  const problems: Problem[] = []
  const host = listen.slice(0, listen.lastIndexOf(':'))
  if (Number(listen.slice(host.length + 1)) > MAX_PORT)
    problems.push({ path: LISTEN, cause: `has a port above ${MAX_PORT}` })
  if (token === undefined)
    problems.push({
      path: LISTEN,
      cause: 'has no credential, so that every program on this machine could change the gateway',
      fix: 'Set "gateway.admin.token" to a variable such as "${ADMIN_TOKEN}", or use the socket alone.',
    })
  if (!isLoopback(host) && gateway?.http?.tls === undefined && !allowPlaintext)
    problems.push({
      path: LISTEN,
      cause: 'is open to the network, and the credential would be readable there',
      fix: 'Set "gateway.http.tls", whose certificate is used, or a loopback address; behind something that has TLS, "gateway.admin.allowPlaintext".',
    })
  return problems
}
