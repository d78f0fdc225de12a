import { expect, it } from 'vitest'
import type { ReplicaConfig } from '../../../../src/config/replica-types.ts'
import { ANONYMOUS, LOCAL, type Principal } from '../../../../src/core/principal.ts'
import type { Spoken } from '../../../../src/protocol/spoken.ts'
import { keyFor, type Caller } from '../../../../src/upstream/replica/isolation.ts'
import { Replica } from '../../../../src/upstream/replica/replica.ts'
import { serverConfig } from '../../../helpers/fake-transport.ts'

const FEATURES = ['', '{"elicitation":{}}']

/** A user whose name at the issuer is `subject`. */
function userOf(subject: string): Principal {
  return { kind: 'user', id: `user:https://issuer ${subject}`, name: subject, client: undefined, roles: [] }
}

it('gives two users different links whatever their names are, at all replicas', () => {
  const server = serverConfig({})
  const [config] = server.replicas
  if (!config) throw new Error('no replica')
  const subjects = ['x', 'x @1', '@1 x', 'x {"elicitation":{}}', 'x {"elicitation":{}} @1', 'x 1', 'call x']
  const owners = new Map<string, string>()
  for (const isolation of ['client', 'call'] as const)
    for (const number of [0, 1])
      for (const features of FEATURES)
        for (const subject of subjects) {
          const replica = new Replica(server, config, number)
          const caller: Caller = {
            conversation: undefined,
            principal: userOf(subject),
            features,
            protocolVersion: '2025-11-25',
          }
          const { id } = keyFor({ isolation, roots: undefined, perClient: false }, caller, features, replica)
          const owner = JSON.stringify([isolation, number, features, subject])
          expect([id, owners.get(id) ?? owner]).toEqual([id, owner])
          owners.set(id, owner)
        }
  expect(owners.size).toBe(2 * 2 * FEATURES.length * subjects.length)
})

it('gives a server that gets credentials of each principal no link of two of them, whatever it keeps', () => {
  const server = serverConfig({ perClient: true })
  const config = server.replicas[0] as ReplicaConfig
  const spokens: readonly Spoken[] = [{}, { modern: true }, { modern: false }, { legacy: true, modern: true }]
  const ids = new Map<string, string>()
  for (const stateless of [false, true])
    for (const spoken of spokens)
      for (const isolation of ['auto', 'client', 'session', 'call', 'shared'] as const)
        for (const protocolVersion of ['2025-11-25', '2026-07-28'])
          for (const principal of [
            LOCAL,
            ANONYMOUS,
            userOf('a'),
            { ...userOf('a'), client: 'other' },
            userOf('b'),
          ]) {
            const replica = new Replica(server, config, 0)
            replica.assume(spoken)
            if (stateless) replica.greeted({ era: 'legacy' }, false)
            const caller: Caller = { conversation: undefined, principal, features: '', protocolVersion }
            const key = keyFor({ isolation, roots: undefined, perClient: true }, caller, '', replica)
            const owner = `${principal.client} ${principal.id}`
            expect(key.principal).toBe(principal)
            expect([key.id, ids.get(key.id) ?? owner]).toEqual([key.id, owner])
            expect([replica.common.id, replica.modern.id]).not.toContain(key.id)
            ids.set(key.id, owner)
          }
})
