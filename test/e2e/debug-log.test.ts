import { expect, test } from 'vitest'
import { callAs, keyOf, withKeys } from '../helpers/callers.ts'
import { startGateway } from '../helpers/gateway.ts'
import { openSession } from '../helpers/http-client.ts'
import { everything } from '../helpers/real-servers.ts'
import { makeScratch } from '../helpers/scratch.ts'
import { startStdio } from '../helpers/stdio-client.ts'
import type { LogFields, Logger } from '../../src/core/logger.ts'

/** A logger that keeps what is said at `debug`. */
function recorder(debugs: boolean): Logger & { readonly lines: [string, LogFields | undefined][] } {
  const lines: [string, LogFields | undefined][] = []
  const nothing = (): void => {}
  const logger = {
    lines,
    error: nothing,
    warn: nothing,
    info: nothing,
    debug: (message: string, fields?: LogFields) => void lines.push([message, fields]),
    child: () => ({ ...logger, debug: nothing }),
    debugs,
  }
  return logger
}

const FILE = { mcpServers: { everything } }

test('at debug each session, list and call of a client has a line', async () => {
  const logger = recorder(true)
  await using gateway = await startGateway(FILE, { logger })
  const client = await openSession(gateway.origin)
  await client.request('tools/list')
  await client.call('everything__echo', { message: 'hi' })
  await client.call('everything__nothing')
  const about = (message: string): (LogFields | undefined)[] =>
    logger.lines.filter(([said]) => said === message).map(([, fields]) => fields)
  const session = client.session.slice(0, 8)
  expect(about('A session was opened.')).toEqual([
    {
      session,
      client: 'test 1',
      principal: expect.any(String),
      era: 'legacy',
      revision: '2025-11-25',
      front: 'http',
      endpoint: '',
    },
  ])
  expect(about('tools/list')).toMatchObject([
    { client: 'test 1', principal: 'anonymous', session, outcome: 'ok', ms: expect.any(Number) },
  ])
  expect(about('tools/call')).toMatchObject([
    { server: 'everything', name: 'echo', client: 'test 1', session, outcome: 'ok', ms: expect.any(Number) },
    { server: undefined, name: 'everything__nothing', outcome: 'unknown_name' },
  ])
})

test('at debug the line of a request without a route has what was asked for, and the rule that hides it', async () => {
  const logger = recorder(true)
  await using gateway = await startGateway(
    { ...FILE, gateway: { policy: { deny: ['everything/get-env'] } } },
    { logger },
  )
  const client = await openSession(gateway.origin)
  await client.call('everything__get-env')
  await client.call(`odd\u001b[31m\n\u202e${'x'.repeat(1000)}`)
  await client.request('resources/read', { uri: 'nowhere://1' })
  await client.request('completion/complete', {
    ref: { type: 'ref/prompt', name: 'no-prompt' },
    argument: { name: 'a', value: '' },
  })
  const fields = logger.lines.filter(([message]) => message.includes('/')).map(([, said]) => said)
  expect(fields).toMatchObject([
    { name: 'everything__get-env', rule: 'gateway.policy.deny', outcome: 'unknown_name' },
    { name: `odd[31m${'x'.repeat(290)}`, outcome: 'unknown_name' },
    // With a single server, an unknown URI is one of it.
    { server: 'everything', name: 'nowhere://1', outcome: 'error -32602' },
    { name: 'no-prompt', outcome: 'unknown_name' },
  ])
})

test('at debug a client without a session is named once, and each of its calls has a line', async () => {
  const logger = recorder(true)
  await using gateway = await startGateway(FILE, { logger })
  {
    await using client = await callAs(gateway.origin, undefined, { modern: true })
    await client?.request('tools/call', '{"name":"everything__echo","arguments":{"message":"hi"}}')
    await client?.request('tools/list')
  }
  const said = logger.lines.map(([message]) => message)
  expect(said.filter(message => message === 'A client without a session.')).toHaveLength(1)
  expect(logger.lines.find(([message]) => message === 'A client without a session.')?.[1]).toMatchObject({
    era: 'modern',
    revision: '2026-07-28',
  })
  expect(said).toContain('tools/call')
  expect(said).toContain('tools/list')
})

test('at debug the line of a call names the client whose key was shown, in both eras, and never the key', async () => {
  const logger = recorder(true)
  await using gateway = await startGateway({ ...FILE, clients: withKeys({ ci: {}, ada: {} }) }, { logger })
  for (const [name, modern] of [
    ['ci', false],
    ['ada', true],
  ] as const) {
    await using client = await callAs(gateway.origin, keyOf(name), { modern })
    await client?.request('tools/call', '{"name":"everything__echo","arguments":{"message":"hi"}}')
  }
  const calls = logger.lines.filter(([message]) => message === 'tools/call').map(([, fields]) => fields)
  expect(calls).toMatchObject([{ principal: 'ci' }, { principal: 'ada' }])
  for (const name of ['ci', 'ada']) expect(JSON.stringify(logger.lines)).not.toContain(keyOf(name))
})

test('below debug nothing of it is made', async () => {
  const logger = recorder(false)
  await using gateway = await startGateway(FILE, { logger })
  const client = await openSession(gateway.origin)
  await client.call('everything__echo', { message: 'hi' })
  expect(logger.lines.map(([message]) => message)).not.toContain('tools/call')
})

test('over stdio the log on stderr shows the client and its call', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', { ...FILE, gateway: { state: 'memory', log: 'debug' } })
  await using client = startStdio(file)
  await client.initialize()
  await client.call('everything__echo', { message: 'hi' })
  await client.logged(/"message":"A session was opened\.".*"front":"stdio"/)
  await client.logged(/"message":"tools\/call","server":"everything","name":"echo".*"outcome":"ok"/)
})
