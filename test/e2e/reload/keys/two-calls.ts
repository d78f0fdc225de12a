import { setTimeout as sleep } from 'node:timers/promises'
import { LegacySession } from '../../../helpers/wire-clients.ts'
import type { Look } from './change.ts'

/**
 * What becomes of the second of two calls while the first is under way: `both` reach the server, the second `waits`, or it is `refused`.
 */
export const twoCalls =
  (headers: Readonly<Record<string, string>> = {}): Look =>
  async ({ origin, server }) => {
    server.results.delete('tools/call')
    const reached = (): number => server.messages.all.filter(text => text.includes('"tools/call"')).length
    const answerAll = (): void => {
      for (const request of server.requests.all) request.answer('"result":{"content":[]}')
    }
    const session = await LegacySession.open(origin, { headers })
    const before = reached()
    const first = session.request('1', 'tools/call', '{"name":"a__t","arguments":{"n":1}}')
    while (reached() === before) await sleep(10)
    const second = session.request('2', 'tools/call', '{"name":"a__t","arguments":{"n":2}}')
    let seen = 'waits'
    const refused = second.then(() => (seen = 'refused'))
    for (let tries = 0; tries < 50 && seen === 'waits'; tries++) {
      if (reached() - before === 2) seen = 'both'
      else await Promise.race([refused, sleep(10)])
    }
    const result = seen
    const timer = setInterval(answerAll, 20)
    await Promise.all([first, second])
    clearInterval(timer)
    await session[Symbol.asyncDispose]()
    return result
  }
