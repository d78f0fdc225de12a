import { describe, expect, it, onTestFinished } from 'vitest'
import { GatewayError, type ErrorCode } from '../../src/core/errors.ts'
import type { UpstreamCredentials } from '../../src/core/upstream-credentials.ts'

/** What every implementation of `UpstreamCredentials` does, whatever its headers come from. */

export interface CredentialsSetup {
  readonly credentials: UpstreamCredentials
  /** Lets other headers be due: a value is changed, a token renewed. Absent: they never change. */
  readonly change?: () => void | Promise<void>
  close?(): void | Promise<void>
}

export interface CredentialsSubject {
  /** Name of the server in its errors. */
  readonly server: string
  /** Credentials that are at hand once `headers` has been awaited. */
  ready(): CredentialsSetup | Promise<CredentialsSetup>
  /** Credentials that cannot be had without a person. Absent: they are always there. */
  lacking?(): CredentialsSetup | Promise<CredentialsSetup>
  /** Texts that may be in headers only. */
  readonly secrets: readonly string[]
}

/** Errors that say that a person has to do something. */
const FOR_A_PERSON: readonly ErrorCode[] = ['needs_login', 'upstream_unauthorized', 'missing_value']
const POST = { method: 'POST', url: 'https://peer.example/mcp' }
const CHALLENGE = 'Bearer error="invalid_token", resource_metadata="https://peer.example/.well-known/x"'
/** Refusals of one request in a row, far more than a transport has. */
const MANY = 5

export function describeUpstreamCredentials(name: string, subject: CredentialsSubject): void {
  const made = async (kind: 'ready' | 'lacking'): Promise<CredentialsSetup> => {
    const setup = await (subject[kind] as CredentialsSubject['ready'])()
    onTestFinished(() => setup.close?.())
    return setup
  }
  const isClear = (error: unknown): void => {
    expect(error).toBeInstanceOf(GatewayError)
    const { code, message } = error as GatewayError
    expect(FOR_A_PERSON).toContain(code)
    expect(message).toContain(`"${subject.server}"`)
    for (const secret of subject.secrets) expect(message).not.toContain(secret)
  }

  describe(`${name} as credentials`, () => {
    it('give pairs of a name in lower case and a value that can be sent', async () => {
      const { credentials } = await made('ready')
      const list = await credentials.headers(POST)
      expect(list.length).toBeGreaterThan(0)
      expect(list.length % 2).toBe(0)
      const headers = new Headers()
      for (let at = 0; at < list.length; at += 2) {
        expect(list[at]).toMatch(/^[!#$%&'*+.^_`|~0-9a-z-]+$/)
        headers.append(list[at] as string, list[at + 1] as string)
      }
      expect(subject.secrets.some(secret => JSON.stringify(list).includes(secret))).toBe(true)
    })

    it('give them at once, and the same list, as long as nothing has changed', async () => {
      const { credentials } = await made('ready')
      const list = await credentials.headers(POST)
      for (const method of ['POST', 'GET', 'POST'])
        expect(credentials.headers({ ...POST, method })).toBe(list)
    })

    it('give another list after a change, and say that a request with the former one is worth another try', async () => {
      const { credentials, change } = await made('ready')
      if (!change) return
      const former = await credentials.headers(POST)
      await change()
      expect(await credentials.refused({ status: 401, wwwAuthenticate: CHALLENGE, sent: former })).toBe(true)
      const list = await credentials.headers(POST)
      expect(list).not.toEqual(former)
      expect(credentials.headers(POST)).toBe(list)
    })

    it.each([401, 403])(
      'end with one clear error at a server that refuses everything with %d',
      async status => {
        const { credentials } = await made('ready')
        for (let times = 1; times <= MANY; times++) {
          const sent = await credentials.headers(POST)
          const outcome = await credentials.refused({ status, wwwAuthenticate: CHALLENGE, sent })
          if (outcome !== true) return isClear(outcome)
          expect(await credentials.headers(POST)).not.toBe(sent)
        }
        throw new Error(`still worth another try after ${MANY} refusals`)
      },
    )

    it.each([undefined, '', 'Bearer', '"', 'Bearer error="', 'x'.repeat(8192), ', ,=, Bearer realm="\\'])(
      'take any challenge: %j',
      async wwwAuthenticate => {
        const { credentials } = await made('ready')
        const sent = await credentials.headers(POST)
        const outcome = await credentials.refused({ status: 401, wwwAuthenticate, sent })
        if (outcome !== true) isClear(outcome)
      },
    )

    it.runIf(subject.lacking)('reject, and do not throw, where a person has to act first', async () => {
      const { credentials } = await made('lacking')
      const given = credentials.headers(POST)
      expect(given).toBeInstanceOf(Promise)
      isClear(await (given as Promise<unknown>).catch((error: unknown) => error))
      isClear(await credentials.refused({ status: 401, wwwAuthenticate: CHALLENGE, sent: [] }))
    })

    it('take the headers of any response', async () => {
      const { credentials } = await made('ready')
      credentials.answered?.({})
      credentials.answered?.({ 'dpop-nonce': 'n', 'set-cookie': ['a', 'b'], date: undefined })
    })
  })
}
