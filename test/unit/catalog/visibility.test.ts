import { expect, test } from 'vitest'
import { judged } from '../../../src/catalog/visibility.ts'
import type { EndpointCatalog } from '../../../src/catalog/endpoint-catalog.ts'
import { MAX_URI_CHARS } from '../../../src/core/uri-readings.ts'
import type { Policy } from '../../../src/policy/policy.ts'

/** How many decisions are made between two pauses, at most, when resources of so long a URI are judged. */
function mostBetweenPauses(chars: number): number {
  let decisions = 0
  const policy = {
    decideMany: () => () => {
      decisions++
      return { verdict: 'allow', rule: 'default', shadowed: undefined }
    },
  } as unknown as Policy
  const resources = Array.from({ length: 200 }, () => ({ name: 'x'.repeat(chars), route: {} }))
  const merged = {
    lists: { tools: [], prompts: [], resources, resourceTemplates: [] },
  } as unknown as EndpointCatalog
  const steps = judged(merged, policy)
  let most = 0
  for (let before = 0, done = false; !done; before = decisions) {
    done = steps.next().done === true
    most = Math.max(most, decisions - before)
  }
  expect(decisions).toBe(resources.length)
  return most
}

test('the longest URIs are judged with a pause after each, short ones in groups', () => {
  expect(mostBetweenPauses(MAX_URI_CHARS)).toBe(1)
  expect(mostBetweenPauses(20)).toBeGreaterThan(16)
  expect(mostBetweenPauses(20)).toBeLessThanOrEqual(32)
})
