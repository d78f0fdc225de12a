import type { Generation } from './generation.ts'
import { isConfigured } from './endings.ts'
import type { SuspendedClient } from '../bridge/suspended-call.ts'
import { isAllowed } from '../middleware/authorize.ts'

/**
 * Whether a suspended call may go on by another generation, whose view for its client has been made: the client is in
 * the configuration, and may still use what the call names.
 */
export function mayReturn(generation: Generation, client: SuspendedClient): boolean {
  const { principal, endpoint, request } = client
  if (!isConfigured(generation, principal)) return false
  const { catalog, policies, router } = generation
  const name = catalog.views.of(endpoint, policies.of(principal))
  const view = name === undefined ? undefined : catalog.views.view(name)
  if (name === undefined || !view) return false
  const { method, params } = request
  const named = params?.value.name ?? params?.value.uri
  // What is not listed yet may be visible later.
  const isUnknown = view.missing.length > 0
  if (typeof named !== 'string') return true
  if (method === 'resources/read')
    return router.ownerOf({ principal, view: name }, named) !== undefined || isUnknown
  if (method !== 'tools/call' && method !== 'prompts/get') return true
  const route = method === 'tools/call' ? view.tool(named) : view.prompt(named)
  return route ? isAllowed(request, route) : isUnknown
}
