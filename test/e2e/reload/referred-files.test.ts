import { execFileSync, spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { askAdmin, envOf, folderForTest, socketsIn, type AdminAnswer } from '../../helpers/admin-client.ts'
import { makeAuthority } from '../../helpers/certificates.ts'
import { BIN, serve } from '../../helpers/served.ts'

/** Files that a configuration refers to and that are none: a reload of a running gateway names them and goes on. */

const SERVER = { url: 'http://127.0.0.1:9/mcp' }

test('a pipe, a device or a folder in place of a file is named with its place, and nothing changes or waits', async () => {
  const folder = folderForTest()
  const { certFile: cert, keyFile: key } = makeAuthority(folder, 'ca').sign('here')
  const pipe = join(folder.path, 'pipe')
  execFileSync('mkfifo', [pipe])
  const write = (change: { tls?: object; server?: object; include?: string }): string =>
    folder.write('servers.json', {
      mcpServers: { up: { ...SERVER, ...change.server } },
      gateway: { http: { port: 0, tls: { cert, key, ...change.tls } }, state: 'memory', watch: false },
      ...(change.include !== undefined && { include: change.include }),
    })
  const served = await serve([BIN, 'serve', '--config', write({})], {
    env: envOf(folder),
    ready: /https:\/\/127\.0\.0\.1:\d+/,
  })
  onTestFinished(async () => void (await served.stop()))
  await expect.poll(() => socketsIn(folder.path).length).toBe(1)
  const [socket = ''] = socketsIn(folder.path)
  const reload = (change: Parameters<typeof write>[0]): Promise<AdminAnswer> => {
    write(change)
    return askAdmin(socket, { method: 'POST', path: '/admin/reload', body: {} })
  }

  const fix = (option: string): string => `Correct "gateway.http.tls.${option}".`
  const isPipe = 'it is a pipe, and only regular files are read.'
  for (const [change, ...texts] of [
    [{ tls: { cert: pipe } }, pipe, isPipe, fix('cert')],
    [{ tls: { key: '/dev/zero' } }, '/dev/zero', 'it is a device, and only regular files', fix('key')],
    [{ tls: { ca: folder.path } }, folder.path, 'it is a directory.', fix('ca')],
    [{ include: pipe }, pipe, isPipe, 'Check "include" in'],
    [{ include: '/dev/zero' }, '/dev/zero', 'it is a device'],
  ] as const) {
    const { status, body } = await reload(change)
    expect(status).toBe(422)
    for (const text of texts) expect((body as { detail: string }).detail).toContain(text)
  }
  // What concerns one server leaves that one as it runs.
  for (const [server, place] of [
    [{ envFile: pipe }, 'mcpServers.up.envFile'],
    [{ headers: { 'x-key': `\${file:${pipe}}` } }, 'mcpServers.up.headers.x-key'],
  ] as const) {
    const { status, body } = await reload({ server })
    expect(status).toBe(200)
    const { problems } = body as { problems: string }
    expect(problems).toContain(place)
    expect(problems).toContain('it is a pipe, and only regular files are read')
  }
  expect((await reload({})).body).toMatchObject({ applied: true })
})

test('the configuration itself is taken from a pipe of the shell, and is no pipe on the disk', async () => {
  const folder = folderForTest()
  const pipe = join(folder.path, 'pipe')
  execFileSync('mkfifo', [pipe])
  const file = folder.write('servers.json', { mcpServers: { up: SERVER } })
  const check = async (line: string): Promise<string> => {
    const child = spawn('bash', ['-c', line], { env: { ...process.env, ...envOf(folder) } })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
    const code = await new Promise(resolve => child.once('close', resolve))
    return `${String(code)} ${said}`
  }
  const command = `"${process.execPath}" "${BIN}" check --config`
  expect(await check(`${command} <(cat "${file}")`)).toMatch(/^0 /)
  expect(await check(`cat "${file}" | ${command} /dev/stdin`)).toMatch(/^0 /)
  expect(await check(`${command} "${pipe}"`)).toMatch(/^1 .*it is a pipe, and only regular files are read/s)
})
