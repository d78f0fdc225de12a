import { describe, expect, it } from 'vitest'
import { configFrom } from '../../../src/config/load/load.ts'
import { SILENT } from '../../../src/core/logger.ts'
import { ANONYMOUS, clientPrincipal, LOCAL, type Principal } from '../../../src/core/principal.ts'
import { compilePolicies, type Policies } from '../../../src/policy/policies.ts'

const policiesOf = async (file: object): Promise<Policies> =>
  compilePolicies(
    await configFrom({ mcpServers: {}, gateway: { state: 'memory' }, ...file }, { env: {} }),
    SILENT,
  )

const user = (name: string, roles: readonly string[] = []): Principal => ({
  kind: 'user',
  id: `user:https://issuer.example ${name}`,
  name,
  client: undefined,
  roles,
})

const tool = { kind: 'tool', server: 's', name: 't', title: '', annotations: {} } as const
const other = { ...tool, name: 'other' }

describe('the policy of', () => {
  it('every caller without configured clients is that of the gateway, and allows the rest', async () => {
    const policies = await policiesOf({ gateway: { state: 'memory', policy: { deny: ['*/t'] } } })
    for (const principal of [LOCAL, ANONYMOUS]) {
      expect(policies.of(principal).decide(tool)).toMatchObject({
        verdict: 'deny',
        rule: 'gateway.policy.deny',
      })
      expect(policies.of(principal).decide(other).verdict).toBe('allow')
    }
    expect((await policiesOf({})).of(LOCAL).unrestricted).toBe(true)
  })

  it('an authenticated caller without a client and without a role allows nothing', async () => {
    const policies = await policiesOf({ roles: { reader: { allow: ['s/t'] } } })
    expect(policies.of(user('a')).decide(tool).verdict).toBe('deny')
    expect(policies.of(user('a', ['reader'])).decide(tool)).toMatchObject({
      verdict: 'allow',
      rule: 'roles.reader.allow',
    })
    expect(policies.of(user('a', ['reader'])).decide(other).verdict).toBe('deny')
    expect(policies.of({ ...clientPrincipal('gone') }).decide(tool).verdict).toBe('deny')
  })

  it('a client has the roles that its credentials bring, too', async () => {
    const policies = await policiesOf({
      clients: { ci: { default: 'deny' } },
      roles: { reader: { allow: ['s/t'] } },
    })
    expect(policies.of(clientPrincipal('ci')).decide(tool).verdict).toBe('deny')
    expect(policies.of({ ...clientPrincipal('ci'), roles: ['reader'] }).decide(tool).verdict).toBe('allow')
  })
})

describe('principals', () => {
  it('with the same rules share a policy, which is found again by its key', async () => {
    const policies = await policiesOf({
      clients: { a: { roles: ['r'] }, b: { roles: ['r'] }, c: { roles: ['r'], deny: ['s/t'] } },
      roles: { r: { deny: ['x/*'] } },
    })
    const a = policies.of(clientPrincipal('a'))
    expect(policies.of(clientPrincipal('b'))).toBe(a)
    expect(policies.of(clientPrincipal('c'))).not.toBe(a)
    expect(policies.of(user('1', ['r']))).toBe(policies.of(user('2', ['r'])))
    const fresh = await policiesOf({
      clients: { a: { roles: ['r'] }, c: { roles: ['r'], deny: ['s/t'] } },
      roles: { r: { deny: ['x/*'] } },
    })
    expect(fresh.byKey(policies.of(clientPrincipal('c')).key).decide(tool)).toMatchObject({
      rule: 'clients.c.deny',
    })
  })

  it('have their own policy where a condition reads their name, even after it was dropped from memory', async () => {
    const rules = [{ effect: 'allow', when: 'principal.name == "ann"' }]
    const policies = await policiesOf({ roles: { r: { rules } } })
    const [ann, bob] = [policies.of(user('ann', ['r'])), policies.of(user('bob', ['r']))]
    expect([ann.decide(tool).verdict, bob.decide(tool).verdict]).toEqual(['allow', 'deny'])
    for (let n = 0; n < 2500; n++) policies.of(user(`u${n}`, ['r']))
    const again = policies.byKey(ann.key)
    expect(again).not.toBe(ann)
    expect(again.decide(tool).verdict).toBe('allow')
  })
})
