import { expect, test } from 'vitest'
import type { Json, JsonObject } from '../../src/core/exchange.ts'
import { checkNames } from '../../src/config/validate/policy.ts'
import { FairQueue } from '../../src/middleware/queue/fair-queue.ts'
import { prefixWarnings } from '../../src/config/validate/self-reference.ts'
import {
  elicitationAt,
  revisionProfile,
  resultAt,
  samplingAt,
  type RevisionProfile,
} from '../../src/protocol/revision-profile.ts'
import { labelled, labelledRequests } from '../../src/bridge/client-request.ts'

/**
 * What goes through text or lists from outside takes time in proportion to them: with anything more, one message of a size that is allowed holds up all clients.
 * A row is a name, a function, a maker of its input of a size, and a size at which one run takes a millisecond or more.
 */
type Row = readonly [
  name: string,
  run: (input: never) => unknown,
  make: (size: number) => unknown,
  size: number,
]

function row<T>(name: string, run: (input: T) => unknown, make: (size: number) => T, size: number): Row {
  return [name, run, make, size]
}

const OLDEST = revisionProfile('2024-11-05') as RevisionProfile
const SERVER = { name: 'a', maxQuestions: Infinity }

const json = (value: unknown): { text: string; value: JsonObject } => ({
  text: JSON.stringify(value),
  value: value as JsonObject,
})

const many = <T>(size: number, make: (at: number) => T): Record<string, T> =>
  Object.fromEntries(Array.from({ length: size }, (_, at) => [`key ${at}`, make(at)]))

const ROWS: readonly Row[] = [
  row(
    'audio whose data is padding that does not end it, for a client without audio',
    (input: Json) => resultAt(OLDEST, 'tools/call', input),
    size => json({ content: [{ type: 'audio', mimeType: 'audio/wav', data: `${'='.repeat(size)}a` }] }),
    8000,
  ),
  row(
    'blocks of a type that a client does not have',
    (input: Json) => resultAt(OLDEST, 'tools/call', input),
    size => json({ content: Array.from({ length: size }, () => ({ type: 'x' })) }),
    2400,
  ),
  row(
    'a question with breaks of lines that no label follows',
    (message: string) => labelled('a', message),
    size => `${'\n'.repeat(size - 1)}x`,
    25_000,
  ),
  row(
    'questions of one answer of a modern server',
    (input: Json<JsonObject>) => labelledRequests(SERVER, input),
    size =>
      json({
        inputRequests: many(size, () => ({ method: 'elicitation/create', params: { message: 'well?' } })),
      }),
    1500,
  ),
  row(
    'choices with titles, for a client of a revision that has none',
    (input: Json) => elicitationAt(input, 'a'),
    size =>
      json({
        requestedSchema: { properties: many(size, () => ({ oneOf: [{ const: 'a', title: 'A' }] })) },
      }),
    1200,
  ),
  row(
    'a message to sample from with a list of content, for a client without lists',
    (input: Json) => samplingAt(OLDEST, input, 'a'),
    size =>
      json({
        messages: [
          { role: 'user', content: Array.from({ length: size }, () => ({ type: 'text', text: 'x' })) },
        ],
      }),
    2400,
  ),
  row(
    'prefixes of many servers, of which each begins with another',
    prefixWarnings,
    size =>
      Array.from({ length: size }, (_, at) => ({
        name: `server ${at}`,
        prefix: at % 2 === 0 ? `s${at}` : `s${at - 1}__b`,
      })),
    3000,
  ),
  row(
    'names of many servers, of which patterns tell some from no other',
    (names: string[]) => checkNames(names, name => ['mcpServers', name]),
    size => Array.from({ length: size }, (_, at) => (at % 2 === 0 ? `s${at}` : `s${at - 1}/b`)),
    2000,
  ),
  row(
    'queues of many servers',
    (names: string[]) => {
      const queue = new FairQueue({ permits: 1, bound: 1 })
      for (const name of names) queue.serverQueue(name, { permits: 1, bound: 1 })
    },
    size => Array.from({ length: size }, (_, at) => `server ${at}`),
    2000,
  ),
]

/** The quickest of how many runs counts: what else the machine does makes a run longer, and never shorter. */
const RUNS = 5
/** Four times as much takes four times as long; sixteen times where the time is quadratic. */
const MOST = 10
/** A machine that does something else meanwhile may spoil one comparison, and not several. */
const ATTEMPTS = 6

test.each(ROWS)('%s: in proportion to the size', (_, run, make, size) => {
  const small = make(size) as never
  const large = make(4 * size) as never
  // Compiled before anything is measured.
  run(small)
  run(large)
  let least = Infinity
  for (let attempt = 0; attempt < ATTEMPTS && least >= MOST; attempt++)
    least = Math.min(least, quickest(() => run(large)) / quickest(() => run(small)))
  expect(least, 'time of four times the size').toBeLessThan(MOST)
})

/** Processor time of this process, in microseconds: the time in which other processes run does not count. */
function quickest(run: () => unknown): number {
  let least = Infinity
  for (let at = 0; at < RUNS; at++) {
    const before = process.cpuUsage()
    run()
    const { user, system } = process.cpuUsage(before)
    least = Math.min(least, user + system)
  }
  return Math.max(least, 1)
}
