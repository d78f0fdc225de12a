import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

it('the reference of docs/commands.md is the help of the commands, and each ends with an example', () => {
  const tool = fileURLToPath(new URL('../../tools/write-commands.js', import.meta.url))
  const { status, stderr } = spawnSync(process.execPath, [tool, '--check'], { encoding: 'utf8' })
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
