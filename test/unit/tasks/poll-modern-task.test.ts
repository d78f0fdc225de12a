import { expect, test } from 'vitest'
import type { Exchange, JsonObject, Outcome } from '../../../src/core/exchange.ts'
import { pollModernTask } from '../../../src/tasks/poll-modern-task.ts'
import { exchangeOf } from '../../helpers/fake-transport.ts'

const ROUTE = { server: 's', own: 'tool', exposed: 's__tool' }

/** A task that asks for more each time it is looked at, under these keys; how it ended, how often its client was asked, and what was sent to the server. */
async function driven(
  maxQuestions: number,
  keysOf: (round: number) => readonly string[],
): Promise<{ error: string; asked: number; methods: string[] }> {
  let round = 0
  const task = (): Extract<Outcome, { kind: 'result' }> => {
    round++
    const inputRequests = Object.fromEntries(
      keysOf(round).map(key => [key, { method: 'elicitation/create', params: { message: 'x' } }]),
    )
    const value: JsonObject = { taskId: 't', status: 'input_required', pollIntervalMs: 1, inputRequests }
    return { kind: 'result', text: JSON.stringify(value), value, modern: true }
  }
  let asked = 0
  const methods: string[] = []
  const exchange = exchangeOf(
    'tools/call',
    { name: 'tool' },
    {
      features: '{"elicitation":{"form":{}}}',
      canBeAsked: 'now',
      ask: () => {
        asked++
        return Promise.resolve('{"action":"accept","content":{}}')
      },
    },
  )
  const next = (call: Exchange): Promise<Outcome> => {
    methods.push(call.request.method)
    return Promise.resolve(call.request.method === 'tasks/get' ? task() : { kind: 'own', text: '{}' })
  }
  const server = { name: 's', maxQuestions, roots: undefined }
  const error = await pollModernTask(next, exchange, ROUTE, task(), server).then(
    () => 'none',
    (caught: Error) => caught.message,
  )
  return { error, asked, methods }
}

test('a task that asks ever new questions ends with the bound, and is cancelled at its server', async () => {
  const { error, asked, methods } = await driven(2, round => [`a${round}`, `b${round}`])
  expect(error).toBe(
    'Server "s" asked more than 16 questions for one task, which is 8 times its "maxQuestions".',
  )
  expect(asked).toBe(16)
  expect(methods.at(-1)).toBe('tasks/cancel')
})

test('a task whose questions have very long keys ends with the bound in characters', async () => {
  const { error, asked } = await driven(64, round => [`${round}${'x'.repeat(100_000)}`])
  expect(error).toBe(
    'Server "s" asked questions for one task whose keys have more than 262144 characters together.',
  )
  expect(asked).toBe(2)
})
