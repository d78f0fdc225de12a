// @ts-check
/**
 * Writes the help of every command between the markers of docs/commands.md. With `--check` it writes nothing and fails when the page is out of date. Reads
 * the built program.
 */
import { readFile, writeFile } from 'node:fs/promises'
// @ts-ignore: built by `npm run build`
import { declaredProgram } from '../../dist/cli/program.js'

/** @typedef {import('commander').Command} Command */

const PAGE = new URL('../../docs/commands.md', import.meta.url)
const BEGIN = '<!-- help of the commands, by npm run docs: begin -->'
const END = '<!-- help of the commands, by npm run docs: end -->'
const WIDTH = 110

/** The commands that do something, each with its full name. @param {Command} command @param {string} [path] @returns {[string, Command][]} */
function leaves(command, path = '') {
  const shown = command.createHelp().visibleCommands(command)
  return command.commands
    .filter(child => shown.includes(child))
    .flatMap(child => {
      const name = `${path}${child.name()}`
      return child.commands.length > 0 ? leaves(child, `${name} `) : [[name, child]]
    })
}

/** @param {Command} command */
function helpOf(command) {
  let text = ''
  command.configureOutput({ writeOut: part => (text += part), getOutHelpWidth: () => WIDTH })
  command.configureHelp({ showGlobalOptions: false })
  command.outputHelp()
  return text.trimEnd()
}

const program = declaredProgram()
const commands = leaves(program)
  .map(([name, command]) => `### \`${name}\`\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``)
  .join('\n\n')
const global = `### Options of every command\n\n\`\`\`text\n${helpOf(program)
  .replace(/\nCommands:[^]*$/, '')
  .trimEnd()}\n\`\`\``
const old = await readFile(PAGE, 'utf8')
const begin = old.indexOf(BEGIN)
const end = old.indexOf(END)
if (begin === -1 || end < begin)
  throw new Error('docs/commands.md has lost the markers of its generated part')
const text = `${old.slice(0, begin + BEGIN.length)}\n\n${global}\n\n${commands}\n\n${old.slice(end)}`
if (text !== old) {
  if (process.argv.includes('--check')) {
    console.error('docs/commands.md is out of date. Run: npm run docs')
    process.exitCode = 1
  } else {
    await writeFile(PAGE, text)
    console.error('Wrote docs/commands.md')
  }
}
