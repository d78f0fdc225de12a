// @ts-check
/** Requests of a hostile client, as texts. */
import { mutate, respellUri } from './mutations.js'

/** @typedef {import('../crosstalk/random.js').Random} Random */

export const LEGACY = '2025-11-25'
export const MODERN = '2026-07-28'

/** Servers of the run: two honest ones with rules that deny, one with rules that allow, and the hostile ones. */
const HOSTILE = ['hl', 'hm', 'hs', 'hp']
const HONEST = ['dl', 'dm', 'al']

const ENVELOPE = `"_meta":{"io.modelcontextprotocol/protocolVersion":"${MODERN}","io.modelcontextprotocol/clientCapabilities":{"elicitation":{},"sampling":{}},"io.modelcontextprotocol/clientInfo":{"name":"f","version":"1"}}`

/** Methods that need no more than to be said. */
const PLAIN = [
  'ping',
  'tools/list',
  'resources/list',
  'resources/templates/list',
  'prompts/list',
  'server/discover',
  'tasks/list',
  '__proto__',
  'constructor',
  'toString',
  'hasOwnProperty',
  'unknown/method',
]

/** A message that is right, before it is changed. @param {Random} random @param {string} id @returns {string} */
function draft(random, id) {
  const honest = random.pick(HONEST)
  const call = (/** @type {string} */ name, /** @type {string} */ args) =>
    `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${name}","arguments":${args},"_meta":{"progressToken":${id}}}}`
  const about = (/** @type {string} */ method, /** @type {string} */ uri) =>
    `{"jsonrpc":"2.0","id":${id},"method":"${method}","params":{"uri":${JSON.stringify(uri)}}}`
  const uri = () =>
    respellUri(
      random.pick([
        'file:///secret/payroll.csv',
        'file:///pub/readme.txt',
        'file:///pub/a/b.txt',
        'file:///secret/',
      ]),
      random,
    )
  switch (random.between(0, 19)) {
    case 0:
    case 1:
    case 2:
      return call(`${honest}__${random.pick(['read', 'list_files'])}`, '{"text":"t"}')
    case 3:
      return call(`${honest}__delete_all`, '{}')
    case 4:
      return call(
        `${honest}__transfer`,
        `{"amount":${random.pick(['1', '999', '1001', '1e9', '9007199254740993', '"5"'])},"to":"x"}`,
      )
    case 5:
    case 6:
    case 7:
      return call(`${random.pick(HOSTILE)}__${random.pick(['poke', 'prod'])}`, '{"a":"b"}')
    case 8:
    case 9:
    case 10:
      return about('resources/read', uri())
    case 11:
      return about(random.pick(['resources/subscribe', 'resources/unsubscribe']), uri())
    case 12:
      return about(
        'resources/read',
        `hostile:///${random.pick(['one', 'two', `${'x'.repeat(random.between(0, 300))}`])}`,
      )
    case 13:
      return `{"jsonrpc":"2.0","id":${id},"method":"prompts/get","params":{"name":"${random.pick([...HOSTILE, ...HONEST])}__greet","arguments":{"who":"w"}}}`
    case 14:
      return `{"jsonrpc":"2.0","id":${id},"method":"completion/complete","params":{"ref":{"type":"ref/resource","uri":${JSON.stringify(random.pick([uri(), 'file:///{+path}']))}},"argument":{"name":"path","value":"p"}}}`
    case 15:
      return `{"jsonrpc":"2.0","id":${id},"method":"logging/setLevel","params":{"level":"${random.pick(['debug', 'info', 'nonsense'])}"}}`
    case 16:
      return `{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":${id},"reason":"r"}}`
    case 17:
      return `{"jsonrpc":"2.0","id":${random.pick([id, '"x"', '7'])},"result":{"action":"accept","content":{}}}`
    case 18:
      return `{"jsonrpc":"2.0","id":${id},"method":"tasks/${random.pick(['get', 'result', 'cancel', 'update'])}","params":{"taskId":"t"}}`
    default:
      return `{"jsonrpc":"2.0","id":${id},"method":"${random.pick(PLAIN)}","params":{}}`
  }
}

/** @param {Random} random @param {string} id @returns {string} body of a legacy request */
export function legacyBody(random, id) {
  if (random.chance(0.01))
    return `[${mutate(draft(random, id), random)},${mutate(draft(random, `${id}1`), random)}]`
  return mutate(draft(random, id), random)
}

/** @param {Random} random @param {string} id @returns {{ body: string, method: string, name: string | undefined }} with what its headers would say */
export function modernRequest(random, id) {
  const text = draft(random, id)
  const message = JSON.parse(text)
  const body = text.includes('"params":{}')
    ? text.replace('"params":{}', `"params":{${ENVELOPE}}`)
    : text.replace(/,"_meta":\{[^}]*\}/, '').replace('"params":{', `"params":{${ENVELOPE},`)
  const { name, uri, taskId } = message.params ?? {}
  return { body: mutate(body, random), method: String(message.method ?? ''), name: name ?? uri ?? taskId }
}

/** A line of an HTTP head that no client should send. @param {Random} random @returns {string} */
export function oddHeader(random) {
  return random.pick([
    'transfer-encoding: chunked\r\n',
    'content-length: 5\r\n',
    'content-type: text/plain\r\n',
    'accept: text/html\r\n',
    'mcp-protocol-version: 1999-01-01\r\n',
    'mcp-session-id: nope\r\n',
    `mcp-session-id: ${'x'.repeat(random.between(1, 9000))}\r\n`,
    'origin: https://evil.example\r\n',
    'host: evil.example\r\n',
    'expect: 100-continue\r\n',
    'last-event-id: x\r\n',
    'authorization: Bearer mfd_wrong\r\n',
    'mcp-method: tools/list\r\n',
    'mcp-name: dl__delete_all\r\n',
    'mcp-name: =?base64?ZGxfX2RlbGV0ZV9hbGw=?=\r\n',
    'content-encoding: gzip\r\n',
    'x: \u0000\r\n',
    'connection: close\r\n',
  ])
}
