import { expect, test } from 'vitest'
import { PacedStarts } from '../../../src/core/paced-starts.ts'
import { SLICE_MS } from '../../../src/core/slices.ts'

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

/** Starts that take a quarter of a slice each, and how many there were in each turn. */
function counted() {
  const inTurn = [0]
  const done: number[] = []
  const starts = new PacedStarts<number>(item => {
    for (const until = performance.now() + SLICE_MS / 4; performance.now() < until;);
    done.push(item)
    inTurn[inTurn.length - 1] = (inTurn.at(-1) as number) + 1
  })
  const untilDone = async (size: number): Promise<void> => {
    while (done.length < size) {
      await turn()
      inTurn.push(0)
    }
  }
  return { starts, inTurn, done, untilDone }
}

test('of a hundred starts that are due at once, each turn does what fits into a slice', async () => {
  const { starts, inTurn, done, untilDone } = counted()
  const all = Array.from({ length: 100 }, (_, at) => at)
  for (const item of all) starts.add(item)
  await untilDone(100)
  expect(done).toEqual(all)
  expect(Math.max(...inTurn)).toBeLessThanOrEqual(5)
})

test('the first start is immediate, also after others, and an item that waits twice is started once', async () => {
  const { starts, done, untilDone } = counted()
  starts.add(1)
  expect(done).toEqual([1])
  starts.add(2)
  starts.add(2)
  await untilDone(2)
  await turn()
  await turn()
  starts.add(1)
  expect(done).toEqual([1, 2, 1])
})
