import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { loadWithSource } from '../../../../src/config/load/load.ts'
import { commandLine, outputOf } from '../../../../src/program-output.ts'
import { keepOutputs, keptOutputs } from '../../../../src/kept-outputs.ts'
import { makeScratch, type Scratch } from '../../../helpers/scratch.ts'

const node = (program: string): string => JSON.stringify([process.execPath, '-e', program])

describe('a command line', () => {
  test.each([
    ['op read op://a/b', ['op', 'read', 'op://a/b']],
    ['  pass   a ', ['pass', 'a']],
    [`"my program" 'two words' a"b c"d`, ['my program', 'two words', 'ab cd']],
    ['a ""', ['a', '']],
    ['echo $HOME; rm * | x', ['echo', '$HOME;', 'rm', '*', '|', 'x']],
    ['["a b","c\\"d"]', ['a b', 'c"d']],
  ])('%s is split without a shell', (text, words) => {
    expect(commandLine(text)).toEqual(words)
  })

  test.each(['', '  ', '""', '"a', 'a "b', '[]', '[1]', '["a"', '["a\\u0000"]'])(
    '%s names no program',
    text => {
      expect(commandLine(text)).toBeUndefined()
    },
  )
})

describe('a program', () => {
  const run = (program: string): Promise<string> =>
    outputOf([process.execPath, '-e', program], { cwd: '/', env: { ...process.env, A: 'b' } })

  test('gets the environment and no standard input, and gives what it prints without the last line break', async () => {
    expect(await run('process.stdin.on("end",()=>console.log(process.env.A+"\\n")).resume()')).toBe('b\n')
  })

  test.each([
    ['process.stderr.write("s3cret");process.exit(3)', 'it exited with code 3'],
    ['process.kill(process.pid,"SIGKILL")', 'it ended by SIGKILL'],
    ['', 'it printed nothing'],
    ['for(;;)require("fs").writeSync(1,"x".repeat(65536))', 'it printed more than 65536 bytes'],
  ])('%s fails: %s', async (program, why) => {
    await expect(run(program)).rejects.toThrow(new Error(why))
  })

  test('that does not end is ended with what it started', async () => {
    await using scratch = makeScratch()
    const file = join(scratch.path, 'pid')
    const child = `require('fs').writeFileSync(${JSON.stringify(file)},String(process.pid));setInterval(()=>{},1e3)`
    const begun = performance.now()
    const program = `require('child_process').spawn(process.execPath,['-e',${JSON.stringify(child)}],{stdio:'inherit'});setInterval(()=>{},1e3)`
    await expect(run(program)).rejects.toThrow('it did not end within 10 s')
    expect(performance.now() - begun).toBeLessThan(12_000)
    const pid = Number(readFileSync(file, 'utf8'))
    await expect
      .poll(() => existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '')
      .toBe(false)
  }, 20_000)

  test('whose output another process holds open is over when it exits', async () => {
    const program = `require('child_process').spawn(process.execPath,['-e','setTimeout(()=>{},3e3)'],{stdio:'inherit'}).unref();console.log('a')`
    const begun = performance.now()
    expect(await run(program)).toBe('a')
    expect(performance.now() - begun).toBeLessThan(2900)
  })

  test('that is not there fails', async () => {
    await expect(outputOf(['no-such-program'], { cwd: '/', env: {} })).rejects.toThrow(
      'cannot be started (ENOENT)',
    )
  })
})

describe('${exec:…}', () => {
  const counting = (scratch: Scratch): string =>
    node(
      `require('fs').appendFileSync(${JSON.stringify(join(scratch.path, 'runs'))},'x');console.log('s3cret')`,
    )
  const write = (scratch: Scratch, command: string, execCache?: string): string =>
    scratch.write(
      'servers.json',
      JSON.stringify({
        mcpServers: {
          a: {
            url: 'https://a.example/mcp',
            headers: { authorization: `Bearer \${exec:${command}}`, 'x-key': `\${exec:${command}}` },
          },
          off: { url: 'https://b.example/mcp', headers: { a: '${exec:no-such-program}' }, disabled: true },
        },
        ...(execCache !== undefined && { gateway: { secrets: { execCache } } }),
      }),
    )
  const runs = (scratch: Scratch): number => {
    const file = join(scratch.path, 'runs')
    return existsSync(file) ? readFileSync(file, 'utf8').length : 0
  }

  test('stands for what the program prints, which is run once and kept', async () => {
    await using scratch = makeScratch()
    const file = write(scratch, counting(scratch))
    const { config, raw } = await loadWithSource({ file })
    expect(config.servers[0]?.replicas[0]?.endpoint).toMatchObject({
      headers: { authorization: 'Bearer s3cret', 'x-key': 's3cret' },
    })
    expect(JSON.stringify(raw)).not.toContain('s3cret"')
    await loadWithSource({ file })
    expect(runs(scratch)).toBe(1)
  })

  test('in a header of a server or a replica keeps its program, for a refusal', async () => {
    await using scratch = makeScratch()
    const [command, other] = [counting(scratch), node(`console.log('other')`)]
    const file = scratch.write('servers.json', {
      mcpServers: {
        a: {
          headers: {
            'X-Both': `\${client.team}-\${exec:${command}}.`,
            'x-plain': '$${exec:no}',
            'x-own': 'b',
          },
          replicas: [
            { url: 'https://b.example/mcp' },
            { url: 'https://c.example/mcp', headers: { 'x-both': 'fixed', 'X-Own': `\${exec:${other}}` } },
          ],
        },
      },
      clients: { ci: { values: { team: 't' } } },
    })
    const { config } = await loadWithSource({ file })
    const run = (list: string): object => ({ command: JSON.parse(list) as unknown, cwd: scratch.path })
    expect(config.servers[0]?.replicas.map(({ endpoint }) => endpoint)).toMatchObject([
      {
        headers: { 'x-both': '${client.team}-s3cret.', 'x-plain': '${exec:no}', 'x-own': 'b' },
        printed: { 'x-both': ['${client.team}-', run(command), '.'] },
      },
      { headers: { 'x-both': 'fixed', 'x-own': 'other' }, printed: { 'x-own': ['', run(other), ''] } },
    ])
    const [first, second] = config.servers[0]?.replicas ?? []
    expect(Object.keys(first?.endpoint.url === undefined ? {} : (first.endpoint.printed ?? {}))).toEqual([
      'x-both',
    ])
    expect(Object.keys(second?.endpoint.url === undefined ? {} : (second.endpoint.printed ?? {}))).toEqual([
      'x-own',
    ])
  })

  test('is run again after `gateway.secrets.execCache`', async () => {
    await using scratch = makeScratch()
    const file = write(scratch, counting(scratch), 'never')
    await loadWithSource({ file })
    await loadWithSource({ file })
    expect(runs(scratch)).toBe(2)
    write(scratch, counting(scratch), '1s')
    await loadWithSource({ file })
    expect(runs(scratch)).toBe(2)
    await sleep(1100)
    await loadWithSource({ file })
    expect(runs(scratch)).toBe(3)
  })

  test('is not run where secrets are not looked for, which is said', async () => {
    await using scratch = makeScratch()
    const { config } = await loadWithSource({
      file: write(scratch, counting(scratch)),
      looksForSecrets: false,
    })
    expect(config.warnings.join()).toContain('were not looked for')
    expect(runs(scratch)).toBe(0)
  })

  test('that fails is a problem of its server, without arguments and output', async () => {
    await using scratch = makeScratch()
    const command = node('console.log("s3cret");console.error("s3cret");process.exit(1)')
    const { problems } = await loadWithSource({ file: write(scratch, command) })
    expect(problems).toContain('uses ${exec:…}, but it exited with code 1')
    expect(problems).not.toContain('s3cret')
  })

  test('that is not valid where it is used is a problem that does not show it', async () => {
    await using scratch = makeScratch()
    const url = `\${exec:${node('console.log("s3"+"cret")')}}`
    const file = scratch.write('servers.json', JSON.stringify({ mcpServers: { a: { url } } }))
    const { problems } = await loadWithSource({ file })
    expect(problems).toContain('mcpServers.a.url')
    expect(problems).not.toContain('s3cret')
  })
})

test('${keyring:…} without a usable entry is a problem of its server, with the fix', async () => {
  await using scratch = makeScratch()
  const headers = { a: '${keyring:mcp-manifold-test/none}', b: '${keyring:none}' }
  const file = scratch.write(
    'servers.json',
    JSON.stringify({ mcpServers: { a: { url: 'https://a.example/mcp', headers } } }),
  )
  const { problems } = await loadWithSource({ file })
  expect(problems).toMatch(
    /uses \$\{keyring:mcp-manifold-test\/none\}, but the keyring (?:cannot be used: |has no such entry)/,
  )
  expect(problems).toContain('Write ${keyring:service/account}.')
})

test('what one thread keeps is used by another one, by its age', () => {
  keepOutputs([{ key: 'k', value: 'old', ageMs: 5000 }])
  keepOutputs([{ key: 'k', value: 'older', ageMs: 9000 }])
  expect(keptOutputs().find(({ key }) => key === 'k')).toMatchObject({ value: 'old' })
  keepOutputs([{ key: 'k', value: 'new', ageMs: 10 }])
  const found = keptOutputs().find(({ key }) => key === 'k')
  expect(found?.value).toBe('new')
  expect(found?.ageMs).toBeLessThan(1000)
})
