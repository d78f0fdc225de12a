import type { AuthorizedRequest, EchoedCall } from '../fixtures/servers/protected/server.d.ts'
import { hash } from 'node:crypto'

/** Whether calls of many clients, each with an account of its own at each server, were made with that account alone. */

/** `own`: never cached, each call with a number of its own. `known`: cached, with equal arguments for all clients. */
export type AccountTool = 'own' | 'known'

/** A call as a client has made it. */
export interface AccountCall {
  /** Also the name of its account. */
  readonly client: string
  readonly server: string
  readonly tool: AccountTool
  readonly args: { readonly at: number; readonly client?: string }
  /** Text of the answer. */
  readonly answer: string
}

export type RequestsOfServers = ReadonlyMap<string, readonly AuthorizedRequest[]>

/**
 * What is wrong, one sentence each: answers for another client, tokens and sessions of several accounts, calls that
 * reached their server more or less often than they should. `known` reaches it once for each client and argument.
 */
export function accountFaults(calls: readonly AccountCall[], requests: RequestsOfServers): string[] {
  const faults: string[] = []
  for (const [server, all] of requests) {
    const answered = all.filter(({ tool, status }) => (tool === 'own' || tool === 'known') && status === 200)
    const mine = calls.filter(call => call.server === server)
    const accounts = new Map<string, string>()
    faults.push(...mixed(server, 'token', all, accounts), ...mixed(server, 'session', all, new Map()))
    for (const { tool, args, subject } of answered)
      if (tool === 'own' && args?.['client'] !== subject)
        faults.push(`${server}: a call of ${String(args?.['client'])} came with the token of ${subject}`)
    faults.push(...mine.flatMap(call => wrongAnswer(call, accounts)), ...repeated(server, mine))
    for (const client of new Set(calls.map(call => call.client)))
      faults.push(...miscounted(server, client, mine, answered))
    faults.push(...uncounted(server, mine, answered))
  }
  return faults
}

const digestOf = (authorization: string): string =>
  hash('sha256', authorization.replace(/^\w+ /, ''), 'base64url')

/** Tokens, or sessions, that several accounts have used. Enters into `found` which one each belongs to. */
function mixed(
  server: string,
  what: 'token' | 'session',
  requests: readonly AuthorizedRequest[],
  found: Map<string, string>,
): string[] {
  return requests.flatMap(({ authorization, session, subject }) => {
    const used = what === 'session' ? session : authorization && digestOf(authorization)
    if (used === undefined || subject === undefined) return []
    const before = found.get(used) ?? subject
    found.set(used, before)
    return before === subject ? [] : [`${server}: a ${what} of ${before} was used for ${subject}`]
  })
}

function wrongAnswer(call: AccountCall, accounts: ReadonlyMap<string, string>): string[] {
  const { client, server, tool, args, answer } = call
  const asked = `${server}: ${client} asked for ${tool} ${JSON.stringify(args)} and got`
  const echoed = echoedIn(answer)
  if (!echoed) return [`${asked} ${answer.slice(0, 300)}`]
  if (echoed.subject !== client) return [`${asked} the answer for ${echoed.subject}`]
  const owner = accounts.get(echoed.token)
  if (owner !== client) return [`${asked} an answer to a token of ${owner ?? 'no account'}`]
  if (echoed.tool !== tool || JSON.stringify(echoed.args) !== JSON.stringify(args))
    return [`${asked} the answer to ${answer}`]
  return []
}

/** Answers of one call of a server that were given to calls of different clients, or to different calls. */
function repeated(server: string, calls: readonly AccountCall[]): string[] {
  const given = new Map<string, string>()
  return calls.flatMap(({ client, tool, args, answer }) => {
    const echoed = echoedIn(answer)
    if (!echoed) return []
    const call = `${echoed.token} ${echoed.call}`
    const to = `${client} ${tool} ${JSON.stringify(args)}`
    const before = given.get(call)
    given.set(call, to)
    if (before === undefined || (tool === 'known' && before === to)) return []
    return [`${server}: one call answered ${before} and ${to}`]
  })
}

function miscounted(
  server: string,
  client: string,
  calls: readonly AccountCall[],
  answered: readonly AuthorizedRequest[],
): string[] {
  return (['own', 'known'] as const).flatMap(tool => {
    const asked = calls.filter(call => call.client === client && call.tool === tool)
    const wanted = tool === 'own' ? asked.length : new Set(asked.map(({ args }) => args.at)).size
    const reached = answered.filter(request => request.subject === client && request.tool === tool).length
    return wanted === reached
      ? []
      : [`${server}: ${reached} calls of ${tool} by ${client} instead of ${wanted}`]
  })
}

/** Tokens of which the server has counted other calls than its answers and its requests show. */
function uncounted(
  server: string,
  calls: readonly AccountCall[],
  answered: readonly AuthorizedRequest[],
): string[] {
  const counted = new Map<string, Set<number>>()
  for (const { answer } of calls) {
    const echoed = echoedIn(answer)
    if (!echoed) continue
    const numbers = counted.get(echoed.token) ?? new Set()
    counted.set(echoed.token, numbers.add(echoed.call))
  }
  const sent = new Map<string, number>()
  for (const { authorization = '' } of answered) {
    const token = digestOf(authorization)
    sent.set(token, (sent.get(token) ?? 0) + 1)
  }
  return [...new Set([...counted.keys(), ...sent.keys()])].flatMap(token => {
    const numbers = counted.get(token) ?? new Set()
    const [own, requests] = [numbers.size, sent.get(token) ?? 0]
    return own === requests && Math.max(0, ...numbers) === own
      ? []
      : [`${server}: answers show ${own} calls of a token, requests ${requests}`]
  })
}

function echoedIn(text: string): EchoedCall | undefined {
  try {
    return JSON.parse(text) as EchoedCall
  } catch {
    return undefined
  }
}
