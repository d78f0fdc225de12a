import { expect, test } from 'vitest'
import { ReloadQueue } from '../../../src/gateway/reload-queue.ts'
import { deferred } from '../../helpers/deferred.ts'

function queue(): { add: (asked: string) => Promise<string>; ran: string[]; go: () => void } {
  const ran: string[] = []
  const gate = deferred<void>()
  const made = new ReloadQueue<string, string>(async asked => {
    ran.push(asked)
    if (asked === 'slow') await gate.promise
    if (asked.startsWith('bad')) throw new Error(asked)
    return `did ${asked}`
  }, 'superseded')
  return { add: asked => made.add(asked), ran, go: () => gate.resolve() }
}

test('of reloads at once the last one is run, and those before it are superseded', async () => {
  const { add, ran } = queue()
  const done = await Promise.all(['a', 'b', 'c'].map(add))
  expect(done).toEqual(['superseded', 'superseded', 'did c'])
  expect(ran).toEqual(['c'])
})

test('when the last one fails, the one before it is run', async () => {
  const { add, ran } = queue()
  const done = await Promise.allSettled(['a', 'b', 'bad 1', 'bad 2'].map(add))
  expect(done).toMatchObject([
    { value: 'superseded' },
    { value: 'did b' },
    { reason: { message: 'bad 1' } },
    { reason: { message: 'bad 2' } },
  ])
  expect(ran).toEqual(['bad 2', 'bad 1', 'b'])
})

test('a reload that is running ends first; a later one that fails leaves it in effect', async () => {
  const { add, ran, go } = queue()
  const slow = add('slow')
  await expect.poll(() => ran).toEqual(['slow'])
  const later = add('bad')
  go()
  expect(await slow).toBe('did slow')
  await expect(later).rejects.toThrow('bad')
  expect(await add('again')).toBe('did again')
})
