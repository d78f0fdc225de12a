import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { makeScratch, type Scratch } from '../helpers/scratch.ts'
import { BIN, serve, type Served } from '../helpers/served.ts'

/** What starts a reload of the built program, and what its log says of it. */

const SECRET = 'sekrit-value'
const configOf = (servers: object, gateway: object = {}): object => ({
  mcpServers: servers,
  gateway: { http: { port: 0 }, state: 'memory', log: 'info', ...gateway },
})
const up = (port: number): object => ({ url: `http://127.0.0.1:${port}/mcp` })

function folder(): Scratch {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  return scratch
}

interface Running {
  readonly said: string
  readonly pid: number
}

async function serving({ path }: Scratch, file: string, env: Record<string, string> = {}): Promise<Served> {
  const served = await serve([BIN, 'serve', '--config', file], {
    env: { HOME: path, XDG_STATE_HOME: path, ...env },
    ready: /Ctrl\+C/,
  })
  onTestFinished(async () => void (await served.stop()))
  return served
}

/** On stdio, with a client that says nothing. */
async function onStdio({ path }: Scratch, file: string): Promise<Running> {
  const child = spawn(process.execPath, [BIN, '--config', file], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: { ...process.env, HOME: path, XDG_STATE_HOME: path },
  })
  const exited = once(child, 'exit')
  onTestFinished(async () => {
    child.stdin.end()
    await exited
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  // It listens to signals once it is up.
  await expect.poll(() => said).toContain('{')
  return {
    pid: child.pid ?? 0,
    get said() {
      return said
    },
  }
}

const says = (running: Running, ...texts: string[]): Promise<void> =>
  expect.poll(() => texts.filter(text => !running.said.includes(text))).toEqual([])
const times = (running: Running, text: string): number => running.said.split(text).length - 1

test('serve takes over files that are included, says what changed without secrets, and names what it cannot take over', async () => {
  const scratch = folder()
  mkdirSync(join(scratch.path, 'conf.d'))
  const file = scratch.write('servers.json', { ...configOf({ up: up(9) }), include: 'conf.d' })
  const running = await serving(scratch, file, { SECRET })

  scratch.write('conf.d/.a', {
    mcpServers: { a: { ...up(10), headers: { 'x-key': '${SECRET}' } } },
    roles: { r: {} },
  })
  renameSync(join(scratch.path, 'conf.d/.a'), join(scratch.path, 'conf.d/a.json'))
  await says(running, 'Server \\"a\\" is added. Role \\"r\\" is added.')

  scratch.write('conf.d/a.json', { mcpServers: { a: { ...up(10), headers: { 'x-key': `${SECRET}-2` } } } })
  await says(running, 'Server \\"a\\" is changed: headers.x-key. It gets new links. Role \\"r\\" is removed.')

  scratch.write('servers.json', {
    ...configOf({ up: up(9) }, { state: 'lmdb:state', log: 'info' }),
    include: 'conf.d',
  })
  await says(running, 'takes effect at the next start: gateway.state, because what is counted')
  expect(running.said).not.toContain('gateway.state is changed')
  expect(running.said).not.toContain(SECRET)
})

test('an invalid file and a missing one change nothing, and are reported once, with place and fix, until they are repaired', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', configOf({ up: up(9) }))
  const running = await serving(scratch, file)
  const refused = 'is not used, the one before stays in effect'

  scratch.write('servers.json', configOf({ up: up(9) }, { listen: { maxStreams: 'many' } }))
  await says(
    running,
    `${refused}. The configuration ${file} has a problem:`,
    'gateway.listen.maxStreams (line',
  )
  // The same content once more.
  scratch.write('servers.json', configOf({ up: up(9) }, { listen: { maxStreams: 'many' } }))
  rmSync(file)
  await says(running, `The configuration ${file} was not loaded: there is no such file.`)
  expect(times(running, refused)).toBe(2)

  scratch.write('servers.json', configOf({ up: up(9), more: up(10) }))
  await says(running, 'Server \\"more\\" is added.')
  expect(times(running, refused)).toBe(2)
})

test('SIGHUP reads the file of serve again and logs the result, also where the file is not watched', async () => {
  const scratch = folder()
  const file = scratch.write('servers.json', configOf({ up: up(9) }, { watch: false }))
  const running = await serving(scratch, file)
  writeFileSync(file, JSON.stringify(configOf({ up: up(10) }, { watch: false })))
  await new Promise(resolve => setTimeout(resolve, 700))
  expect(running.said).not.toContain('is changed')
  process.kill(running.pid, 'SIGHUP')
  await says(running, 'Server \\"up\\" is changed: url.')
  process.kill(running.pid, 'SIGHUP')
  await says(running, `${file} was read again: nothing has changed.`)
  writeFileSync(file, '{ nonsense')
  process.kill(running.pid, 'SIGHUP')
  await says(running, 'is not JSON at line 1, column 3')
  process.kill(running.pid, 'SIGHUP')
  await says(running, `${file} was read again: it is as it was, and cannot be used.`)
  expect(times(running, 'is not JSON at line 1, column 3')).toBe(1)
})

test('a gateway on stdio follows its file as well', async () => {
  const scratch = folder()
  // The name of a server that does nothing is said at the start, so that the test knows that it is up.
  const file = scratch.write('servers.json', configOf({ up: up(9), gone: { command: '' } }))
  const running = await onStdio(scratch, file)
  renameSync(scratch.write('next', configOf({ up: up(10), more: up(11), gone: { command: '' } })), file)
  await says(running, 'Server \\"up\\" is changed: url.', 'Server \\"more\\" is added.')
  writeFileSync(file, '{ nonsense')
  await says(running, 'is not used, the one before stays in effect.')
})
