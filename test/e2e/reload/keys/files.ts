import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import { loadConfigFile } from '../../../../src/config/load/load.ts'
import { FileSource } from '../../../../src/config/source/file-source.ts'
import { readConfig } from '../../../../src/config/source/reading.ts'
import { Reloader } from '../../../../src/config/source/reloader.ts'
import { SILENT } from '../../../../src/core/logger.ts'
import { buildGateway } from '../../../../src/gateway/gateway.ts'
import { createMemoryStore } from '../../../../src/state/memory.ts'
import { openSession } from '../../../helpers/http-client.ts'
import { makeScratch } from '../../../helpers/scratch.ts'
import { scriptedHttp } from '../../../helpers/scripted-servers.ts'
import type { File, KeyTest, KeyTests } from './change.ts'

/** What a change of the keys does that only a file has. */

interface Rewriting {
  /** Writes the file and has the gateway read it. Returns what came of it. */
  rewrite(file: File): Promise<{ readonly outcome: string; readonly lines: readonly string[] | undefined }>
  names(): Promise<string[]>
  /** Greetings that the server has got. */
  greetings(): number
  readonly entry: object
  readonly folder: string
}

/** A gateway that runs with a file, which is rewritten. */
function withFile(first: (entry: object) => File, run: (scene: Rewriting) => Promise<void>): KeyTest {
  return async () => {
    await using server = await scriptedHttp()
    await using scratch = makeScratch()
    for (const name of ['one', 'two']) {
      mkdirSync(join(scratch.path, name))
      scratch.write(`${name}/a.json`, { mcpServers: { [name]: server.entry } })
    }
    const complete = (file: File): File => ({
      ...file,
      gateway: { ...(file['gateway'] as object | undefined), http: { port: 0 }, state: 'memory' },
    })
    const path = scratch.write('servers.json', complete(first(server.entry)))
    const config = await loadConfigFile({ file: path })
    const store = createMemoryStore()
    const gateway = await buildGateway(config, { logger: SILENT, store })
    const load = (request: Parameters<typeof readConfig>[0]) => ({
      reading: readConfig(request),
      stop: () => {},
    })
    const source = new FileSource({ file: path, logger: SILENT, load })
    const reloader = new Reloader({ source, target: gateway, config, logger: SILENT })
    const client = await openSession(new URL((await gateway.listen()).url).origin)
    await run({
      entry: server.entry,
      folder: scratch.path,
      names: () => client.names('tools'),
      greetings: () => server.messages.all.filter(text => text.includes('"initialize"')).length,
      async rewrite(file) {
        scratch.write('servers.json', complete(file))
        const { outcome, plan } = await reloader.reload()
        return { outcome, lines: plan?.change.lines }
      },
    })
    await reloader.close()
    await gateway.close()
    await store.close()
  }
}

export const FILE_KEYS: KeyTests = {
  // For editors alone.
  $schema: withFile(
    entry => ({ $schema: 'one', mcpServers: { a: entry } }),
    async ({ rewrite, names, greetings, entry }) => {
      expect(await names()).toEqual(['a__t'])
      const greeted = greetings()
      const result = await rewrite({ $schema: 'two', mcpServers: { a: entry } })
      expect(result).toEqual({ outcome: 'unchanged', lines: [] })
      expect(await names()).toEqual(['a__t'])
      expect(greetings()).toBe(greeted)
    },
  ),
  include: withFile(
    () => ({ include: 'one' }),
    async ({ rewrite, names }) => {
      expect(await names()).toEqual(['one__t'])
      const { outcome, lines } = await rewrite({ include: 'two' })
      expect(outcome).toBe('applied')
      expect(lines).toEqual(['Server "two" is added.', 'Server "one" is removed.'])
      await expect.poll(names).toEqual(['two__t'])
    },
  ),
  'gateway.secrets.execCache': withFile(
    entry => ({ mcpServers: { a: entry } }),
    async ({ rewrite, entry, folder }) => {
      const file = join(folder, 'runs')
      const program = `require('fs').appendFileSync(${JSON.stringify(file)},'x');console.log(1)`
      const secret = { headers: { 'x-key': `\${exec:${JSON.stringify([process.execPath, '-e', program])}}` } }
      const runsAfter = async (execCache: string): Promise<number> => {
        await rewrite({ mcpServers: { a: { ...entry, ...secret } }, gateway: { secrets: { execCache } } })
        return readFileSync(file, 'utf8').length
      }
      expect(await runsAfter('1h')).toBe(1)
      expect(await runsAfter('2h')).toBe(1)
      expect(await runsAfter('never')).toBe(2)
      expect(await runsAfter('never')).toBe(3)
    },
  ),
}
