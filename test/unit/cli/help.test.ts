import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readFileSync } from 'node:fs'
import { ALL_CODES } from '../../../src/doctor/codes.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { runProgram } from './program.ts'

let scratch: Scratch
beforeAll(() => void (scratch = makeScratch()))
afterAll(async () => await scratch[Symbol.asyncDispose]())

const help = (...topic: string[]) => runProgram(['help', ...topic], { cwd: scratch.path })

describe('help', () => {
  test('prints the page of a code, as it is shipped', async () => {
    for (const code of ['upstream_timeout', 'desktop_path']) {
      expect(ALL_CODES).toContain(code)
      const page = readFileSync(`docs/errors/${code}.md`, 'utf8')
      expect(await help(code)).toEqual({ code: 0, stdout: page, stderr: '' })
    }
  })

  test('prints the help of a command, and of one below another', async () => {
    const doctor = await help('doctor')
    expect(doctor.code).toBe(0)
    expect(doctor.stdout).toContain('Usage: mcp-manifold doctor [options] [servers...]')
    expect(doctor.stdout).toContain('Example:\n  mcp-manifold doctor search')
    expect((await help('keys', 'create')).stdout).toContain('Usage: mcp-manifold keys create')
    expect((await help()).stdout).toContain('Usage: mcp-manifold [options] [command]')
  })

  test.each([
    [['upstream_timout'], 'There is no command or code "upstream_timout". Did you mean "upstream_timeout"?'],
    [['doctr'], 'There is no command or code "doctr". Did you mean "doctor"?'],
    [['keys', 'creat'], 'There is no command of keys "creat". Did you mean "create"?'],
  ])('of %j names the nearest one', async (topic, message) => {
    const { code, stdout, stderr } = await help(...topic)
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toContain(message)
  })
})

test('an error of a command ends with the command that prints the page of its code', async () => {
  const single = await runProgram(
    ['doctor', 'nosuch', '--config', scratch.write('a.json', { mcpServers: {} })],
    {
      cwd: scratch.path,
    },
  )
  expect(single.code).toBe(1)
  expect(single.stderr).toMatch(/There is no server "nosuch" in .* \(mcp-manifold help config\)\n$/)
  const lines = await runProgram(['check', scratch.write('b.json', '{"mcpServers":{"a":{"comand":"x"}}}')], {
    cwd: scratch.path,
  })
  expect(lines.stderr).toMatch(/\n\(mcp-manifold help config\)\n$/)
})
