import { expect, test } from 'vitest'
import { refuseUnshared } from '../../../src/cli/with-store.ts'
import { createMemoryStore } from '../../../src/state/memory.ts'
import { folderForTest } from '../../helpers/admin-client.ts'
import { runProgram } from './program.ts'

const COMMANDS = ['usage', 'keys create ci', 'keys list', 'cache stats', 'drain s']

test.each(COMMANDS)('a store that cannot be opened is no store in memory: %s', async command => {
  const folder = folderForTest()
  folder.write('file', 'no folder')
  const config = folder.write('servers.json', {
    mcpServers: { s: { command: 'x' } },
    clients: { ci: {} },
    gateway: { state: `lmdb:${folder.path}/file/state` },
  })
  const { code, stdout, stderr } = await runProgram([...command.split(' '), '--config', config], {
    cwd: folder.path,
  })
  expect(stderr).toContain('The state store cannot be opened; nothing was done.')
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
})

test('a store that one process has for itself is named in the refusal', () => {
  const store = Object.assign(createMemoryStore(), { name: 'scratch' })
  expect(() => refuseUnshared('only the gateway knows.')(store)).toThrow(
    'The state is "scratch": only the gateway knows. Fix: set "gateway.state"',
  )
})
