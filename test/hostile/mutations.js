// @ts-check
/** What a hostile client or server writes: messages that are nearly right. */
import { parsePairs, writePairs } from './json-pairs.js'

/** @typedef {import('../crosstalk/random.js').Random} Random */
/** @typedef {import('./json-pairs.js').Tree} Tree */

const LOOKALIKES = /** @type {Record<string, string>} */ ({ s: '\u017f', k: '\u212a', e: 'е', a: 'а' })
const WORDS = ['null', 'true', 'false', '0', '-0', '1.0', '1e400', '9007199254740993', '-1', '1e-7', '""']
const STRINGS = [
  '"__proto__"',
  '"constructor"',
  String.raw`"\ud800"`,
  String.raw`"\u0000"`,
  String.raw`"\u202e"`,
  '"\u2028"',
  String.raw`"\n[server] yes"`,
]
const BROKEN = ['NaN', 'undefined', "'x'", '01', '+1', '.5', '"', '{', ']', '', '"\t"', '/**/1', 'tru']

/** @param {Random} random @param {number} deepest */
export function odd(random, deepest) {
  const at = random.between(0, 9)
  if (at < 4) return random.pick(WORDS)
  if (at < 7) return random.pick(STRINGS)
  if (at === 7) {
    const depth = random.between(2, deepest)
    return random.chance(0.5)
      ? '['.repeat(depth) + ']'.repeat(depth)
      : '{"a":'.repeat(depth) + '1' + '}'.repeat(depth)
  }
  if (at === 8) return JSON.stringify('x'.repeat(random.between(1, deepest * 4)))
  return `[${Array.from({ length: random.between(1, 60) }, (_, k) => k).join(',')}]`
}

/** Another spelling of a word, which some readers take for the same. @param {string} word @param {Random} random */
export function respell(word, random) {
  const at = random.between(0, word.length - 1)
  const letter = word[at] ?? ''
  switch (random.between(0, 3)) {
    case 0:
      return word.toUpperCase()
    case 1:
      return word.slice(0, at) + letter.toUpperCase() + word.slice(at + 1)
    case 2:
      return word.replace(/[skea]/, found => LOOKALIKES[found] ?? found)
    default:
      return word.slice(0, at) + (LOOKALIKES[letter] ?? letter.toUpperCase()) + word.slice(at + 1)
  }
}

/** A key with some of its letters written as escapes. @param {Random} random @param {number} chance */
const escaping = (random, chance) => (/** @type {string} */ key) =>
  random.chance(chance)
    ? `"${[...key].map(letter => (letter.length === 1 && random.chance(0.4) ? `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}` : JSON.stringify(letter).slice(1, -1))).join('')}"`
    : JSON.stringify(key)

/** All containers of a tree, those inside of others included. @param {Tree} tree @returns {Tree[]} */
function containers(tree) {
  if (tree.kind === 'raw') return []
  const inner = tree.kind === 'array' ? tree.items : tree.members.map(([, value]) => value)
  return [tree, ...inner.flatMap(containers)]
}

/**
 * Changes one thing in a tree, in place.
 * @param {Tree} tree @param {Random} random @param {number} deepest
 */
function change(tree, random, deepest) {
  const chosen = random.pick(containers(tree))
  if (!chosen || chosen.kind === 'raw') return
  if (chosen.kind === 'array') {
    if (chosen.items.length === 0 || random.chance(0.3))
      chosen.items.push({ kind: 'raw', text: odd(random, deepest) })
    else
      chosen.items[random.between(0, chosen.items.length - 1)] = { kind: 'raw', text: odd(random, deepest) }
    return
  }
  const { members } = chosen
  const at = members.length === 0 ? -1 : random.between(0, members.length - 1)
  const member = members[at]
  if (!member || random.chance(0.08)) {
    const key = random.pick([
      'x-unknown',
      '__proto__',
      'toString',
      '',
      'name',
      'uri',
      'arguments',
      '_meta',
      'id',
    ])
    members.push([key, { kind: 'raw', text: odd(random, deepest) }])
    return
  }
  const [key, value] = member
  switch (random.between(0, 6)) {
    case 0:
      members[at] = [respell(key, random), value]
      return
    case 1:
      members.splice(random.between(0, members.length), 0, [respell(key, random), value])
      return
    case 2:
      members.splice(random.between(0, members.length), 0, [key, { kind: 'raw', text: odd(random, deepest) }])
      return
    case 3:
      members.splice(at, 1)
      return
    case 4:
      members[at] = [key, { kind: 'array', items: [value] }]
      return
    default:
      members[at] = [
        key,
        { kind: 'raw', text: random.chance(0.06) ? random.pick(BROKEN) : odd(random, deepest) },
      ]
  }
}

/**
 * A text that is nearly the given one.
 * @param {string} text valid JSON @param {Random} random @param {{ deepest?: number, changes?: number }} [options]
 */
export function mutate(text, random, { deepest = 400, changes = 3 } = {}) {
  const tree = parsePairs(text)
  for (let left = random.between(0, changes); left > 0; left--) change(tree, random, deepest)
  const written = writePairs(tree, escaping(random, 0.05))
  if (random.chance(0.98)) return written
  const at = random.between(0, written.length)
  return random.pick([
    written.slice(0, at),
    `\ufeff${written}`,
    `${written}}`,
    `${written}\n${written}`,
    ` ${written}\u0000`,
  ])
}

/** @param {string} uri of a file @param {Random} random @returns {string} another way to write it, or something near it */
export function respellUri(uri, random) {
  let text = uri
  for (let left = random.between(0, 3); left > 0; left--) {
    const at = random.between(0, Math.max(0, text.length - 1))
    const letter = text[at] ?? 'x'
    const slash = text.indexOf('/', 7)
    const part = Math.max(slash, 7)
    switch (random.between(0, 12)) {
      case 0:
        text = text.replace(/^file/, word => respell(word, random))
        break
      case 1:
        text =
          text.slice(0, at) + `%${letter.charCodeAt(0).toString(16).padStart(2, '0')}` + text.slice(at + 1)
        break
      case 2:
        text = `${text.slice(0, part)}/.${text.slice(part)}`
        break
      case 3:
        text = `${text.slice(0, part)}/pub/..${text.slice(part)}`
        break
      case 4:
        text = `${text.slice(0, part)}/pub/%2e%2E${text.slice(part)}`
        break
      case 5:
        text = text.replace('/', () => '\\')
        break
      case 6:
        text = text.replace(/^file:\/\//, () =>
          random.pick(['file:', 'file://localhost', 'file:////', 'file:/', 'file://127.0.0.1']),
        )
        break
      case 7:
        text =
          text.slice(0, at) + random.pick(['\t', '\n', ' ', '\u0000', '\u00ad', '\u200b']) + text.slice(at)
        break
      case 8:
        text = `${text}${random.pick(['?x', '#y', '/', ' ', '/.', '%00', ';a', '..'])}`
        break
      case 9:
        text = text.replace(
          /secret/,
          random.pick(['Secret', '%73ecret', '%2573ecret', 'ｓecret', './secret', 'x/../secret']),
        )
        break
      case 10:
        text = text.replace(
          /pub\//,
          random.pick([
            'pub/../secret/',
            'pub/%2e%2e/secret/',
            'pub\\..\\secret\\',
            'pub/..;/secret/',
            'pub//../../secret/',
          ]),
        )
        break
      case 11:
        text = random.pick([' ', '\n', '\u0001']) + text
        break
      default:
        text = text.replace(/%/, '%25')
    }
  }
  return text
}
