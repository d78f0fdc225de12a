import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { decide } from '../../helpers/authorization-server.ts'
import { blocksOf, markOf, ROOT, textOfPage } from '../../helpers/documents.ts'
import { addressIn, setUpLoginCommands } from '../../helpers/login-commands.ts'

test('the commands of examples/login log in, call and log out, at a server that asks for a login', async () => {
  const block = blocksOf(textOfPage('examples/login/README.md')).find(
    one => markOf(one, 'not run') !== undefined,
  )
  const commands = (block?.text ?? '').trim().split('\n')
  expect(commands).toHaveLength(4)
  const { mcpServers } = JSON.parse(readFileSync(join(ROOT, 'examples/login/servers.json'), 'utf8')) as {
    mcpServers: Record<string, { url: string }>
  }
  const { run } = await setUpLoginCommands(url =>
    Object.fromEntries(Object.entries(mcpServers).map(([name, server]) => [name, { ...server, url }])),
  )
  const said: string[] = []
  for (const command of commands) {
    const typed = run(...command.replace('npx mcp-manifold ', '').split(' '))
    if (command.includes(' login ')) await fetch(await decide(await addressIn(typed)))
    const end = await typed.end
    expect(end.code, end.said).toBe(0)
    said.push(end.out + end.said)
  }
  expect(said[0]).toContain('You are logged in to server "mail"')
  expect(said[1]).not.toBe('')
  expect(said[2]).toMatch(/mail +gateway/)
  expect(said[3]).toContain('has revoked it')
})
