import { describe, expect, onTestFinished, test } from 'vitest'
import type { WatchedSource } from '../../src/config/source/config-source.ts'

/** A source under test, and a function that writes what it reads. */
export interface SourceUnderTest {
  readonly source: WatchedSource
  /** Makes the source say `content`, a value in the form of a file, or something that is no configuration. */
  write(content: object | 'nonsense'): void | Promise<void>
}

/** What holds for every `WatchedSource`. `open` makes one of a file with the server `one`. */
export function configSourceContract(name: string, open: () => Promise<SourceUnderTest>): void {
  const opened = async (): Promise<SourceUnderTest> => {
    const made = await open()
    onTestFinished(() => made.source.close())
    return made
  }
  const fileWith = (...names: string[]): object => ({
    mcpServers: Object.fromEntries(names.map(server => [server, { command: 'x' }])),
  })
  const serversOf = async (source: WatchedSource): Promise<string[] | undefined> =>
    (await source.read()).config?.servers.map(server => server.name)

  describe(`${name} is a source that`, () => {
    test('reads the current content, with one digest for one content', async () => {
      const { source, write } = await opened()
      const before = await source.read()
      expect(before.config?.servers.map(server => server.name)).toEqual(['one'])
      expect((await source.read()).digest).toBe(before.digest)
      await write(fileWith('one', 'two'))
      expect(await serversOf(source)).toEqual(['one', 'two'])
      expect((await source.read()).digest).not.toBe(before.digest)
      await write(fileWith('one'))
      expect((await source.read()).digest).toBe(before.digest)
    })

    test('reports a problem without rejecting, and is valid again afterwards', async () => {
      const { source, write } = await opened()
      await write('nonsense')
      const reading = await source.read()
      expect(reading.config).toBeUndefined()
      expect(reading.problem).toContain(source.name)
      await write(fileWith('one'))
      expect(await serversOf(source)).toEqual(['one'])
    })

    test('reports a change, also one from before it was watched, and several at once as one', async () => {
      const { source, write } = await opened()
      await source.read()
      await write(fileWith('two'))
      let told = 0
      await source.watch(() => void told++)
      await expect.poll(() => told).toBe(1)
      expect(await serversOf(source)).toEqual(['two'])
      for (const server of ['a', 'b', 'c']) await write(fileWith(server))
      await expect.poll(() => told).toBe(2)
      expect(await serversOf(source)).toEqual(['c'])
      await new Promise(resolve => setTimeout(resolve, 500))
      expect(told).toBe(2)
    })

    test('reports nothing after its end, which ends a read in progress', async () => {
      const { source, write } = await opened()
      let told = 0
      await source.watch(() => void told++)
      const reading = source.read().catch((error: unknown) => error)
      await Promise.all([source.close(), source.close()])
      await reading
      const before = told
      await write(fileWith('two'))
      await new Promise(resolve => setTimeout(resolve, 500))
      expect(told).toBe(before)
      await expect(source.read()).rejects.toThrow()
    })
  })
}
