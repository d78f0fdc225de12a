import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { LISTING } from '../../helpers/diagnose.ts'
import { makeScratch, type Scratch } from '../../helpers/scratch.ts'
import { BIN } from '../../helpers/served.ts'
import { runProgram } from '../../unit/cli/program.ts'

/** The report for a person. */

let scratch: Scratch
beforeEach(() => void (scratch = makeScratch()))
afterEach(async () => await scratch[Symbol.asyncDispose]())

const memory = { gateway: { state: 'memory' } }

describe('the report', () => {
  test('groups what is wrong by layer, with cause, fix, key, command and the page, without colours in a pipe', async () => {
    const file = scratch.write('servers.json', {
      mcpServers: { good: LISTING, gone: { command: 'no-such-program' } },
      ...memory,
    })
    const { code, stdout } = await runProgram(['doctor', '--config', file], { cwd: scratch.path })
    expect(code).toBe(12)
    expect(stdout).toContain(
      [
        'programs',
        '  ✗ gone: Its command "no-such-program" is not on PATH.',
        '    Fix: Install it, or write its absolute path as mcpServers.gone.command.',
        '      mcpServers.gone.command',
        '      $ which no-such-program',
        '    mcp-manifold help command_missing',
        '',
        'servers',
        '  good  stdio  legacy 2025-11-25  ',
      ].join('\n'),
    )
    expect(stdout).toContain('Skipped: start of "gone", because the layer "programs" has an error of it.')
    expect(stdout).toMatch(/\n1 error, 0 warnings with .*servers\.json\.\n$/)
    expect(stdout).not.toContain('\u001B')
  })

  test('cannot control the terminal, nor name a command that looks like another', async () => {
    const cwd = `${scratch.path}/\u009b2J\u202egone`
    const file = scratch.write('servers.json', { mcpServers: { a: { ...LISTING, cwd } }, ...memory })
    const text = await runProgram(['doctor', '--config', file], { cwd: scratch.path })
    expect(text.stdout).toContain(`The working directory ${scratch.path}/2Jgone`)
    expect(text.stdout).not.toMatch(/[\u009b\u202e]/)
    expect(text.stdout).not.toContain('mkdir')
    const json = await runProgram(['doctor', '--json', '--config', file], { cwd: scratch.path })
    expect(json.stdout).not.toMatch(/[\u009b\u202e]/)
    const { findings } = JSON.parse(json.stdout) as { findings: { cause: string }[] }
    expect(findings[0]?.cause).toContain(cwd)
  })

  test('says that nothing is wrong', async () => {
    const file = scratch.write('servers.json', { mcpServers: { good: LISTING }, ...memory })
    const { code, stdout } = await runProgram(['doctor', '--config', file], { cwd: scratch.path })
    expect(code).toBe(0)
    expect(stdout).toContain(`Nothing is wrong with ${file}.\n`)
  })

  test.runIf(spawnSync('script', ['--version']).status === 0)(
    'has colours at a terminal, unless NO_COLOR is set',
    async () => {
      const file = scratch.write('servers.json', { mcpServers: { gone: { command: 'no-such' } }, ...memory })
      const at = async (env: Record<string, string>): Promise<string> => {
        const line = `${process.execPath} ${BIN} doctor --config ${file}`
        const child = spawn('script', ['-qec', line, '/dev/null'], {
          env: { PATH: process.env['PATH'], HOME: scratch.path, ...env },
          stdio: ['ignore', 'pipe', 'ignore'],
        })
        let said = ''
        child.stdout.on('data', chunk => (said += String(chunk)))
        await once(child, 'close')
        return said
      }
      expect(await at({})).toContain('\u001B[31m✗\u001B[0m')
      const plain = await at({ NO_COLOR: '1' })
      expect(plain).toContain('✗ gone')
      expect(plain).not.toContain('\u001B[31m')
    },
  )

  test('is given up with Ctrl+C: exit code 130, and no server stays behind', async () => {
    const mark = `mark-${process.pid}-${Date.now()}`
    const silent = { command: process.execPath, args: ['-e', `/* ${mark} */ setInterval(() => {}, 1000)`] }
    const file = scratch.write('servers.json', { mcpServers: { silent }, ...memory })
    const child = spawn(process.execPath, [BIN, 'doctor', '--config', file], {
      env: { PATH: process.env['PATH'], HOME: scratch.path },
      stdio: 'ignore',
    })
    const running = (): boolean =>
      spawnSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).stdout.includes(mark)
    while (!running()) await new Promise(resolve => setTimeout(resolve, 50))
    child.kill('SIGINT')
    const [code] = (await once(child, 'exit')) as [number | null]
    expect({ code, running: running() }).toEqual({ code: 130, running: false })
  })
})
