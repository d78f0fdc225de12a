import { expect, test } from 'vitest'
import { Cancellation } from '../../../src/core/cancellation.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import type { Exchange, InputRequest } from '../../../src/core/exchange.ts'
import type { Route } from '../../../src/core/route.ts'
import type { PendingLogin } from '../../../src/credentials/login/pending-login.ts'
import { login, type CallLogins } from '../../../src/middleware/login.ts'
import { ANSWER } from '../../contract/middleware.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

/** Calls that need a login: clients that can show an address are asked, and wait; others get the address. */

const ROUTE: Route = { server: 'mail', own: 'send', exposed: 'mail__send' }
const TOOL: Route = { server: 'mail', own: 'log_in', exposed: 'mail__log_in', isLogin: true }
const NEEDS = new GatewayError('needs_login', 'Server "mail" needs a login.', { server: 'mail' })
const LINK = 'https://gateway.example/oauth/login/abc'

/** A login that the test ends. */
function heldLogin(): PendingLogin & { end: (error?: GatewayError) => void } {
  let end: (error?: GatewayError) => void = () => undefined
  const done = new Promise<void>((resolve, reject) => {
    end = error => (error ? reject(error) : resolve())
  })
  done.catch(() => undefined)
  return { url: LINK, expiresAt: Date.now() + 600_000, done, end: error => end(error) }
}

interface Client {
  /** What the user does with the question; `undefined`: nothing. */
  readonly answer?: string | GatewayError | undefined
  readonly features?: string
  readonly modern?: boolean
}

function setUp({ answer, features = '{"elicitation":{"url":{}}}', modern = false }: Client = {}) {
  const pending = heldLogin()
  const asked: InputRequest[] = []
  const notified: string[] = []
  const cancellation = new Cancellation()
  const logins: CallLogins = {
    mayLogIn: server => server === 'mail',
    beginLogin: () => Promise.resolve(pending),
    listNow: () => Promise.resolve(),
  }
  const exchange: Exchange = Object.assign(exchangeOf('tools/call', { name: 'mail__send' }), {
    features,
    modern,
    canBeAsked: 'now' as const,
    cancellation,
    notify: (method: string, params: string | undefined) => void notified.push(`${method} ${params}`),
    ask: (request: InputRequest) => {
      asked.push(request)
      if (answer instanceof GatewayError) return Promise.reject(answer)
      if (answer !== undefined) return Promise.resolve(answer)
      return new Promise<string>((_, reject) =>
        request.cancellation.onCancel(() => reject(new GatewayError('cancelled', 'Withdrawn.'))),
      )
    },
  })
  let calls = 0
  const make = (failures: number, with_: CallLogins = logins) =>
    login({ logins: with_, serverInfo: '{"name":"gateway"}' })(() => {
      calls++
      return calls <= failures ? Promise.reject(NEEDS) : Promise.resolve(ANSWER)
    })
  return { pending, asked, notified, exchange, cancellation, logins, make, calls: () => calls }
}

test.each([false, true])(
  'the user opens the address, and the call goes on after the login; modern: %s',
  async modern => {
    const { pending, asked, notified, exchange, make, calls } = setUp({
      answer: '{"action":"accept"}',
      modern,
    })
    const outcome = make(1)(exchange, ROUTE)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(calls()).toBe(1)
    pending.end()
    expect(await outcome).toBe(ANSWER)
    expect(calls()).toBe(2)
    const params = JSON.parse(asked[0]?.params ?? '{}') as Record<string, unknown>
    expect(params).toMatchObject({
      mode: 'url',
      url: LINK,
      message: expect.stringMatching(/^\[mail\] /) as string,
    })
    expect(params.elicitationId === undefined).toBe(modern)
    expect(notified).toEqual(
      modern
        ? []
        : [`notifications/elicitation/complete ${JSON.stringify({ elicitationId: params.elicitationId })}`],
    )
  },
)

test('a login that is completed elsewhere withdraws the question', async () => {
  const { pending, asked, exchange, make } = setUp()
  const outcome = make(1)(exchange, ROUTE)
  await new Promise(resolve => setTimeout(resolve, 20))
  pending.end()
  expect(await outcome).toBe(ANSWER)
  expect(asked[0]?.cancellation.reason).toBe('the login is over')
})

test.each([
  ['decline', 'declined'],
  ['cancel', 'did not go on with'],
])('the choice %s gets a clear error', async (action, said) => {
  const { exchange, make, calls } = setUp({ answer: JSON.stringify({ action }) })
  await expect(make(1)(exchange, ROUTE)).rejects.toMatchObject({
    code: 'needs_login',
    message: expect.stringContaining(said) as string,
    link: undefined,
  })
  expect(calls()).toBe(1)
})

test.each([
  ['declares no questions', { features: '' }],
  ['can show forms only', { features: '{"elicitation":{}}' }],
  ['refuses the question', { answer: new GatewayError('cannot_ask', 'It cannot be asked.') }],
])('a client that %s gets the address in an error', async (_, client) => {
  const { exchange, make } = setUp(client)
  const error = await make(1)(exchange, ROUTE).catch((caught: unknown) => caught)
  expect(error).toMatchObject({ code: 'needs_login', link: LINK, server: 'mail' })
  // The log has the message, and not the address.
  expect((error as GatewayError).message).toContain('Server "mail" needs a login')
  expect((error as GatewayError).message).not.toContain(LINK)
})

test('a login that fails ends the call with its reason', async () => {
  const { pending, exchange, make } = setUp({ answer: '{"action":"accept"}' })
  const outcome = make(1)(exchange, ROUTE)
  pending.end(new GatewayError('needs_login', 'The login to server "mail" was not completed in time.'))
  await expect(outcome).rejects.toThrow('not completed in time')
})

test('a call that needs another login after the first one asks once more, and no more', async () => {
  const { pending, asked, exchange, make, calls } = setUp({ answer: '{"action":"accept"}' })
  pending.end()
  expect(await make(2)(exchange, ROUTE)).toBe(ANSWER)
  expect([calls(), asked.length]).toEqual([3, 2])
  const inVain = setUp({ answer: '{"action":"accept"}' })
  inVain.pending.end()
  await expect(inVain.make(9)(inVain.exchange, ROUTE)).rejects.toBe(NEEDS)
  expect([inVain.calls(), inVain.asked.length]).toEqual([3, 2])
})

test('the tool log_in asks once more where the first login is not enough, and no more', async () => {
  const needing: { left: number } = { left: 2 }
  const listNow = (): Promise<void> => (needing.left-- > 0 ? Promise.reject(NEEDS) : Promise.resolve())
  const { pending, asked, exchange, make, logins } = setUp({ answer: '{"action":"accept"}' })
  pending.end()
  const answer = await make(0, { ...logins, listNow })(exchange, TOOL)
  expect(answer.text).toContain('is logged in to server')
  expect(asked).toHaveLength(2)
  needing.left = 9
  await expect(make(0, { ...logins, listNow })(exchange, TOOL)).rejects.toBe(NEEDS)
  expect(asked).toHaveLength(4)
})

test('a cancelled call ends at once, and withdraws its question', async () => {
  const { asked, exchange, cancellation, make, calls } = setUp()
  const outcome = make(1)(exchange, ROUTE)
  await new Promise(resolve => setTimeout(resolve, 20))
  cancellation.cancel('the client left')
  await expect(outcome).rejects.toMatchObject({ code: 'cancelled' })
  expect(asked[0]?.cancellation.reason).toBe('the client left')
  expect(calls()).toBe(1)
})

test('the tool log_in answers with the address, or after the login', async () => {
  const needing: { left: number } = { left: 1 }
  const listNow = (): Promise<void> => (needing.left-- > 0 ? Promise.reject(NEEDS) : Promise.resolve())
  const plain = setUp({ features: '' })
  const answer = await plain.make(0, { ...plain.logins, listNow })(plain.exchange, TOOL)
  expect(answer.text).toContain(LINK)
  expect(answer.text).not.toContain('isError')
  needing.left = 1
  const able = setUp({ answer: '{"action":"accept"}' })
  const outcome = able.make(0, { ...able.logins, listNow })(able.exchange, TOOL)
  able.pending.end()
  expect((await outcome).text).toContain('is logged in to server')
  expect(able.calls()).toBe(0)
})
