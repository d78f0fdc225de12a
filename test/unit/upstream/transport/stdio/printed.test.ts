import { expect, test } from 'vitest'
import { SILENT, type Logger } from '../../../../../src/core/logger.ts'
import { Printed, type PrintedByOne } from '../../../../../src/upstream/transport/stdio/printed.ts'

/** Processes of one endpoint, and at which level their lines are logged. */
function processes(): { readonly log: string[]; readonly start: (name: string) => PrintedByOne } {
  const log: string[] = []
  const printed = new Printed()
  const logger = (name: string): Logger => ({
    ...SILENT,
    info: text => void log.push(`${name} info ${text}`),
    debug: text => void log.push(`${name} debug ${text}`),
  })
  return { log, start: name => printed.begin(logger(name)) }
}

test('a line of a process in its handshake stays known when another one that printed it has ended its handshake', () => {
  const { log, start } = processes()
  const [a, b, c] = [start('a'), start('b'), start('c')]
  a.line('hello')
  b.line('hello')
  b.line('hello')
  b.greeted()
  c.line('hello')
  expect(log).toEqual(['a info hello', 'b debug hello', 'b debug hello', 'c debug hello'])
})

test('a line stays known when the first process that printed it has ended its handshake, and another one has not', () => {
  const { log, start } = processes()
  const [a, b, c] = [start('a'), start('b'), start('c')]
  a.line('hello')
  b.line('hello')
  a.greeted()
  c.line('hello')
  expect(log).toEqual(['a info hello', 'b debug hello', 'c debug hello'])
})

test('a line is new again when each process that printed it has ended its handshake', () => {
  const { log, start } = processes()
  const [a, b] = [start('a'), start('b')]
  a.line('hello')
  b.line('hello')
  a.greeted()
  b.greeted()
  start('c').line('hello')
  expect(log).toEqual(['a info hello', 'b debug hello', 'c info hello'])
})

test('output of a process after its failed handshake does not count as that of one in its handshake', () => {
  const { log, start } = processes()
  const a = start('a')
  a.line('hello')
  a.failed()
  a.line('bye')
  start('b').greeted()
  const c = start('c')
  c.line('hello')
  c.line('bye')
  expect(log).toEqual(['a info hello', 'a info bye', 'c debug hello', 'c info bye'])
})
