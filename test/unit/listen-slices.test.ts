import { expect, test } from 'vitest'
import { Cancellation } from '../../src/core/cancellation.ts'
import type { Exchange } from '../../src/core/exchange.ts'
import { ANONYMOUS } from '../../src/core/principal.ts'
import { Router, type RouterOptions } from '../../src/gateway/router.ts'

/** How long the look-up of one resource takes. */
const LOOK_UP_MS = 6

test('a stream that names many resources lets everything else have its turn between the look-ups', async () => {
  let lookUps = 0
  const view = {
    listed: () => {
      lookUps++
      const until = performance.now() + LOOK_UP_MS
      while (performance.now() < until);
      return undefined
    },
    linked: () => undefined,
    unlisted: () => undefined,
  }
  const router = new Router({
    catalog: { views: { view: () => view }, view: () => view },
    resourceOwners: { owner: () => undefined },
    subscriptions: { leave: () => undefined },
  } as unknown as RouterOptions)
  const exchange = {
    view: '',
    principal: { id: '' },
    cancellation: new Cancellation(),
  } as unknown as Exchange
  const ANYONE = { principal: ANONYMOUS, view: '' }
  const uris = Array.from({ length: 20 }, (_, at) => `x://${at}`)
  const seen: number[] = []
  const watch = (): void => {
    seen.push(lookUps)
    if (lookUps < uris.length) setImmediate(watch)
  }
  setImmediate(watch)
  expect(await router.subscribe(exchange, uris, { ...ANYONE, notify: () => undefined })).toEqual([])
  const most = Math.max(...seen.map((count, at) => count - (seen[at - 1] ?? 0)))
  expect(most, 'look-ups without a pause').toBeLessThanOrEqual(2)
})
