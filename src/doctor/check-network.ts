import { formatPath } from '../config/problem.ts'
import { isLoopback } from '../core/loopback.ts'
import { shellWord } from '../core/shell-word.ts'
import { addressClass } from '../credentials/fetch/address-class.ts'
import { askHttp } from './ask-http.ts'
import { reach, type ConnectionOutcome } from './connection.ts'
import { isBroken, type Examination } from './examination.ts'
import { finding, keyWith, type Finding, type FindingDetails } from './finding.ts'
import { inParallel } from './in-parallel.ts'
import { located } from './located.ts'
import { urlToWrite } from './url-to-write.ts'
import type { UrlEndpoint } from '../config/replica-types.ts'
import type { FindingCode } from './codes.ts'
import type { ProbedEndpoint } from './targets.ts'
import type { World } from './world.ts'

/** Tokens and certificates allow for less. */
const MOST_SKEW_MS = 60_000
const EXPIRED = new Set(['CERT_HAS_EXPIRED', 'CERT_NOT_YET_VALID'])
const OTHER_HOST = 'ERR_TLS_CERT_ALTNAME_INVALID'
/** Of OpenSSL, for an answer that is no TLS. */
const NO_TLS = new Set(['ERR_SSL_WRONG_VERSION_NUMBER', 'ERR_SSL_PACKET_LENGTH_TOO_LONG', 'EPROTO'])

/** Whether the addresses of servers can be reached: their names, the connections, TLS. */
export async function checkNetwork(exam: Examination): Promise<Finding[]> {
  const { config, world } = exam
  if (!config) return []
  const sound = exam.targets.filter(({ server }) => !isBroken(exam, server.name))
  const places = new Map<ProbedEndpoint, readonly ProbedEndpoint[]>()
  const found = await inParallel(sound, async target => {
    const place = await located(target, config.gateway.dns)
    if ('why' in place) return unknownName(target, place, world)
    places.set(target, place.targets)
    return (await Promise.all(place.targets.map(one => wayFindings(one, world)))).flat()
  })
  // The later layers go where a gateway goes.
  exam.targets = exam.targets.flatMap(target => places.get(target) ?? [target])
  return found.flat()
}

function unknownName(
  { server: { name: server }, replica, at }: ProbedEndpoint,
  { name, why }: { readonly name: string; readonly why: string },
  world: World,
): Finding[] {
  const set = { key: `${at}.url` }
  const found = finding('host_unknown', {
    server,
    set,
    cause: `The host name ${name} is unknown here (${why}).`,
    fix: `Check ${set.key} for a slip, and the name service of this machine or that of gateway.dns.servers.`,
    command: `nslookup ${replica.service === undefined ? '' : '-type=SRV '}${shellWord(name)}`,
  })
  return [found, ...proxyFinding(server, new URL(replica.endpoint.url ?? ''), world, 'host_unknown')]
}

async function wayFindings(target: ProbedEndpoint, world: World): Promise<Finding[]> {
  const {
    server: { name: server },
    replica: { endpoint },
    at,
  } = target
  if (endpoint.url === undefined) return []
  const url = new URL(endpoint.url)
  const reached = await reach(url, { addresses: endpoint.addresses, signal: world.signal })
  if (reached.step === 'open') {
    const needed = url.protocol === 'http:' ? await tlsNeeded(target, url, world) : []
    return needed.length > 0 ? needed : await clockFinding(server, endpoint, world)
  }
  const set = { key: `${at}.url` }
  const found = (code: FindingCode, details: FindingDetails): Finding[] => [
    finding(code, { server, set, ...details }),
    ...proxyFinding(server, url, world, code),
  ]
  if (reached.step === 'connection') return found(...connectionFinding(url, reached, set.key))
  return found(...tlsFinding(url, reached, target))
}

function connectionFinding(
  { host, origin }: URL,
  { why, code }: ConnectionOutcome & { step: 'connection' },
  key: string,
): [FindingCode, FindingDetails] {
  if (why === 'refused')
    return [
      'connection_refused',
      {
        cause: `Nothing listens at ${host}.`,
        fix: `Start the server, or correct the port in ${key}.`,
        command: `curl -v ${shellWord(origin)}`,
      },
    ]
  return [
    'host_silent',
    {
      cause: `There is no answer from ${host} (${code}).`,
      fix: `Check the address in ${key}, and whether a firewall is in between.`,
      command: `curl -v --connect-timeout 5 ${shellWord(origin)}`,
    },
  ]
}

function tlsFinding(
  url: URL,
  { code, names, until }: ConnectionOutcome & { step: 'tls' },
  { at, writtenUrl }: ProbedEndpoint,
): [FindingCode, FindingDetails] {
  const { host, hostname } = url
  const key = `${at}.url`
  if (NO_TLS.has(code))
    return [
      'tls_missing',
      {
        cause: `There is no TLS at ${host}, which speaks something else.`,
        ...(isNear(hostname)
          ? {
              fix: `Write "http://" in ${key}, or correct the port.`,
              set: keyWith(
                key,
                urlToWrite(writtenUrl, written => written.replace(/^https:/i, 'http:')),
              ),
            }
          : { fix: `Correct the port in ${key}; what is sent there without TLS can be read on the way.` }),
      },
    ]
  if (EXPIRED.has(code))
    return [
      'tls_expired',
      {
        cause: `The certificate of ${host} is not valid now${until === undefined ? '' : `: it ends at ${until}`} (${code}).`,
        fix: 'Renew the certificate at the server, or correct the clock of this machine.',
        command: `openssl s_client -connect ${shellWord(`${hostname}:${url.port || 443}`)} </dev/null | openssl x509 -noout -dates`,
      },
    ]
  if (code === OTHER_HOST)
    return [
      'tls_other_host',
      {
        cause: `The certificate of ${host} is for other names${names.length > 0 ? `: ${names.slice(0, 5).join(', ')}` : ''}.`,
        fix: `Write one of these names in ${key}.`,
      },
    ]
  return [
    'tls_untrusted',
    {
      cause: `The certificate of ${host} comes from an authority that is not trusted here (${code}).`,
      fix: 'Name the certificate of that authority in NODE_EXTRA_CA_CERTS where the gateway is started.',
      command: 'export NODE_EXTRA_CA_CERTS=/path/to/authority.pem',
      set: { key: 'NODE_EXTRA_CA_CERTS' },
    },
  ]
}

/** Whether a host is this machine, or has an address of a private network. */
function isNear(hostname: string): boolean {
  return isLoopback(hostname) || addressClass(hostname.replace(/^\[|\]$/g, '')) === 'private'
}

/** A port that wants TLS closes a plain connection, or answers that the request was no TLS. */
async function tlsNeeded(
  { server: { name: server }, replica, at, writtenUrl }: ProbedEndpoint,
  url: URL,
  { signal }: World,
): Promise<Finding[]> {
  const secure = new URL(url.href.replace(/^http:/, 'https:'))
  if (url.port === '' || url.port === '80') return []
  const reached = await reach(secure, { addresses: replica.endpoint.addresses, signal })
  // An error about the certificate shows that there is TLS.
  const isTls =
    reached.step === 'open' ||
    (reached.step === 'tls' && /CERT|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(reached.code))
  if (!isTls) return []
  return [
    finding('tls_needed', {
      server,
      cause: `The port ${url.port} of ${url.hostname} wants TLS, and "url" says "http".`,
      fix: `Write "https://" in ${at}.url.`,
      set: keyWith(
        `${at}.url`,
        urlToWrite(writtenUrl, written => written.replace(/^http:/i, 'https:')),
      ),
    }),
  ]
}

/** The time that a server says it is, in the header of any answer. */
async function clockFinding(
  server: string,
  endpoint: UrlEndpoint,
  { now, signal }: World,
): Promise<Finding[]> {
  const question = { method: 'GET', headers: { accept: 'text/event-stream' } } as const
  const answer = await askHttp(endpoint, question, signal)
  const there = Date.parse(answer?.headers.date ?? '')
  const aheadMs = now() - there
  if (Number.isNaN(there) || Math.abs(aheadMs) < MOST_SKEW_MS) return []
  const seconds = Math.round(Math.abs(aheadMs) / 1000)
  return [
    finding('clock_skew', {
      server,
      cause: `The clock of this machine is ${seconds} s ${aheadMs > 0 ? 'ahead of' : 'behind'} that of ${new URL(endpoint.url).host}.`,
      fix: 'Let the system set its clock by the network, on the machine that is wrong.',
      command: 'timedatectl set-ntp true',
    }),
  ]
}

const MAY_NEED_PROXY = new Set<FindingCode>(['host_unknown', 'host_silent'])

/** The gateway connects directly, whatever proxy the environment names. */
function proxyFinding(server: string, url: URL, { env }: World, because: FindingCode): Finding[] {
  const names = url.protocol === 'https:' ? ['HTTPS_PROXY', 'ALL_PROXY'] : ['HTTP_PROXY', 'ALL_PROXY']
  const name = names.flatMap(upper => [upper, upper.toLowerCase()]).find(one => env[one])
  const excluded = (env['NO_PROXY'] ?? env['no_proxy'] ?? '').split(/[\s,]+/).filter(part => part !== '')
  const isExcluded = excluded.some(part => part === '*' || url.hostname.endsWith(part.replace(/^\*/, '')))
  if (name === undefined || isExcluded || !MAY_NEED_PROXY.has(because)) return []
  return [
    finding('proxy_unused', {
      server,
      cause: `${name} is set, and the gateway connects to ${url.host} without that proxy.`,
      fix: 'Let this machine reach the server directly, or put a stdio server in between that uses the proxy.',
      set: { key: formatPath(['mcpServers', server, 'command']), value: 'npx' },
    }),
  ]
}
