import { join } from 'node:path'
import { mkdirSync } from 'node:fs'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Views } from '../../../src/catalog/views.ts'
import { configFrom } from '../../../src/config/load/load.ts'
import type { Config } from '../../../src/config/types.ts'
import { Audience } from '../../../src/gateway/audience.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { reload } from '../../helpers/reload.ts'
import { makeScratch } from '../../helpers/scratch.ts'
import { HttpFront } from '../../../src/front/http/endpoint.ts'

/** Reloads that are refused change nothing, and take nothing else with them. */

const up = { url: 'http://127.0.0.1:9/mcp' }
const configOf = (file: object): Promise<Config> =>
  configFrom({ gateway: { http: { port: 0 }, state: 'memory' }, ...file }, { env: {} })

test('a reload that fails does not take the valid one before it along, whether that one waits or is under way', async () => {
  await using running = await startGateway({ mcpServers: { a: up } })
  const { gateway } = running
  const names = (): string[] => gateway.status().map(({ name }) => name)
  const failing = (): Promise<Config> => Promise.reject(new Error('it cannot be read'))
  const valid = await configOf({ mcpServers: { a: up, b: up } })
  const [waiting, failed] = await Promise.allSettled([gateway.reload(valid), gateway.reload(failing)])
  expect(waiting).toMatchObject({ value: { applied: true, superseded: false } })
  expect(failed).toMatchObject({ reason: { message: 'it cannot be read' } })
  expect(names()).toEqual(['a', 'b'])

  const third = await configOf({ mcpServers: { c: up } })
  let later: Promise<unknown> = Promise.resolve()
  const underWay = gateway.reload(() => {
    later = gateway.reload(failing).catch((error: unknown) => error)
    return Promise.resolve(third)
  })
  expect(await underWay).toMatchObject({ applied: true })
  expect(await later).toBeInstanceOf(Error)
  expect(names()).toEqual(['c'])
})

test('an audit log that cannot be opened is refused with its path, the cause and the fix; nothing changes', async () => {
  await using scratch = makeScratch()
  await using running = await startGateway({ mcpServers: { a: up } })
  const { gateway } = running
  scratch.write('file', '')
  mkdirSync(join(scratch.path, 'folder'))
  for (const [name, cause] of [
    ['folder', 'it is a directory (EISDIR)'],
    ['file/audit.jsonl', 'a part of its path is not a directory (ENOTDIR)'],
  ] as const) {
    const file = join(scratch.path, name)
    const changed = { mcpServers: { a: up, b: up }, gateway: { audit: { file } } }
    await expect(reload(gateway, changed)).rejects.toThrow(
      `The audit log ${file} cannot be written: ${cause}. Correct "gateway.audit.file"`,
    )
    expect(gateway.status()).toHaveLength(1)
    expect(gateway.config.gateway.audit).toBeUndefined()
  }
  const file = join(scratch.path, 'new', 'audit.jsonl')
  const report = await reload(gateway, { mcpServers: { a: up }, gateway: { audit: { file } } })
  expect(report.applied).toBe(true)
})

test('a rehearsal refuses what a reload refuses, and changes nothing', async () => {
  await using running = await startGateway({ mcpServers: { a: up } })
  const { gateway } = running
  const { config } = gateway
  const plan = await gateway.rehearse(await configOf({ mcpServers: { a: { ...up, timeout: '1s' }, b: up } }))
  expect(plan.change.lines).toEqual(['Server "a" is changed: timeout: 5m → 1s.', 'Server "b" is added.'])
  const file = { mcpServers: { a: up }, gateway: { state: 'memory', audit: { file: '/dev/null/audit' } } }
  await expect(gateway.rehearse(await configOf(file))).rejects.toThrow('/dev/null/audit')
  expect(gateway.config).toBe(config)
})

test('a gateway that is closing says that nothing was applied', async () => {
  const running = await startGateway({ mcpServers: { a: up } })
  onTestFinished(() => running[Symbol.asyncDispose]())
  const { gateway } = running
  const config = await configOf({ mcpServers: { b: up } })
  const closing = gateway.close()
  expect(await gateway.apply(config)).toEqual({ outcome: 'closing' })
  expect(await gateway.reload(config)).toMatchObject({ applied: false, superseded: false })
  await closing
})

test('what fails once a configuration is in effect refuses no reload and brings no earlier one back', async () => {
  await using running = await startGateway({ mcpServers: { a: up } })
  const { gateway } = running
  const told: string[] = []
  gateway.on('*', ({ type }) => void (type.startsWith('reload.') && told.push(type)))
  const fail = (): never => {
    throw new Error('a defect')
  }
  vi.spyOn(HttpFront.prototype, 'reconfigured').mockImplementationOnce(fail)
  vi.spyOn(Views.prototype, 'rebuild').mockImplementationOnce(() => Promise.reject(new Error('a defect')))
  onTestFinished(() => void vi.restoreAllMocks())
  const [first, second] = await Promise.all(
    ['11s', '12s'].map(timeout => reload(gateway, { mcpServers: { a: { ...up, timeout } } })),
  )
  expect(first).toMatchObject({ applied: false, superseded: true })
  expect(second).toMatchObject({ applied: true })
  expect(gateway.config.servers).toMatchObject([{ timeoutMs: 12_000 }])
  expect(told).toEqual(['reload.applied'])
  const third = await reload(gateway, { mcpServers: { b: up } })
  expect(third).toMatchObject({ applied: true })
  expect(gateway.status()).toMatchObject([{ name: 'b' }])
})

test('what fails right before a configuration takes effect refuses it, and the next reload is applied', async () => {
  await using running = await startGateway({ mcpServers: { a: up } })
  const { gateway } = running
  const told: string[] = []
  gateway.on('*', ({ type }) => void (type.startsWith('reload.') && told.push(type)))
  const { epoch } = gateway
  vi.spyOn(Audience.prototype, 'seenIn').mockImplementationOnce(() => {
    throw new Error('a defect')
  })
  onTestFinished(() => void vi.restoreAllMocks())
  await expect(reload(gateway, { mcpServers: { b: up } })).rejects.toThrow('a defect')
  expect(gateway.epoch).toBe(epoch)
  expect(gateway.status()).toMatchObject([{ name: 'a' }])
  expect(await reload(gateway, { mcpServers: { b: up } })).toMatchObject({ applied: true })
  expect(gateway.epoch).toBe(epoch + 1)
  expect(told).toEqual(['reload.refused', 'reload.applied'])
})
