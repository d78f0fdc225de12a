import type { IncomingMessage } from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { monotonicNow } from '../../../../src/core/clock.ts'
import { Bodies } from '../../../../src/front/http/bodies.ts'

const MB = 1024 * 1024
const JSON_TYPE = { 'content-type': 'application/json' }

const read = (request: unknown, maxBytes: number): Promise<string> => textOf(new Bodies(maxBytes), request)

/** The text of a body, whose call is over as soon as it is read. */
async function textOf(bodies: Bodies, request: unknown, principal = 'a'): Promise<string> {
  const { text, letGo } = await bodies.read(request as IncomingMessage, principal)
  letGo?.()
  return text
}

const body = (chunks: string[], headers: Record<string, string> = JSON_TYPE): Readable =>
  Object.assign(Readable.from(chunks.map(chunk => Buffer.from(chunk))), { headers })

/** A request whose body comes as the test writes it. */
function slow(bytes: number): PassThrough {
  return Object.assign(new PassThrough(), { headers: { ...JSON_TYPE, 'content-length': String(bytes) } })
}

/** Whether a body is being read: else what is written stays where it is. */
async function isRead(request: PassThrough): Promise<boolean> {
  await new Promise(resolve => setImmediate(resolve))
  return request.listenerCount('data') > 0
}

describe('a body', () => {
  it('is put together, also in the middle of a character', async () => {
    const bytes = Buffer.from('"é🙂"')
    const split = Readable.from([bytes.subarray(0, 2), bytes.subarray(2, 5), bytes.subarray(5)])
    const headers = { 'content-type': 'application/json; charset=utf-8' }
    expect(await read(Object.assign(split, { headers }), 100)).toBe('"é🙂"')
    expect(await read(body([]), 100)).toBe('')
  })

  it('may be as large as allowed and no larger', async () => {
    expect(await read(body(['x'.repeat(50), 'x'.repeat(50)]), 100)).toHaveLength(100)
    await expect(read(body(['x'.repeat(50), 'x'.repeat(51)]), 100)).rejects.toMatchObject({ status: 413 })
    await expect(read(body([], { ...JSON_TYPE, 'content-length': '101' }), 100)).rejects.toMatchObject({
      status: 413,
    })
  })

  it.each([undefined, 'text/plain', 'application/jsonp', 'application/x-www-form-urlencoded'])(
    'of type %s is refused',
    async type => {
      await expect(
        read(body([], type === undefined ? {} : { 'content-type': type }), 100),
      ).rejects.toMatchObject({
        status: 415,
      })
    },
  )
})

describe('unfinished bodies', () => {
  it('of one client take half of the room, the rest of them wait, and another client is read at once', async () => {
    const bodies = new Bodies(4 * MB)
    const requests = Array.from({ length: 40 }, () => slow(4 * MB))
    const texts = requests.map(request => textOf(bodies, request, 'greedy'))
    const begun = await Promise.all(requests.map(isRead))
    expect(begun.filter(Boolean)).toHaveLength(16)
    const other = slow(4 * MB)
    const text = textOf(bodies, other, 'modest')
    expect(await isRead(other)).toBe(true)
    other.end('"x"')
    expect(await text).toBe('"x"')
    for (const request of requests) request.end('1')
    expect(await Promise.all(texts)).toEqual(requests.map(() => '1'))
  })

  it('that take long end when others wait, and no more of them than these need', async () => {
    const bodies = new Bodies(4 * MB)
    const later = (): number => monotonicNow() + 20_000
    const requests = Array.from({ length: 16 }, () => slow(4 * MB))
    const ends = requests.map(request => textOf(bodies, request).catch((error: unknown) => error))
    bodies.sweep(later())
    expect((await Promise.all(requests.map(isRead))).filter(Boolean)).toHaveLength(16)
    const last = slow(4 * MB)
    const text = textOf(bodies, last)
    expect(await isRead(last)).toBe(false)
    bodies.sweep(later())
    expect(await ends[0]).toMatchObject({ status: 408 })
    expect(await isRead(last)).toBe(true)
    last.end('9')
    for (const request of requests.slice(1)) request.end('1')
    expect(await text).toBe('9')
    expect(await Promise.all(ends.slice(1))).toEqual(ends.slice(1).map(() => '1'))
  })

  it('leave their room to others when their clients leave, also while they wait', async () => {
    const bodies = new Bodies(4 * MB)
    const requests = Array.from({ length: 18 }, () => slow(4 * MB))
    const ends = requests.map(request => textOf(bodies, request).catch(error => error))
    for (const request of requests.slice(0, 17)) request.destroy()
    expect(await Promise.all(ends.slice(0, 17))).toMatchObject(
      ends.slice(0, 17).map(() => ({ code: 'cancelled' })),
    )
    expect(await isRead(requests[17] as PassThrough)).toBe(true)
    requests[17]?.end('1')
    expect(await ends[17]).toBe('1')
  })

  it('take the room of what has come until their calls are over', async () => {
    const bodies = new Bodies(4 * MB)
    const calls = await Promise.all(
      Array.from({ length: 20 }, (_, at) => {
        const request = slow(4 * MB)
        // The first four could have been larger.
        request.end(at < 4 ? '1' : 'x'.repeat(4 * MB))
        return bodies.read(request as unknown as IncomingMessage, 'a')
      }),
    )
    const next = slow(4 * MB)
    const text = textOf(bodies, next)
    expect(await isRead(next)).toBe(false)
    // Twice is once.
    calls[4]?.letGo?.()
    calls[4]?.letGo?.()
    expect(await isRead(next)).toBe(true)
    next.end('2')
    expect(await text).toBe('2')
  })

  it('that wait of one client, as many as may, refuse no body that fits, and give way to one that waits', async () => {
    const bodies = new Bodies(4 * MB)
    const ends = Array.from({ length: 16 + 1024 }, () =>
      textOf(bodies, slow(4 * MB), 'greedy').catch((error: unknown) => error),
    )
    const fits = slow(MB)
    const text = textOf(bodies, fits, 'modest')
    expect(await isRead(fits)).toBe(true)
    fits.end('1')
    expect(await text).toBe('1')
    // Of the greedy client, one more has no place.
    expect(await textOf(bodies, slow(4 * MB), 'greedy').catch(error => error)).toMatchObject({ status: 503 })
    const more = Array.from({ length: 17 }, () => slow(4 * MB))
    for (const request of more) textOf(bodies, request, 'other').catch(() => undefined)
    expect(await ends.at(-1)).toMatchObject({ status: 503 })
    expect((await Promise.all(more.map(isRead))).filter(Boolean)).toHaveLength(8)
  })

  it('of calls that hang take no room from a client that holds little', async () => {
    const bodies = new Bodies(4 * MB)
    for (let client = 0; client < 18; client++)
      for (const size of [4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 2, 1, 0.5, 0.25, 0.12, 0.07]) {
        const request = slow(size * MB)
        request.end('x'.repeat(size * MB))
        bodies.read(request as unknown as IncomingMessage, `hangs ${client}`).catch(() => undefined)
      }
    await new Promise(resolve => setTimeout(resolve, 50))
    for (const size of [100_000, 500_000]) {
      const request = slow(size)
      const text = textOf(bodies, request, 'modest')
      expect(await isRead(request), `${size} bytes`).toBe(true)
      request.end('1')
      expect(await text).toBe('1')
    }
  })

  it('that are slow end for no client that holds more', async () => {
    const bodies = new Bodies(4 * MB)
    const honest = slow(4 * MB)
    const text = textOf(bodies, honest, 'honest')
    for (let n = 0; n < 40; n++) textOf(bodies, slow(4 * MB), 'greedy').catch(() => undefined)
    for (let again = 0; again < 3; again++) bodies.sweep(monotonicNow() + 20_000)
    honest.end('1')
    expect(await text).toBe('1')
  })
})

describe('small unfinished bodies', () => {
  it('of one client are read up to its share of their room and of that of large ones; another client is read at once', async () => {
    const bodies = new Bodies(4 * MB)
    const requests = Array.from({ length: 2000 }, () => slow(63_000))
    const texts = requests.map(request => textOf(bodies, request, 'greedy').catch((error: unknown) => error))
    const begun = await Promise.all(requests.map(isRead))
    // 8 MiB of 16 and 64 MiB of 128.
    expect(begun.filter(Boolean)).toHaveLength(133 + 1065)
    for (const principal of ['modest', 'another']) {
      const other = slow(63_000)
      const text = textOf(bodies, other, principal)
      expect(await isRead(other)).toBe(true)
      other.end('"x"')
      expect(await text).toBe('"x"')
    }
    // What is over gives its room to those that wait.
    for (const request of requests) request.end('1')
    expect(await Promise.all(texts)).toEqual(requests.map(() => '1'))
    const next = slow(63_000)
    const text = textOf(bodies, next, 'greedy')
    expect(await isRead(next)).toBe(true)
    next.destroy(new Error('reset'))
    await expect(text).rejects.toThrow()
  })
})

describe('the values of a body', () => {
  const objects = (count: number): string => `[${'{},'.repeat(count - 1)}{}]`
  const sized = (text: string): Readable =>
    body([text], { ...JSON_TYPE, 'content-length': String(text.length) })
  const SMALL = objects(20_000)

  it('take room, also of a body that is small in bytes, until its call is over', async () => {
    const bodies = new Bodies(4 * MB)
    const come = async (text: string, principal: string): Promise<() => void> =>
      (await bodies.read(sized(text) as IncomingMessage, principal)).letGo ?? (() => undefined)
    const held: (() => void)[] = []
    for (;;) {
      const next = await come(SMALL, 'greedy').catch((error: unknown) => error)
      if (typeof next !== 'function') {
        expect(next).toMatchObject({ status: 503 })
        break
      }
      held.push(next as () => void)
    }
    // Half of 128 MiB, 64 bytes for each value.
    expect(held.length).toBeGreaterThan(40)
    expect(held.length).toBeLessThan(60)
    expect((await bodies.read(sized('"x"') as IncomingMessage, 'greedy')).text).toBe('"x"')
    const other = await come(SMALL, 'modest')
    other()
    for (const letGo of held) letGo()
    await come(SMALL, 'greedy')
  })

  it('are refused where they are more than 100,000, and hold nothing then', async () => {
    const bodies = new Bodies(4 * MB)
    for (let count = 0; count < 100; count++)
      await expect(
        bodies.read(sized(`{"id":5,"p":${objects(200_000)}}`) as IncomingMessage, 'a'),
      ).rejects.toMatchObject({ code: 'too_large', id: '5' })
    const { letGo } = await bodies.read(sized(objects(90_000)) as IncomingMessage, 'a')
    expect(letGo).toBeDefined()
  })
})
