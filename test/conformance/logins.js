// @ts-check
/** What the scenarios about authorization need of a person at a browser, and of the configuration. */

/** @import { Json } from './plain-client.js' */

/** Answers with the document of a client that has no registration. The scenarios know this address. */
const CLIENT_METADATA_URL = 'https://conformance-test.local/client-metadata.json'

const MAX_STEPS = 10

/** @param {Json} context @returns {Json} the settings of the two scenarios that go through an identity provider */
const idJag = context => ({
  grant: 'id_jag',
  clientId: context['client_id'],
  clientSecret: context['client_secret'],
  idp: {
    issuer: context['idp_issuer'],
    tokenEndpoint: context['idp_token_endpoint'],
    clientId: context['idp_client_id'],
    subjectToken: context['idp_id_token'],
  },
})

/** `oauth` of the server, for scenarios that hand out credentials. @type {Record<string, (context: Json) => Json>} */
const OAUTH = {
  'auth/basic-cimd': () => ({ clientMetadataUrl: CLIENT_METADATA_URL }),
  'auth/pre-registration': ({ client_id, client_secret }) => ({
    clientId: client_id,
    clientSecret: client_secret,
  }),
  'auth/client-credentials-basic': ({ client_id, client_secret }) => ({
    grant: 'client_credentials',
    clientId: client_id,
    clientSecret: client_secret,
  }),
  'auth/client-credentials-jwt': ({ client_id, private_key_pem }) => ({
    grant: 'client_credentials',
    clientId: client_id,
    privateKey: private_key_pem,
  }),
  'auth/cross-app-access-complete-flow': idJag,
  'auth/enterprise-managed-authorization': idJag,
  'auth/wif-jwt-bearer': ({ client_id, valid_jwt }) => ({
    grant: 'jwt_bearer',
    clientId: client_id,
    idp: { subjectToken: valid_jwt },
  }),
}

/** Scenarios whose login must not succeed: the gateway has to refuse what the authorization server says. */
const REFUSED = new Set(
  [
    'resource-mismatch',
    'metadata-issuer-mismatch',
    'iss-supported-missing',
    'iss-wrong-issuer',
    'iss-unexpected',
    'iss-normalized',
    'scope-retry-limit',
  ].map(name => `auth/${name}`),
)

/** @param {string} scenario @param {Json} context @returns {Json | undefined} `oauth` of the server */
export const oauthOf = (scenario, context) => OAUTH[scenario]?.(context)

/** @param {string} scenario */
export const isRefused = scenario => REFUSED.has(scenario)

/**
 * Opens a link as a person does: follows redirections, keeps cookies, and sends the form of a page that asks for consent.
 *
 * @param {string} link
 * @returns {Promise<string>} the text of the last page
 */
export async function visit(link) {
  /** @type {Map<string, string>} */
  const cookies = new Map()
  let url = link
  /** @type {RequestInit} */
  let init = {}
  for (let step = 0; step < MAX_STEPS; step++) {
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, {
      ...init,
      redirect: 'manual',
      headers: { ...init.headers, ...(cookie && { cookie }) },
    })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const text = await response.text()
    const location = response.headers.get('location')
    if (response.status >= 300 && response.status < 400 && location) {
      url = new URL(location, url).href
      init = {}
      continue
    }
    const [form = '', attributes = ''] = /<form([^>]*)>[\s\S]*?<\/form>/i.exec(text) ?? []
    if (form === '') return text
    const action = /action="([^"]*)"/i.exec(attributes)?.[1]?.replaceAll('&amp;', '&') ?? url
    const inputs = [...form.matchAll(/<(?:input|button)[^>]*name="([^"]*)"[^>]*value="([^"]*)"/gi)]
    const body = new URLSearchParams(inputs.map(([, name = '', value = '']) => [name, value]))
    init = {
      method: 'POST',
      body,
      headers: { origin: new URL(url).origin, 'content-type': 'application/x-www-form-urlencoded' },
    }
    url = new URL(action, url).href
  }
  throw new Error(`A login did not end within ${MAX_STEPS} pages.`)
}
