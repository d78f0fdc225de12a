import { expect, test } from 'vitest'
import { OAuthFailure } from '../../../../../src/credentials/oauth/failure.ts'
import type { GrantContext } from '../../../../../src/credentials/oauth/grant.ts'
import { beginDevice } from '../../../../../src/credentials/oauth/grants/device.ts'
import { decideDevice, startAuthorizationServer } from '../../../../helpers/authorization-server.ts'
import type { AuthorizationServer } from '../../../../helpers/authorization-server.ts'
import { grantContext } from '../../../../helpers/grant-context.ts'
import { assertNothingLeft, takeStock } from '../../../../helpers/leftovers.ts'

const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code'
const clients = [{ client_id: 'gateway', client_secret: 'secret', grant_types: [DEVICE, 'refresh_token'] }]
const URL_OF_SERVER = 'https://files.example/mcp'

const contextFor = (
  server: AuthorizationServer,
  changes: Partial<GrantContext> = {},
): Promise<GrantContext> =>
  grantContext(
    server,
    URL_OF_SERVER,
    { clientId: 'gateway', clientSecret: 'secret', grant: 'device', scopes: 'mcp' },
    changes,
  )

test('a person enters the code, and the tokens come', async () => {
  await using server = await startAuthorizationServer({ clients })
  const login = await beginDevice(await contextFor(server))
  expect(login.completeUri).toContain(login.userCode)
  await decideDevice(login.verificationUri, login.userCode, { user: 'bob' })
  const tokens = await login.tokens
  expect(tokens).toMatchObject({
    tokenType: 'Bearer',
    scope: 'mcp',
    clientId: 'gateway',
    resource: URL_OF_SERVER,
  })
  expect(tokens.refreshToken).toBeTypeOf('string')
})

test('a person refuses', async () => {
  await using server = await startAuthorizationServer({ clients })
  const login = await beginDevice(await contextFor(server))
  await decideDevice(login.verificationUri, login.userCode, { decision: 'deny' })
  await expect(login.tokens).rejects.toMatchObject({ name: 'OAuthFailure', code: 'access_denied' })
})

test('polls as slowly as it is told to', async () => {
  await using server = await startAuthorizationServer({ clients })
  await server.behave('/token', { status: 400, body: '{"error":"slow_down"}', times: 1 })
  const login = await beginDevice(await contextFor(server))
  await decideDevice(login.verificationUri, login.userCode)
  const before = performance.now()
  await login.tokens
  // One second, and after `slow_down` five more.
  expect(performance.now() - before).toBeGreaterThan(5500)
})

test('the code ends', async () => {
  await using server = await startAuthorizationServer({ clients, deviceSeconds: 2 })
  const login = await beginDevice(await contextFor(server))
  await expect(login.tokens).rejects.toThrow(
    'the code of the device login has ended. Fix: begin the login again.',
  )
  expect((await server.happened()).redemptions).toEqual({})
})

test('a login that is given up asks no more, and leaves nothing', async () => {
  const before = takeStock()
  {
    await using server = await startAuthorizationServer({ clients })
    const ending = new AbortController()
    const login = await beginDevice(await contextFor(server, { signal: ending.signal }))
    ending.abort(new Error('given up'))
    await expect(login.tokens).rejects.toThrow()
  }
  await assertNothingLeft(before)
})

test('an authorization server without device login', async () => {
  await using server = await startAuthorizationServer({ clients: [], device: false })
  await expect(beginDevice(await contextFor(server))).rejects.toThrow(
    'The server "files": the device login is not offered by its authorization server. Fix: log in with a browser.',
  )
})

test.each([
  ['HTML', { status: 200, body: '<html>' }],
  [
    'a link that is none',
    { status: 200, body: '{"device_code":"d","user_code":"U","verification_uri":"javascript:alert(1)"}' },
  ],
  [
    'a code of many lines',
    { status: 200, body: '{"device_code":"d","user_code":"U\\nV","verification_uri":"https://a.example/"}' },
  ],
  ['a refusal', { status: 401, body: '{"error":"invalid_client","error_description":"secret"}' }],
])('a device endpoint that answers %s', async (_, answer) => {
  await using server = await startAuthorizationServer({ clients })
  await server.behave('/device/auth', answer)
  const error: unknown = await beginDevice(await contextFor(server)).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(OAuthFailure)
  expect((error as OAuthFailure).message).toContain(
    `was refused by its authorization server (status ${answer.status})`,
  )
})

test('a refused request has the error of the authorization server for the log, and no secret', async () => {
  await using server = await startAuthorizationServer({ clients })
  const body = JSON.stringify({
    error: 'invalid_scope',
    error_description: 'mcp is unknown to client with secret',
  })
  await server.behave('/device/auth', { status: 400, body })
  const failure = await beginDevice(await contextFor(server)).catch((error: unknown) => error)
  expect(failure).toBeInstanceOf(OAuthFailure)
  expect((failure as OAuthFailure).detail).toBe('invalid_scope: mcp is unknown to client with …')
})
