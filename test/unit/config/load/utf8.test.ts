import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadWithSource } from '../../../../src/config/load/load.ts'
import { utf8Of } from '../../../../src/config/load/utf8.ts'
import { folderForTest } from '../../../helpers/admin-client.ts'

const DAMAGED = Buffer.concat([Buffer.from('a\n\uFFFD'), Buffer.from([0xff, 0xfe]), Buffer.from('b')])

test('bytes that are not UTF-8 are refused with their place; a replacement character of the text is none', () => {
  expect(() => utf8Of(DAMAGED)).toThrow('it is not UTF-8 (line 2, column 2)')
  expect(utf8Of(Buffer.from('a\uFFFD€😀'))).toBe('a\uFFFD€😀')
})

test('neither the configuration nor a file that it refers to is read with other characters in it', async () => {
  const folder = folderForTest()
  const [secret, file] = [folder.write('secret', ''), folder.write('servers.json', '')]
  writeFileSync(
    file,
    Buffer.concat([Buffer.from('{ "mcpServers": { "'), Buffer.from([0xff]), Buffer.from('": {} } }')]),
  )
  const load = (): Promise<{ problems: string | undefined }> => loadWithSource({ file, env: {} })
  await expect(load()).rejects.toThrow('not loaded: it is not UTF-8 (line 1, column 20). Save it as UTF-8.')

  writeFileSync(secret, DAMAGED)
  folder.write('servers.json', { mcpServers: { a: { command: 'x', env: { K: '${file:./secret}' } } } })
  expect((await load()).problems).toMatch(/it is not UTF-8 \(line 2, column 2\)\.? Save it as UTF-8\./)
  folder.write('servers.json', { mcpServers: { a: { command: 'x', envFile: 'secret' } } })
  expect((await load()).problems).toContain('it is not UTF-8 (line 2, column 2). Save it as UTF-8.')
})
