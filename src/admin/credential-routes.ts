import { fields, TEXT, textIn, type AdminRequest, type AdminRoute, type Schema } from './route.ts'
import type { AdminService, LoginAnswer, LoginTarget, LogoutAnswer } from './service.ts'

const OF_CLIENT: Schema = {
  type: 'object',
  properties: { client: { ...TEXT, description: 'The client whose login it is, where each has its own.' } },
  additionalProperties: false,
}

/** The routes about logins at servers. */
export const CREDENTIAL_ROUTES: readonly AdminRoute[] = [
  {
    method: 'get',
    path: '/admin/credentials',
    operationId: 'listCredentials',
    summary: 'The logins at servers, without their tokens.',
    writes: false,
    answer: {
      type: 'object',
      properties: {
        credentials: {
          type: 'array',
          items: {
            type: 'object',
            properties: {
              server: TEXT,
              owner: { ...TEXT, description: '`gateway`, or the id of the principal that alone uses it.' },
              issuer: { ...TEXT, description: 'The authorization server; empty for a token given by hand.' },
              obtainedAt: { type: 'integer', description: 'Unix milliseconds.' },
              expiresAt: { type: 'integer', description: 'Unix milliseconds.' },
              renewable: { type: 'boolean', description: 'The gateway renews it by itself.' },
              scope: TEXT,
              usable: { type: 'boolean', description: 'This machine has the key to use it.' },
            },
            required: ['server', 'owner', 'issuer', 'renewable', 'usable'],
          },
        },
        left: { type: 'integer', description: 'How many more there are: at most 10,000 are listed.' },
      },
      required: ['credentials', 'left'],
    },
    refusals: [],
    handle: async ({ service }) => {
      const { logins, left } = await service.credentials()
      return { body: { credentials: logins, left } }
    },
  },
  loginRoute(
    'login',
    'Begins the login at a server, or joins the one under way; answers with the address to open.',
    {
      properties: {
        url: { ...TEXT, description: 'Open it in a browser.' },
        code: { ...TEXT, description: 'Enter it there.' },
        expiresAt: { type: 'integer', description: 'Unix milliseconds.' },
      },
      required: ['url', 'expiresAt'],
    },
    (service, target) => service.beginLogin(target),
  ),
  loginRoute(
    'logout',
    'Forgets a login in all gateways that share the state store, and revokes it where that can be done.',
    {
      properties: {
        found: { type: 'boolean', description: 'There was a login.' },
        revoked: { type: 'boolean', description: 'The authorization server has revoked it.' },
      },
      required: ['found', 'revoked'],
    },
    (service, target) => service.logOut(target),
  ),
]

/** A route that acts on the login of one owner at one server. The answer begins with both. */
function loginRoute(
  operationId: 'login' | 'logout',
  summary: string,
  answer: { readonly properties: Readonly<Record<string, Schema>>; readonly required: readonly string[] },
  act: (service: AdminService, target: LoginTarget) => Promise<LoginAnswer | LogoutAnswer>,
): AdminRoute {
  return {
    method: 'post',
    path: `/admin/servers/{name}/${operationId}`,
    operationId,
    summary,
    writes: true,
    requestBody: { schema: OF_CLIENT, required: false },
    answer: {
      type: 'object',
      properties: { server: TEXT, owner: TEXT, ...answer.properties },
      required: ['server', 'owner', ...answer.required],
    },
    refusals: [422],
    handle: async ({ service, params, body }) => {
      const done = await act(service, loginTargetOf(params, body))
      return { body: done, detail: `${done.server}, of ${done.owner}` }
    },
  }
}

function loginTargetOf(params: AdminRequest['params'], body: unknown): LoginTarget {
  const given = fields(body, ['client'])
  return {
    server: params['name'] ?? '',
    client: given['client'] === undefined ? undefined : textIn(given, 'client'),
  }
}
