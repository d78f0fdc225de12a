import { expect, test } from 'vitest'
import { configFrom, loadWithSource } from '../../../../src/config/load/load.ts'
import { makeScratch } from '../../../helpers/scratch.ts'

const problemOf = async (entry: object): Promise<string> =>
  (await configFrom({ mcpServers: { a: entry } })).servers[0]?.problem ?? ''

test('a value of the wrong kind is named with what to write', async () => {
  expect(await problemOf({ url: '' })).toContain('is "": expected an address such as "https://host/mcp"')
  expect(await problemOf({ command: '' })).toContain('is "": expected the name or the path of a program')
  expect(await problemOf({ command: 'x', cwd: '' })).toContain('is "": expected a text that is not empty')
  expect(await problemOf({ command: ['npx', '-y', 'x'] })).toContain(
    'is a list: expected the program alone as a text; put what follows it into "args"',
  )
  expect(await problemOf({ command: 'x', env: { DEBUG: true } })).toContain('put true and false in quotes')
})

test('a command that is a folder is called one', async () => {
  await using scratch = makeScratch()
  const file = scratch.write('servers.json', { mcpServers: { a: { command: scratch.path } } })
  const { config } = await loadWithSource({ file, env: {}, looksForCommands: true })
  expect(config.warnings.join()).toContain('is a folder. Write the program in it.')
})
