import { expect, it } from 'vitest'
import type { Principal } from '../../../../src/core/principal.ts'
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
