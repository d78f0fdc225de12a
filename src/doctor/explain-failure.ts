import { causesOf, type GatewayError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { HttpStatusError } from '../upstream/transport/http/http-error.ts'
import { NO_ENDPOINT } from '../upstream/transport/http/web-page.ts'
import { speaksSse, speaksStreamable } from './ask-http.ts'
import { finding, keyWith, type Finding, type FindingDetails } from './finding.ts'
import { atUsualPath, urlToWrite } from './url-to-write.ts'
import type { FindingCode } from './codes.ts'
import type { Visit } from './visit.ts'
import type { World } from './world.ts'

/** Lines of standard error that a finding shows. */
const TAIL_LINES = 8

/** Why a server could not be greeted, with the fix. */
export async function explainFailure(visit: Visit, error: GatewayError, world: World): Promise<Finding[]> {
  const { target, heard } = visit
  const { server, replica, at } = target
  const name = server.name
  const said = heard.tail(TAIL_LINES)
  const of = (code: FindingCode, details: FindingDetails): Finding[] => [
    finding(code, { server: name, said, ...details }),
  ]
  if (/printed plain text in place of/.test(error.message)) return [notAServer(visit)]
  const cause = withoutFix(error)
  switch (error.code) {
    case 'needs_login':
      return of('needs_login', {
        cause,
        fix: 'Log in.',
        command: world.typed(`login ${shellWord(name)}`),
      })
    case 'upstream_start_failed':
      return of('upstream_start_failed', {
        cause,
        fix:
          /Fix: (.*)$/s.exec(cause)?.[1]?.replace(/^./, first => first.toUpperCase()) ?? 'Correct "command".',
        set: { key: `${at}.command` },
      })
    case 'upstream_timeout':
      return of('start_timeout', {
        cause,
        fix: `Raise ${at}.startTimeout, or install its package beforehand.`,
        set: { key: `${at}.startTimeout`, value: `${Math.ceil((server.startTimeoutMs * 3) / 1000)}s` },
      })
    case 'upstream_unauthorized':
      return of(statusOf(error)?.status === 403 ? 'upstream_forbidden' : 'upstream_unauthorized', {
        cause,
        fix: `Set or renew the token in ${at}.headers.Authorization.`,
        set: { key: `${at}.headers.Authorization`, value: 'Bearer ${TOKEN}' },
      })
  }
  if (replica.endpoint.url === undefined) return [processFailure(visit, error)]
  return [await addressFailure(visit, error, world)]
}

function notAServer({ target: { server, at }, heard }: Visit): Finding {
  return finding('not_a_server', {
    server: server.name,
    cause: 'Its program prints plain text and answers nothing.',
    fix: `Check that ${at}.args start an MCP server over stdio; some need an option such as "--stdio".`,
    said: heard.noise.slice(0, 3),
    set: { key: `${at}.args` },
  })
}

function processFailure({ target: { server, at, replica }, heard }: Visit, error: GatewayError): Finding {
  const { endpoint } = replica
  const { code } = error
  const said = heard.tail(TAIL_LINES)
  if (code === 'upstream_closed')
    return finding('server_exits', {
      server: server.name,
      cause: withoutFix(error),
      fix: `Mend what its last lines name; ${at}.args and ${at}.env are what it is started with.`,
      said,
      set: { key: `${at}.args` },
      ...(endpoint.url === undefined && {
        command: `cd ${shellWord(endpoint.cwd)} && ${shellWord(endpoint.command)} …`,
      }),
    })
  return finding('upstream_protocol', {
    server: server.name,
    cause: withoutFix(error),
    fix: `Update the server, or check that ${at}.command starts an MCP server.`,
    said,
    set: { key: `${at}.command` },
  })
}

/** A server with a URL that was reached, and did not answer as one of MCP. */
async function addressFailure({ target }: Visit, error: GatewayError, { signal }: World): Promise<Finding> {
  const { server, replica, at, writtenUrl } = target
  const { endpoint } = replica
  const of = (code: FindingCode, details: FindingDetails): Finding =>
    finding(code, { server: server.name, set: { key: `${at}.url` }, ...details })
  const cause = withoutFix(error)
  if (endpoint.url === undefined) return of('upstream_protocol', { cause, fix: `Check ${at}.` })
  const { url } = endpoint
  const usual = keyWith(`${at}.url`, urlToWrite(writtenUrl, atUsualPath))
  if (endpoint.kind === 'http' && (await speaksSse(endpoint, signal)))
    return of('wrong_transport', transportDetails(at, 'HTTP+SSE', 'sse'))
  if (endpoint.kind === 'sse' && (await speaksStreamable(endpoint, signal)))
    return of('wrong_transport', transportDetails(at, 'Streamable HTTP', 'http'))
  const found = statusOf(error)
  if (/ a web page\b/.test(error.message) || (found && error.message.includes(NO_ENDPOINT)))
    return of('web_page', {
      cause,
      fix: `Write the address of its MCP endpoint in ${at}.url; the path often ends in /mcp.`,
      set: usual,
    })
  const status = found?.status ?? Number(/\(HTTP (\d{3})\)/.exec(cause)?.[1] ?? 0)
  if (status >= 300 && status < 400) {
    const location = / to (\S+?)(?::\s|$)/.exec(found?.message ?? '')?.[1]
    return of('redirected', {
      cause,
      fix: `Write the address it redirects to in ${at}.url.`,
      set: keyWith(`${at}.url`, redirectedTo(location, url, writtenUrl)),
    })
  }
  if (status === 404 || status === 405)
    return of('wrong_path', {
      cause,
      fix: `Correct the path in ${at}.url; it often ends in /mcp.`,
      set: usual,
    })
  if (status >= 500 || status === 429 || error.code === 'upstream_closed' || error.code === 'overloaded')
    return of('server_fails', {
      cause,
      fix: 'Try again later; its own log may say why.',
      command: `curl -i ${shellWord(new URL(url).origin)}`,
    })
  return of('upstream_protocol', {
    cause,
    fix: `Check that ${at}.url is that of an MCP endpoint, or update the server.`,
  })
}

/** Where a server redirects to. It may repeat what stands in place of a variable, which is not shown. */
function redirectedTo(
  location: string | undefined,
  url: string,
  written: string | undefined,
): string | undefined {
  if (location === undefined || !URL.canParse(location, url) || written?.includes('${')) return undefined
  return urlToWrite(written, () => new URL(location, url).href)
}

function transportDetails(at: string, transport: string, type: string): FindingDetails {
  return {
    cause: `The server speaks ${transport} at this address.`,
    fix: `Write "${type}" in ${at}.type.`,
    set: { key: `${at}.type`, value: type },
  }
}

/** The message, without the fix that the finding says better. */
function withoutFix({ message }: GatewayError): string {
  return message.replace(/ Fix: .*$/s, '')
}

function statusOf(error: GatewayError): HttpStatusError | undefined {
  for (const cause of causesOf(error)) if (cause instanceof HttpStatusError) return cause
  return undefined
}
