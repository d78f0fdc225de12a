import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { expect, test } from 'vitest'
import { assertNothingLeft, takeStock } from './leftovers.ts'

test('nothing is left when nothing was opened', async () => {
  await assertNothingLeft(takeStock())
})

test('finds a child', async () => {
  const before = takeStock()
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  await once(child, 'spawn')
  await expect(assertNothingLeft(before, 100)).rejects.toThrow(/left behind: .*process \d+ \(.*setInterval/)
  child.kill()
  await once(child, 'exit')
  await assertNothingLeft(before)
})

test('finds a listening socket', async () => {
  const before = takeStock()
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  await expect(assertNothingLeft(before, 100)).rejects.toThrow('left behind: 1 × TCPServerWrap')
  server.close()
  await assertNothingLeft(before)
})

test('finds a timer', async () => {
  const before = takeStock()
  const timer = setInterval(() => {}, 60_000)
  await expect(assertNothingLeft(before, 100)).rejects.toThrow(/timer set at .*leftovers\.test\.ts/)
  clearInterval(timer)
  await assertNothingLeft(before)
})
