import { expect, it, onTestFinished } from 'vitest'
import { askClient } from '../../../../src/core/ask-client.ts'
import { Cancellation } from '../../../../src/core/cancellation.ts'
import { GatewayError } from '../../../../src/core/errors.ts'
import type { Exchange, InputRequest, Outcome } from '../../../../src/core/exchange.ts'
import { clientPrincipal } from '../../../../src/core/principal.ts'
import type { Route } from '../../../../src/core/route.ts'
import { exchangeOf } from '../../../helpers/fake-transport.ts'
import {
  result,
  rule,
  S,
  snapshotOf,
  tool,
  valueOf,
  world,
  type Reached,
  type World,
} from '../../cache/world.ts'

const ROUTE: Route = { server: 's', own: 'get', exposed: 's__get' }
const WRITE: Route = { server: 's', own: 'set', exposed: 's__set' }
const ANN = clientPrincipal('ann')
const BOB = clientPrincipal('bob')

function start(changes: Parameters<typeof rule>[0] = {}, options: { timeoutMs?: number } = {}): World {
  const made = world(
    [S([tool('get', { cache: rule(changes) })])],
    [snapshotOf('s', ['{"name":"get"}', '{"name":"set"}'])],
    options,
  )
  onTestFinished(() => made.deadlines.close())
  return made
}

type Call = ReturnType<typeof exchangeOf>

function get(args: object = { a: 1 }, changes: Parameters<typeof exchangeOf>[2] = {}): Call {
  return exchangeOf('tools/call', { name: 'get', arguments: args }, { principal: ANN, ...changes })
}

const only = ({ reached }: World): Reached => {
  expect(reached).toHaveLength(1)
  return reached[0] as Reached
}
const DONE: Outcome = result({ content: [{ type: 'text', text: 'done' }] })
const REQUEST: InputRequest = {
  method: 'roots/list',
  params: undefined,
  server: 's',
  cancellation: new Cancellation(),
}

it('makes one call of a thousand that are alike, and keeps its answer', async () => {
  const made = start()
  const calls = Array.from({ length: 1000 }, () => get())
  const answers = calls.map(call => made.call(call, ROUTE))
  await made.settle()
  only(made).resolve(DONE)
  for (const answer of await Promise.all(answers)) expect(answer).toBe(DONE)
  expect(calls.filter(({ trace }) => trace.cache === 'coalesced')).toHaveLength(999)
  expect(made.cache.stats.list()).toMatchObject([{ misses: 1000, coalesced: 999, stores: 1, hits: 0 }])
  await made.call(get(), ROUTE)
  expect(made.reached).toHaveLength(1)
  expect(made.cache.stats.list()).toMatchObject([{ hits: 1 }])
})

it('goes on for the last call when 999 of 1000 are cancelled, whichever came first', async () => {
  for (const stays of [0, 500, 999]) {
    const made = start()
    const calls = Array.from({ length: 1000 }, () => get())
    const answers = calls.map(call => made.call(call, ROUTE))
    const left = answers.filter((_, at) => at !== stays)
    calls.forEach(({ cancellation }, at) => at !== stays && cancellation.cancel('gone'))
    for (const answer of left) await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
    expect(only(made).exchange.cancellation.reason).toBeUndefined()
    only(made).resolve(DONE)
    expect(await answers[stays]).toBe(DONE)
  }
})

it('is cancelled at the server when the last of its calls is cancelled', async () => {
  const made = start()
  const calls = Array.from({ length: 1000 }, () => get())
  const answers = calls.map(call => made.call(call, ROUTE))
  calls.forEach(({ cancellation }) => cancellation.cancel('gone'))
  for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'cancelled' })
  expect(only(made).exchange.cancellation.reason).toBe('gone')
  // A later call does not join one that is being cancelled.
  const next = made.call(get(), ROUTE)
  await made.settle()
  expect(made.reached).toHaveLength(2)
  made.reached[0]?.reject(new GatewayError('cancelled', 'cancelled'))
  made.reached[1]?.resolve(DONE)
  expect(await next).toBe(DONE)
})

it('does not share among clients unless results are shared, and never what differs', async () => {
  const made = start()
  void made.call(get({}, { principal: ANN }), ROUTE)
  void made.call(get({}, { principal: BOB }), ROUTE)
  void made.call(get({ b: 1 }, { principal: ANN }), ROUTE)
  expect(made.reached).toHaveLength(3)
  const shared = start({ scope: 'shared' })
  void shared.call(get({}, { principal: ANN }), ROUTE)
  void shared.call(get({}, { principal: BOB }), ROUTE)
  expect(shared.reached).toHaveLength(1)
})

it('joins no call from after a change to one from before it', async () => {
  const made = start()
  const before = made.call(get(), ROUTE)
  const writing = made.call(exchangeOf('tools/call', { name: 'set' }, { principal: BOB }), WRITE)
  made.reached[1]?.resolve(DONE)
  await writing
  const after = made.call(get(), ROUTE)
  await made.settle()
  expect(made.reached).toHaveLength(3)
  made.reached[0]?.resolve(result({ content: [], old: true }))
  expect(valueOf(await before)).toEqual({ content: [], old: true })
  made.reached[2]?.resolve(DONE)
  expect(await after).toBe(DONE)
  // And the old answer was not kept, nor did it take the place of the new one.
  expect(valueOf(await made.call(get(), ROUTE))).toMatchObject({ content: [{ text: 'done' }] })
})

it('reports progress to every call with a progress token, by its own token', async () => {
  const made = start()
  const first = get({}, { progressToken: '"one"' })
  const second = get({}, { progressToken: '2' })
  const silent = get({})
  const answers = [first, second, silent].map(call => made.call(call, ROUTE))
  const { exchange } = only(made)
  exchange.notify('notifications/progress', '{"progressToken":"one","progress":1,"x":1.0}')
  exchange.notify('notifications/message', '{"level":"info"}')
  expect(first.heard).toEqual([
    { method: 'notifications/progress', params: '{"progressToken":"one","progress":1,"x":1.0}' },
    { method: 'notifications/message', params: '{"level":"info"}' },
  ])
  expect(second.heard).toEqual([
    { method: 'notifications/progress', params: '{"progressToken":2,"progress":1,"x":1.0}' },
  ])
  expect(silent.heard).toEqual([])
  only(made).resolve(DONE)
  await Promise.all(answers)
})

it('joins no call with a progress token to a request without one', () => {
  const made = start()
  void made.call(get(), ROUTE)
  void made.call(get({ a: 1 }, { progressToken: '1' }), ROUTE)
  void made.call(get({ a: 1 }, { progressToken: '2' }), ROUTE)
  expect(made.reached.map(({ exchange }) => exchange.request.progressToken)).toEqual([undefined, '1'])
})

it('ends the sharing with a question: the others make their own calls, and nothing of it is kept', async () => {
  const made = start()
  const leader = get({ a: 1 }, { ask: () => Promise.resolve('"yes"') })
  const others = [get(), get(), get()]
  const led = made.call(leader, ROUTE)
  const alone = others.map(call => made.call(call, ROUTE))
  expect(await askClient(only(made).exchange, REQUEST)).toBe('"yes"')
  expect(made.reached).toHaveLength(4)
  made.reached[0]?.resolve(result({ content: [], asked: true }))
  expect(valueOf(await led)).toMatchObject({ asked: true })
  made.reached.slice(1).forEach((call, at) => call.resolve(result({ content: [], at })))
  expect((await Promise.all(alone)).map(valueOf)).toMatchObject([{ at: 0 }, { at: 1 }, { at: 2 }])
  // What was kept is that of a call that asked no client.
  expect(valueOf(await made.call(get(), ROUTE))).toMatchObject({ at: 2 })
})

it('stores no result of a call that asked its client', async () => {
  const made = start({ scope: 'shared' })
  const asked = (): Call => get({ a: 1 }, { ask: () => Promise.resolve('"mine"') })
  const answers = [asked(), asked()].map(call => made.call(call, ROUTE))
  // As a server does that always asks.
  for (const at of [0, 1])
    expect(await askClient((made.reached[at] as Reached).exchange, REQUEST)).toBe('"mine"')
  made.reached.forEach((call, at) => call.resolve(result({ content: [], at })))
  expect((await Promise.all(answers)).map(valueOf)).toMatchObject([{ at: 0 }, { at: 1 }])
  void made.call(get(), ROUTE)
  expect(made.reached).toHaveLength(3)
  expect(made.cache.stats.list()).toMatchObject([{ stores: 0, hits: 0 }])
})

it('asks no client when the one that could be asked has left', async () => {
  const made = start()
  const leader = get()
  const led = made.call(leader, ROUTE)
  const other = made.call(get(), ROUTE)
  leader.cancellation.cancel('gone')
  await expect(led).rejects.toMatchObject({ code: 'cancelled' })
  await expect(askClient(only(made).exchange, REQUEST)).rejects.toMatchObject({ code: 'cannot_ask' })
  expect(made.reached[0]?.exchange.cancellation.reason).toBeDefined()
  made.reached[1]?.resolve(DONE)
  expect(await other).toBe(DONE)
})

it.each([
  ['a question', { resultType: 'input_required', inputRequests: {} }],
  ['a task of its own', { task: { taskId: '1' } }],
  ['a task', { resultType: 'task', taskId: '1' }],
])('gives %s to the leader alone', async (_, value) => {
  const made = start()
  const [led, other] = [made.call(get(), ROUTE), made.call(get(), ROUTE)]
  only(made).resolve(result(value, true))
  expect(valueOf(await led)).toEqual(value)
  await made.settle()
  made.reached[1]?.resolve(DONE)
  expect(await other).toBe(DONE)
  expect(made.cache.stats.list()).toMatchObject([{ stores: 1, coalesced: 0 }])
})

const failed = (
  code: 'upstream_closed' | 'cannot_ask' | 'quota_exhausted' | 'upstream_timeout',
): GatewayError => new GatewayError(code, code, { delivery: 'unknown' })

it('reports a failure of the server to all calls at once', async () => {
  const made = start()
  const answers = [get(), get()].map(call => made.call(call, ROUTE))
  only(made).reject(failed('upstream_closed'))
  for (const answer of answers) await expect(answer).rejects.toMatchObject({ code: 'upstream_closed' })
  expect(made.reached).toHaveLength(1)
})

it('gives an error of the server to all, and keeps neither it nor a result that is one', async () => {
  for (const outcome of [
    { kind: 'error', text: '{"code":-1}', value: { code: -1 } },
    result({ content: [], isError: true }),
  ] as const) {
    const made = start()
    const answers = [get(), get()].map(call => made.call(call, ROUTE))
    only(made).resolve(outcome)
    for (const answer of answers) expect(await answer).toBe(outcome)
    expect(made.cache.size).toBe(0)
  }
})

it.each<['cannot_ask' | 'quota_exhausted', boolean]>([
  ['cannot_ask', false],
  ['quota_exhausted', true],
])('does not let others fail by %s of the leader', async (code, sameFails) => {
  const made = start({ scope: 'shared' })
  const led = made.call(get({}, { principal: ANN }), ROUTE)
  const same = made.call(get({}, { principal: ANN }), ROUTE)
  const others = [BOB, BOB].map(principal => made.call(get({}, { principal }), ROUTE))
  only(made).reject(failed(code))
  await expect(led).rejects.toMatchObject({ code })
  if (sameFails) await expect(same).rejects.toMatchObject({ code })
  // They are one call again.
  await made.settle()
  expect(made.reached).toHaveLength(2)
  made.reached[1]?.resolve(DONE)
  for (const other of others) expect(await other).toBe(DONE)
  if (!sameFails) expect(await same).toBe(DONE)
})

it('fails no call by the failure of a request whose own call was cancelled', async () => {
  const made = start()
  const leader = get()
  const led = made.call(leader, ROUTE)
  const other = made.call(get(), ROUTE)
  leader.cancellation.cancel('gone')
  await expect(led).rejects.toMatchObject({ code: 'cancelled' })
  only(made).reject(failed('upstream_closed'))
  await made.settle()
  made.reached[1]?.resolve(DONE)
  expect(await other).toBe(DONE)
})

it('gives a later call its remaining time when the request of the first times out', async () => {
  const made = start({}, { timeoutMs: 300 })
  const led = made.call(get(), ROUTE)
  await new Promise(resolve => setTimeout(resolve, 200))
  const late = made.call(get(), ROUTE)
  only(made).reject(failed('upstream_timeout'))
  await expect(led).rejects.toMatchObject({ code: 'upstream_timeout' })
  await made.settle()
  expect(made.reached).toHaveLength(2)
  // It leads now, so that the link is what bounds it.
  made.reached[1]?.reject(failed('upstream_timeout'))
  await expect(late).rejects.toMatchObject({ code: 'upstream_timeout' })
})

it('bounds how long one waits on the call of another', async () => {
  const made = start({}, { timeoutMs: 100 })
  const led = made.call(get(), ROUTE)
  const other = made.call(get(), ROUTE)
  await expect(other).rejects.toMatchObject({ code: 'upstream_timeout' })
  expect(only(made).exchange.cancellation.reason).toBeUndefined()
  only(made).resolve(DONE)
  expect(await led).toBe(DONE)
})

it.each([
  ['inputResponses', { inputResponses: {} }],
  ['requestState', { requestState: 's' }],
  ['task', { task: {} }],
  ['_meta of its own', { _meta: { tenant: 'x' } }],
])('neither shares nor keeps a call with %s', async (_, more) => {
  const made = start()
  const call = (): Exchange =>
    exchangeOf('tools/call', { name: 'get', arguments: {}, ...more }, { principal: ANN })
  void made.call(call(), ROUTE)
  void made.call(call(), ROUTE)
  expect(made.reached).toHaveLength(2)
  for (const reached of made.reached) reached.resolve(DONE)
  await made.settle()
  expect(made.cache.size).toBe(0)
})
