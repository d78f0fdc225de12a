import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { openSession } from '../helpers/http-client.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { serveGateway } from '../helpers/served.ts'

/** Counts its starts in the file `STARTS`; from the third start on it fails for another reason. */
const BROKEN = `
const { appendFileSync, statSync } = require('node:fs')
appendFileSync(process.env.STARTS, 'x')
const starts = statSync(process.env.STARTS).size
const at = new Date().toISOString()
for (let i = 1; i <= 11; i++) console.error(at + ' [' + process.pid + '] step ' + i)
console.log('hint: see the manual')
console.error(starts < 3 ? 'Error: no key' : 'Error: no licence')
process.exit(1)`

test('a server that fails at each start is quoted once, then only where it says something else', async () => {
  await using scratch = makeScratch()
  const starts = scratch.write('starts', '')
  const file = scratch.write('servers.json', {
    mcpServers: {
      bad: { command: process.execPath, args: ['-e', BROKEN], env: { STARTS: starts } },
    },
    gateway: { http: { port: 0 }, state: 'memory' },
  })
  await using gateway = await serveGateway(file)
  const printed = (text: string): number => gateway.said.split(text).length - 1
  await expect.poll(() => readFileSync(starts).length).toBeGreaterThan(4)
  // Said of the second start, and of the one that brought something new.
  expect(printed('the same 13 lines as before')).toBe(1)
  expect(printed('the same 12 lines as before')).toBe(1)
  expect(printed('step 7')).toBe(1)
  expect(printed('hint: see the manual')).toBe(1)
  expect(printed('"Error: no key","server"')).toBe(1)
  expect(printed('"Error: no licence","server"')).toBe(1)
})

test('processes that one server is started in for several kinds of clients are quoted once while they are silent', async () => {
  await using scratch = makeScratch()
  const starts = scratch.write('starts', '')
  const silent = `
require('node:fs').appendFileSync(process.env.STARTS, 'x')
console.error('I wait for a licence')
setInterval(() => console.log('still waiting'), 200)
process.stdin.on('end', () => process.exit()).resume()`
  const file = scratch.write('servers.json', {
    mcpServers: { silent: { command: process.execPath, args: ['-e', silent], env: { STARTS: starts } } },
    gateway: { http: { port: 0 }, state: 'memory', catalog: { firstListTimeout: '1s' } },
  })
  await using gateway = await serveGateway(file)
  const printed = (text: string): number => gateway.said.split(text).length - 1
  const kinds = [{ sampling: {} }, { elicitation: {} }, { roots: {} }]
  await Promise.all(
    kinds.map(async kind => {
      const client = await openSession(gateway.origin, '', kind)
      await client.request('tools/list')
    }),
  )
  await expect.poll(() => readFileSync(starts).length).toBeGreaterThan(2)
  await expect.poll(() => printed('still waiting')).toBe(1)
  expect(printed('"I wait for a licence","server"')).toBe(1)
})
