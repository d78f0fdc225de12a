// @ts-check
/**
 * How servers in three languages read the same request: what they take for its method, the name or URI it is about, and its arguments. A rule holds only if it
 * holds for each of them.
 *
 * - Node: `JSON.parse`; the last of equal members counts; a URI goes through the WHATWG URL parser.
 * - Python: `json.loads`; as Node; a URI goes through `urlsplit`, `unquote` and `posixpath.normpath`.
 * - Go: `encoding/json`; members match case-insensitively (Unicode simple folding), the last one counts and objects merge; a URI goes through
 *   `url.Parse` and `path.Clean`.
 */
import { posix } from 'node:path'
import { parsePairs } from './json-pairs.js'

/** @typedef {import('./json-pairs.js').Tree} Tree */
/** @typedef {{ reader: string, method: unknown, target: unknown, amounts: unknown[], paths: string[] }} Reading */

/** Letters outside of ASCII that Go's `encoding/json` takes for ASCII letters. */
const FOLDED = /[\u017f\u212a]/g

/** @param {string} key */
export const fold = key => key.replace(FOLDED, letter => (letter === '\u017f' ? 's' : 'k')).toLowerCase()

/** @param {unknown} value @returns {Record<string, unknown>} */
const record = value =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? /** @type {Record<string, unknown>} */ (value)
    : {}

/** @param {string} text @returns {Reading[]} nothing for what no reader can read */
export function readingsOf(text) {
  let message
  try {
    message = record(JSON.parse(text))
  } catch {
    return []
  }
  const params = record(message['params'])
  const uri = params['uri'] ?? record(params['ref'])['uri']
  const plain = {
    method: message['method'],
    target: params['name'] ?? record(params['ref'])['name'],
    amounts: [record(params['arguments'])['amount']],
  }
  return [
    { reader: 'node', ...plain, paths: nodePaths(uri) },
    { reader: 'python', ...plain, paths: pythonPaths(uri) },
    goReading(parsePairs(text)),
  ]
}

/** @param {Tree} tree @returns {Reading} */
function goReading(tree) {
  const message = goObject([tree])
  const params = goObject(message.get('params') ?? [])
  const ref = goObject(params.get('ref') ?? [])
  const args = goObject(params.get('arguments') ?? [])
  const text = (/** @type {Tree[] | undefined} */ trees) => goText(trees?.at(-1))
  return {
    reader: 'go',
    method: text(message.get('method')),
    target: text(params.get('name')) ?? text(ref.get('name')),
    amounts: (args.get('amount') ?? []).map(goText),
    paths: [text(params.get('uri')), text(ref.get('uri'))].flatMap(goPaths),
  }
}

/** The members of all objects among `trees`, by their folded key. @param {readonly Tree[]} trees @returns {Map<string, Tree[]>} */
function goObject(trees) {
  const found = new Map()
  for (const tree of trees) {
    if (tree.kind !== 'object') continue
    for (const [key, value] of tree.members) {
      const folded = fold(key)
      found.set(folded, [...(found.get(folded) ?? []), value])
    }
  }
  return found
}

/** @param {Tree | undefined} tree */
function goText(tree) {
  return tree?.kind === 'raw' ? JSON.parse(tree.text) : undefined
}

/** @param {unknown} uri */
function nodePaths(uri) {
  if (typeof uri !== 'string') return []
  try {
    const url = new URL(uri)
    return url.protocol === 'file:' ? [decoded(url.pathname)] : []
  } catch {
    return []
  }
}

/** @param {unknown} uri */
function pythonPaths(uri) {
  if (typeof uri !== 'string') return []
  // urlsplit removes these wherever they stand, and spaces and controls in front.
  const text = uri.replace(/^[^!-\uffff]+/, '').replace(/[\t\r\n]/g, '')
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/[^/?#]*)?([^?#]*)/i.exec(text)
  if (match?.[1]?.toLowerCase() !== 'file') return []
  return [posix.normalize(decoded(match[2] ?? ''))]
}

/** @param {unknown} uri */
function goPaths(uri) {
  // url.Parse refuses control characters.
  if (typeof uri !== 'string' || [...uri].some(letter => letter < ' ' || letter === '\x7f')) return []
  const match = /^([a-z][a-z0-9+.-]*):(?:\/\/[^/?#]*)?([^?#]*)/i.exec(uri)
  if (match?.[1]?.toLowerCase() !== 'file') return []
  return [posix.normalize(decoded(match[2] ?? ''))]
}

/** @param {string} path */
function decoded(path) {
  try {
    return decodeURIComponent(path)
  } catch {
    return path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  }
}

/** What the rules of the run forbid, as any reader sees it. @param {string} text @param {'deny' | 'allow'} rules @returns {string[]} */
export function forbiddenIn(text, rules) {
  return readingsOf(text).flatMap(({ reader, method, target, amounts, paths }) => {
    const found = []
    if (method === 'tools/call' && target === 'delete_all') found.push(`${reader} runs delete_all`)
    if (method === 'tools/call' && target === 'transfer' && amounts.some(amount => Number(amount) > 1000))
      found.push(`${reader} transfers ${amounts.join(', ')}`)
    for (const path of paths) {
      // Double slashes lead to the same file.
      const file = posix.normalize(`/${path}`)
      if (rules === 'deny' && /^\/secret(\/|$)/.test(file)) found.push(`${reader} reads ${file}`)
      if (rules === 'allow' && !file.startsWith('/pub/')) found.push(`${reader} reads ${file}`)
    }
    return found
  })
}
