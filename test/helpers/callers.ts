import type { Principal } from '../../src/core/principal.ts'
import type { Reply } from '../../src/front/call.ts'
import { acceptModern, listen } from '../../src/front/modern.ts'
import { Session } from '../../src/front/session.ts'
import type { Gateway } from '../../src/gateway.ts'
import { parseJson, takeApart, type Incoming } from '../../src/protocol/message.ts'
import type { JsonObject } from '../../src/core/exchange.ts'
import { Inbox } from './inbox.ts'
import { requestText, withEnvelope } from './wire-clients.ts'

/** A client of which a test says who it is. This file is the only place that knows how a principal gets into the gateway. */
export interface Caller extends Disposable {
  readonly modern: boolean
  /** Everything that was sent apart from answers, as text. */
  readonly notifications: Inbox<string>
  /** Sends a request and resolves with the answering message. `params` is text. */
  request(method: string, params?: string): Promise<string>
  /** Modern: opens a listen stream with these notifications and resolves with the acknowledgement. */
  listen(filter: string): Promise<string>
}

/** `undefined` where the endpoint does not exist for the principal. */
export async function callAs(
  gateway: Gateway,
  principal: Principal,
  options: { modern: boolean; endpoint?: string; capabilities?: string },
): Promise<Caller | undefined> {
  const { modern, endpoint = '' } = options
  const view = gateway.viewOf(endpoint, principal)
  if (view === undefined) return undefined
  const notifications = new Inbox<string>()
  let ids = 0
  const replyTo = (resolve: (text: string) => void): Reply => ({
    notify: text => {
      notifications.push(text)
      return true
    },
    status: () => undefined,
    answer: (head, body, tail) => resolve(head + body.toString() + tail),
    drop: () => resolve(''),
  })
  if (modern) {
    const enveloped = (params: string | undefined): string =>
      withEnvelope(params).replace(
        '/clientCapabilities":{}',
        () => `/clientCapabilities":${options.capabilities ?? '{}'}`,
      )
    const streams: (() => void)[] = []
    const accept = (method: string, params: string | undefined, reply: Reply) => {
      const id = String(++ids)
      const incoming = incomingOf(requestText(id, method, enveloped(params)))
      const request = { id, incoming, principal, view, headers: undefined }
      return { request, call: acceptModern(gateway, request, reply) }
    }
    return {
      modern,
      notifications,
      request: (method, params) =>
        new Promise(resolve => {
          void accept(method, params, replyTo(resolve)).call.run(gateway)
        }),
      listen: filter => {
        const reply = replyTo(() => undefined)
        const { request, call } = accept('subscriptions/listen', `{"notifications":${filter}}`, reply)
        streams.push(listen(gateway, request, call, reply))
        return notifications.take(text => text.includes('/acknowledged"'), 'the acknowledgement')
      },
      [Symbol.dispose]: () => streams.forEach(end => end()),
    }
  }
  const session = new Session(gateway, principal, view, text => notifications.push(text))
  const request = (method: string, params?: string): Promise<string> =>
    new Promise(resolve => {
      const id = String(++ids)
      session.request(id, incomingOf(requestText(id, method, params)), replyTo(resolve))
    })
  await request(
    'initialize',
    `{"protocolVersion":"2025-11-25","capabilities":${options.capabilities ?? '{}'},"clientInfo":{"name":"caller","version":"1"}}`,
  )
  return {
    modern,
    notifications,
    request,
    listen: () => Promise.reject(new Error('A legacy client subscribes by request.')),
    [Symbol.dispose]: () => session.close(),
  }
}

function incomingOf(text: string): Incoming {
  return takeApart({ text, value: parseJson(text) as JsonObject })
}
