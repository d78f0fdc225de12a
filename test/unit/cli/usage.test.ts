import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { Quotas } from '../../../src/quota/quotas.ts'
import { openStore } from '../../../src/state/open.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { runProgram } from './program.ts'

let scratch: Scratch
beforeAll(() => {
  scratch = makeScratch()
})
afterAll(() => scratch[Symbol.asyncDispose]())

const file = (state: string): object => ({
  mcpServers: { s: { command: 'x', budget: { calls: '50/month' } } },
  clients: {
    ci: {
      rate: '5/min',
      concurrency: 2,
      budget: { calls: '10/month' },
      limits: { 's/t': { budget: { cost: '4/month' } } },
    },
    me: { budget: { calls: '10/month' } },
  },
  gateway: { state, timeZone: 'UTC' },
})

/** Three calls of `ci` and one of a subject that a token names. */
async function useSome(state: string): Promise<void> {
  const config = await configFrom(file(state), { env: {} })
  const store = await openStore(state, SILENT)
  const quotas = Quotas.of({ config, store, logger: SILENT })
  const route = { server: 's', own: 't', exposed: 's__t' }
  const use = async (id: string): Promise<void> => {
    const principal = { kind: 'user' as const, id, name: 'x', client: 'ci', roles: [] }
    await quotas?.gate(principal)?.enter()
    await quotas?.route(principal, 'tools/call', route)?.charge?.enter()
    quotas?.gate(principal)?.leave()
  }
  for (let i = 0; i < 3; i++) await use('client:ci')
  await use('user:https://login.example/ 100% me')
  await quotas?.close()
  await store.close()
}

describe('usage', () => {
  it('shows what is used and left, of all clients or of one', async () => {
    const state = `lmdb:${scratch.path}/state`
    await useSome(state)
    scratch.write('servers.json', file(state))
    const all = await runProgram(['usage', '--json'], { cwd: scratch.path })
    expect(all.stderr).toBe('')
    const rows = JSON.parse(all.stdout) as { of: string; name: string }[]
    const resetsAt = expect.stringMatching(/-01T00:00:00\.000Z$/) as string
    const row = (of: string, name: string): unknown => rows.find(one => one.of === of && one.name === name)
    expect(row('client:ci', 'rate/minute')).toEqual({
      of: 'client:ci',
      name: 'rate/minute',
      used: 3,
      limit: 5,
      left: 2,
    })
    expect(row('client:ci', 'concurrency')).toMatchObject({ used: 0, limit: 2, left: 2 })
    expect(row('client:ci', 'calls/month')).toMatchObject({ used: 3, limit: 10, left: 7, resetsAt })
    expect(row('client:ci', 'cost/month s/t')).toMatchObject({ used: 3, limit: 4, left: 1, resetsAt })
    expect(row('client:me', 'calls/month')).toMatchObject({ used: 0, limit: 10, left: 10 })
    expect(row('server:s', 'calls/month')).toMatchObject({ used: 4, limit: 50, left: 46 })
    const user = 'user:https://login.example/ 100% me'
    expect(row(user, 'calls/month')).toEqual({ of: user, name: 'calls/month', used: 1, resetsAt })
    expect(row(user, 'cost/month s/t')).toMatchObject({ used: 1 })

    const one = await runProgram(['usage', 'ci'], { cwd: scratch.path })
    const lines = one.stdout.trimEnd().split('\n')
    expect(lines).toHaveLength(5)
    expect(lines[0]).toMatch(/of +limit +used +left +at most +resets at$/)
    expect(lines[3]).toMatch(/^ {2}client:ci +calls\/month +3 +7 +10 +2\d{3}-\d\d-01T/)
    expect(one.code).toBe(0)
  })

  it('says where to look when only the running gateway has it', async () => {
    scratch.write('servers.json', file('memory'))
    const { code, stdout, stderr } = await runProgram(['usage'], { cwd: scratch.path })
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toMatch(/only the running gateway knows.*manifold:\/\/usage.*Fix:/)
  })

  it('names a client that does not exist', async () => {
    scratch.write('servers.json', file('memory'))
    const { code, stderr } = await runProgram(['usage', 'nobody'], { cwd: scratch.path })
    expect(code).toBe(1)
    expect(stderr).toContain('There is no client "nobody"')
  })
})
