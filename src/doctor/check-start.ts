import { linkCredentials } from '../credentials/upstream-credentials.ts'
import { Credentials } from '../credentials/accounts/credentials.ts'
import { ClientValues } from '../credentials/client-values.ts'
import { UNHEARD } from '../core/event-bus.ts'
import { SILENT } from '../core/logger.ts'
import { createMemoryStore } from '../state/memory.ts'
import { openVault } from '../vault/open.ts'
import { isBroken, type Examination } from './examination.ts'
import { explainFailure } from './explain-failure.ts'
import { finding, keyWith, type Finding } from './finding.ts'
import { inParallel } from './in-parallel.ts'
import { urlToWrite } from './url-to-write.ts'
import { visit, type Visit } from './visit.ts'
import type { ProbedEndpoint } from './targets.ts'

/** A start of this length lets some applications give up. */
const SLOW_MS = 10_000
/** The oldest revision without a warning. */
const OLDEST_REVISION = '2025-03-26'

/** Starts each server once, or connects to it, and says why one cannot be used. */
export async function checkStarts(exam: Examination): Promise<Finding[]> {
  const { config, world } = exam
  if (!config) return []
  const usable = exam.targets.filter(({ server }) => !isBroken(exam, server.name) && !server.perClient)
  for (const { server } of exam.targets)
    if (server.perClient && !isBroken(exam, server.name))
      exam.skipped.push({
        layer: 'start',
        server: server.name,
        because: 'it gets values or a login of each client, and is reached for a client only',
      })
  const store = exam.store ?? createMemoryStore()
  const vault = openVault({ ...config.gateway.vault, store, logger: SILENT })
  const logins = new Credentials({
    servers: config.servers,
    vault,
    logger: SILENT,
    events: UNHEARD,
    dns: () => config.gateway.dns,
  })
  const { credentials } = linkCredentials(new ClientValues(config.clients), (server, principal) =>
    logins.for(server, principal),
  )
  const visited = async (target: ProbedEndpoint): Promise<Finding[]> => {
    const { server, replica } = target
    const found = await visit(target, {
      credentials: credentials(server, undefined, replica.endpoint),
      signal: world.signal,
    })
    exam.visits.set(target.label, found)
    return found.error ? await explainFailure(found, found.error, world) : startFindings(found)
  }
  try {
    return (await inParallel(usable, visited)).flat()
  } finally {
    logins.close()
    await vault.close()
    if (store !== exam.store) await store.close()
  }
}

/** What is remarkable of a server that works. */
function startFindings({ target, snapshot, startMs, heard }: Visit): Finding[] {
  const { server, at, writtenUrl } = target
  const { name, startTimeoutMs } = server
  const findings: Finding[] = []
  if (startMs > Math.min(SLOW_MS, startTimeoutMs / 2))
    findings.push(
      finding('slow_start', {
        server: name,
        cause: `It took ${(startMs / 1000).toFixed(1)} s to start; "startTimeout" is ${startTimeoutMs / 1000} s.`,
        fix: `Install its package beforehand, or keep it running: write "never" in ${at}.idle.`,
        set: { key: `${at}.idle`, value: 'never' },
      }),
    )
  if (heard.noise.length > 0)
    findings.push(
      finding('stdout_noise', {
        server: name,
        cause: 'It prints lines on its standard output that are no messages.',
        fix: 'Let it log to standard error.',
        said: heard.noise.slice(0, 3),
        set: { key: `${at}.env` },
      }),
    )
  if (!snapshot) return findings
  if (snapshot.transport === 'sse')
    findings.push(
      finding('deprecated_transport', {
        server: name,
        cause: 'It speaks HTTP+SSE, which is deprecated.',
        fix: `Write the address of its Streamable HTTP endpoint in ${at}.url; its path often ends in /mcp.`,
        set: keyWith(
          `${at}.url`,
          urlToWrite(writtenUrl, written => written.replace(/\/sse$/, '/mcp')),
        ),
      }),
    )
  if (snapshot.era === 'legacy' && snapshot.protocolVersion < OLDEST_REVISION)
    findings.push(
      finding('deprecated_revision', {
        server: name,
        cause: `It speaks the revision ${snapshot.protocolVersion} of MCP.`,
        fix: 'Update the server; later revisions add structured results and questions to the user.',
        set: { key: at },
      }),
    )
  return findings
}
