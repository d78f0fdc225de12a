import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { openSession } from '../../helpers/http-client.ts'

/** The programs in `examples/`, as a newcomer starts them. */

const EXAMPLES = fileURLToPath(new URL('../../../examples', import.meta.url))

test('embed-http serves the gateway beside its own page, and stops on request', async () => {
  const program = spawn(process.execPath, [`${EXAMPLES}/embed-http/server.js`], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(program, 'exit')
  try {
    let address = ''
    for await (const line of createInterface({ input: program.stdout }))
      if ((address = /^http:\S+(?=\/mcp$)/.exec(line)?.[0] ?? '') !== '') break
    program.stdout.resume()
    const client = await openSession(address)
    expect(await client.names('tools')).toEqual(['clock__time', 'clock__zone'])
    expect(await client.call('clock__time')).toMatch(/^\d{4}-\d\d-\d\dT/)
    expect(await (await fetch(new URL('/', address))).text()).toBe(
      'The gateway is ready; 1 sessions are open.\n',
    )
    program.kill('SIGTERM')
    expect(await exited).toEqual([0, null])
  } finally {
    program.kill('SIGKILL')
  }
})

test('embed-stdio shows what its client may use', async () => {
  const program = spawn(process.execPath, [`${EXAMPLES}/embed-stdio/client.js`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(program, 'exit')
  const lines: string[] = []
  for await (const line of createInterface({ input: program.stdout })) lines.push(line)
  expect(await exited).toEqual([0, null])
  expect(lines[0]).toBe('home__time, home__zone, office__zone')
  expect(lines[1]).toMatch(/^\d{4}-\d\d-\d\dT/)
})
