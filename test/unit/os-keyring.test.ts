import { expect, it, onTestFinished } from 'vitest'
import { readKeyring, writeKeyring } from '../../src/os-keyring.ts'
import { makeScratch } from './../helpers/scratch.ts'

const ENTRY = { service: 'mcp-manifold-test', account: 'a "quoted" é' }

/** A module with the interface of the keyring, in a file of its own. */
function moduleOf(text: string): { module: string; path: string } {
  const scratch = makeScratch()
  onTestFinished(() => scratch[Symbol.asyncDispose]())
  return { module: scratch.write('keyring.cjs', text), path: scratch.path }
}

const KEEPING = `
const { existsSync, readFileSync, writeFileSync } = require('node:fs')
exports.Entry = class {
  constructor(service, account, options) {
    if (options.linux.store !== 'secret-service') throw new Error('of the kernel')
    this.file = __dirname + '/' + Buffer.from(service + account).toString('hex')
  }
  getPassword() { return existsSync(this.file) ? readFileSync(this.file, 'utf8') : null }
  setPassword(secret) { writeFileSync(this.file, secret) }
}`

it('reads what was written, and undefined before', async () => {
  const options = moduleOf(KEEPING)
  expect(await readKeyring(ENTRY, options)).toBeUndefined()
  await writeKeyring(ENTRY, 'é "secret"\n', options)
  expect(await readKeyring(ENTRY, options)).toBe('é "secret"\n')
  expect(await readKeyring({ ...ENTRY, account: 'b' }, options)).toBeUndefined()
})

it.each([
  [
    'throws',
    `exports.Entry = class { constructor() { throw new Error("Couldn't access platform storage") } }`,
    "Couldn't access platform storage",
  ],
  ['throws no error', `exports.Entry = class { getPassword() { throw null } }`, 'null'],
  ['has another interface', `exports.Other = 1`, 'is not a constructor'],
  ['cannot be loaded', `syntax error`, 'Unexpected identifier'],
  ['ends the process', `process.exit(3)`, 'ended with 3'],
  ['crashes', `process.kill(process.pid, 'SIGSEGV')`, 'ended with a signal'],
  ['answers too much', `exports.Entry = class { getPassword() { return 'x'.repeat(100000) } }`, 'too long'],
])('says why where the keyring %s', async (_, text, why) => {
  await expect(readKeyring(ENTRY, moduleOf(text))).rejects.toThrow(why)
})

it('does not wait for a keyring that blocks its process, nor let it live on', async () => {
  const { module, path } = moduleOf(`
    require('node:fs').writeFileSync(__dirname + '/pid', String(process.pid))
    exports.Entry = class { getPassword() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0) } }`)
  const { readFileSync } = await import('node:fs')
  const began = performance.now()
  await expect(readKeyring(ENTRY, { module, timeoutMs: 4000 })).rejects.toThrow(
    'it did not answer within 4 s; it may be locked',
  )
  expect(performance.now() - began).toBeLessThan(15_000)
  const pid = Number(readFileSync(`${path}/pid`, 'utf8'))
  await expect
    .poll(() => {
      try {
        return process.kill(pid, 0)
      } catch {
        return false
      }
    })
    .toBe(false)
}, 30_000)

it('says so where a keyring does not keep what is written', async () => {
  const options = moduleOf(`exports.Entry = class { setPassword() {} getPassword() { return null } }`)
  await expect(writeKeyring(ENTRY, 'x', options)).rejects.toThrow('does not keep what is written')
})

it('says so where there is no such module', async () => {
  await expect(readKeyring(ENTRY, { module: '/nowhere/keyring.js' })).rejects.toThrow('Cannot find module')
})
