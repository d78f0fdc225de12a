// @ts-check
/**
 * JSON as a tree that keeps what `JSON.parse` drops: members that stand twice, their order, and the spelling of numbers. The readers of other languages
 * see these, and the attacker writes them.
 *
 * @typedef {{ kind: 'object', members: [key: string, value: Tree][] } | { kind: 'array', items: Tree[] } | { kind: 'raw', text: string }} Tree
 * A `raw` node is any text: of a string, a number or a word, and in what an attacker writes also of something that is no JSON.
 */

const TOKEN = /\s*("(?:[^"\\]|\\[^])*"|[{}[\],:]|[^\s{}[\],:"]+)/y

/** @param {string} text valid JSON @returns {Tree} */
export function parsePairs(text) {
  let at = 0
  const next = () => {
    TOKEN.lastIndex = at
    const match = TOKEN.exec(text)
    if (!match) throw new SyntaxError(`no JSON at ${at}`)
    at = TOKEN.lastIndex
    return /** @type {string} */ (match[1])
  }
  const peek = () => {
    const before = at
    const token = next()
    at = before
    return token
  }
  /** @param {string} token @returns {Tree} */
  const value = token => {
    if (token === '{') {
      /** @type {[string, Tree][]} */
      const members = []
      if (peek() === '}') next()
      else
        do {
          const key = JSON.parse(next())
          next()
          members.push([key, value(next())])
        } while (next() === ',')
      return { kind: 'object', members }
    }
    if (token === '[') {
      /** @type {Tree[]} */
      const items = []
      if (peek() === ']') next()
      else
        do {
          items.push(value(next()))
        } while (next() === ',')
      return { kind: 'array', items }
    }
    return { kind: 'raw', text: token }
  }
  return value(next())
}

/** @param {Tree} tree @param {(key: string) => string} [spell] how a key is written @returns {string} */
export function writePairs(tree, spell = JSON.stringify) {
  if (tree.kind === 'raw') return tree.text
  if (tree.kind === 'array') return `[${tree.items.map(item => writePairs(item, spell)).join(',')}]`
  return `{${tree.members.map(([key, value]) => `${spell(key)}:${writePairs(value, spell)}`).join(',')}}`
}

/** @param {unknown} value @returns {Tree} */
export const toPairs = value => parsePairs(JSON.stringify(value))
