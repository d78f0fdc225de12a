/** Longest line of documentation, as `test/docs.test.ts` requires it. */
const WIDTH = 120

/**
 * Breaks a text into lines at its spaces. Lines after the first begin with `indent`.
 *
 * @param {string} text
 * @param {string} [indent]
 */
export function wrap(text, indent = '') {
  let line = ''
  /** @type {string[]} */
  const lines = []
  for (const word of text.split(' '))
    if (line === '') line = word
    else if (line.length + 1 + word.length <= WIDTH) line += ` ${word}`
    else {
      lines.push(line)
      line = indent + word
    }
  return [...lines, line].join('\n')
}
