import { hiddenBy } from '../catalog/hidden.ts'
import { exposedName } from '../catalog/names.ts'
import { APPLICATIONS } from '../client-files/applications/applications.ts'
import { estimatedTokens } from '../core/estimated-tokens.ts'
import { finding, type Finding } from './finding.ts'
import type { Config } from '../config/types.ts'
import type { Examination } from './examination.ts'
import type { Visit } from './visit.ts'

/** Names that are quoted in one finding. */
const MOST_NAMED = 3
/** Name of the entry of the gateway, as it is measured. */
const ENTRY = 'manifold'
/** A tenth of the 200,000 tokens that a model reads. */
const MANY_TOKENS = 20_000
/** Characters that every model accepts in a name. */
const PLAIN = /^[A-Za-z0-9_-]+$/

/** A tool as clients see it. */
interface ShownTool {
  readonly server: string
  readonly own: string
  readonly exposed: string
  readonly text: string
}

/** Whether applications take what the servers list: names, numbers, sizes. */
export function checkLists(exam: Examination): Finding[] {
  const { config, visits } = exam
  if (!config) return []
  const known = [...visits.values()]
  const tools = known.flatMap(visit => toolsOf(visit, config))
  return [
    ...known.flatMap(listFindings),
    ...known.flatMap(visit => nameFindings(visit, tools)),
    ...known.flatMap(visit => sizeFindings(visit, tools)),
    ...countFindings(tools),
  ]
}

/** The tools of a server that are not hidden. */
function toolsOf({ target: { server }, snapshot }: Visit, { gateway }: Config): ShownTool[] {
  const hidden = hiddenBy(server)
  return (snapshot?.lists.tools ?? [])
    .filter(({ key }) => !hidden(key))
    .map(({ key, text }) => ({
      server: server.name,
      own: key,
      exposed: exposedName(server.name, server.prefix, key, gateway.catalog.maxNameLength),
      text,
    }))
}

/** Lists that could not be fetched, and what of them is left out. */
function listFindings({ target: { server, at }, listError, heard }: Visit): Finding[] {
  const findings: Finding[] = []
  if (listError)
    findings.push(
      finding('list_fails', {
        server: server.name,
        cause: listError.message,
        fix: `Mend the server, or raise ${at}.listTimeout.`,
        set: { key: `${at}.listTimeout` },
        said: heard.tail(MOST_NAMED),
      }),
    )
  for (const { message, fields } of heard.aboutLists) {
    const isFailure = message.startsWith('A list could not be fetched')
    const why = [fields['reason'], fields['name'], fields['exceeded'], fields['cause']].find(Boolean)
    const cause = `${message.replace(/[.:;].*$/s, '')} (${fields['list']}): ${String(why ?? 'no reason')}.`
    findings.push(
      finding(isFailure ? 'list_fails' : 'definition_left_out', {
        server: server.name,
        cause,
        fix: isFailure
          ? `Mend the server, or raise ${at}.listTimeout.`
          : 'Report it to the author of the server; the other definitions are offered.',
        ...(isFailure && { set: { key: `${at}.listTimeout` } }),
      }),
    )
  }
  return findings
}

function nameFindings({ target: { server, at } }: Visit, all: readonly ShownTool[]): Finding[] {
  const tools = all.filter(tool => tool.server === server.name)
  const findings: Finding[] = []
  for (const { title, limits: { nameChars, namePrefix } = {} } of APPLICATIONS) {
    if (nameChars === undefined) continue
    const inFront = namePrefix?.(ENTRY).length ?? 0
    const most = nameChars - inFront
    const long = tools.filter(({ exposed }) => exposed.length > most)
    if (long.length === 0) continue
    findings.push(
      finding('name_too_long', {
        server: server.name,
        cause: `${title} takes ${nameChars} characters with its own ${inFront} in front; ${named(long)}.`,
        fix:
          server.prefix === false
            ? `Give the server a prefix in ${at}.prefix, so that long names are shortened.`
            : `Shorten names to ${most}: write that in gateway.catalog.maxNameLength.`,
        set:
          server.prefix === false
            ? { key: `${at}.prefix`, value: server.name }
            : { key: 'gateway.catalog.maxNameLength', value: most },
      }),
    )
    // One application is enough to see the names.
    break
  }
  const odd = tools.filter(({ exposed }) => !PLAIN.test(exposed))
  if (odd.length > 0)
    findings.push(
      finding('name_not_plain', {
        server: server.name,
        cause: `Models take letters, digits, "_" and "-" in names; ${named(odd)}.`,
        fix: `Give the server a prefix in ${at}.prefix, so that such names are replaced.`,
        set: { key: `${at}.prefix`, value: server.name },
      }),
    )
  return findings
}

function sizeFindings({ target: { server, at }, snapshot }: Visit, all: readonly ShownTool[]): Finding[] {
  const tools = all.filter(tool => tool.server === server.name)
  const tokens = tokensOf(tools.map(({ text }) => text))
  const findings: Finding[] = []
  if (tokens > MANY_TOKENS)
    findings.push(
      finding('lists_too_long', {
        server: server.name,
        cause: `Its ${tools.length} tools take about ${tokens} tokens of each conversation.`,
        fix: `Hide the tools that are not needed, in ${at}.tools.`,
        set: { key: `${at}.tools` },
      }),
    )
  for (const { title, limits: { descriptionBytes } = {} } of APPLICATIONS) {
    if (descriptionBytes === undefined) continue
    const long = tools.filter(({ text }) => bytesOf(descriptionIn(text)) > descriptionBytes)
    const isLong = bytesOf(snapshot?.instructions ?? '') > descriptionBytes
    if (long.length === 0 && !isLong) continue
    const what = [...(long.length > 0 ? [named(long)] : []), ...(isLong ? ['so are its instructions'] : [])]
    findings.push(
      finding('description_too_long', {
        server: server.name,
        cause: `${title} cuts a description at ${descriptionBytes} bytes; ${what.join(', and ')}.`,
        fix: 'Ask the author of the server for a shorter one, with the important part in front.',
      }),
    )
  }
  return findings
}

function countFindings(tools: readonly ShownTool[]): Finding[] {
  const exceeded = APPLICATIONS.filter(({ limits: { tools: most = Infinity } = {} }) => tools.length > most)
  if (exceeded.length === 0) return []
  const limits = exceeded.map(({ title, limits }) => `${title} takes ${limits?.tools}`)
  return [
    finding('too_many_tools', {
      cause: `The servers have ${tools.length} tools together; ${limits.join(', ')}.`,
      fix: 'Offer a part of them to these applications, in a profile.',
      set: { key: 'profiles' },
    }),
  ]
}

/** About how many tokens some definitions are. */
export function tokensOf(texts: readonly string[]): number {
  return estimatedTokens(texts.reduce((chars, text) => chars + text.length, 0))
}

function named(tools: readonly ShownTool[]): string {
  const shown = tools.slice(0, MOST_NAMED).map(({ exposed }) => JSON.stringify(exposed.slice(0, 100)))
  const more = tools.length - shown.length
  return `not so ${tools.length === 1 ? 'is' : 'are'} ${shown.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}

function descriptionIn(text: string): string {
  const { description } = JSON.parse(text) as { description?: unknown }
  return typeof description === 'string' ? description : ''
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}
