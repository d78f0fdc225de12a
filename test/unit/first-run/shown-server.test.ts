import { expect, test } from 'vitest'
import { shownServer } from '../../../src/first-run/shown-server.ts'

/** What is shown of a server, and in a plan: never a word that may be a secret. */

test.each([
  ['npx -y @scope/server /home/ada KEY', 'npx @scope/server'],
  ['npx --yes server@1.2.3', 'npx server@1.2.3'],
  ['npx -p @scope/pack server KEY', 'npx server'],
  ['cmd /c npx -y server KEY', 'cmd server'],
  ['C:\\node\\npx.cmd -y server', 'npx.cmd server'],
  ['uvx server KEY', 'uvx server'],
  ['uvx --from server-pack run-server KEY', 'uvx server-pack'],
  ['uvx --native-tls server KEY', 'uvx server'],
  ['uv --directory /srv/x run main.py KEY', 'uv main.py'],
  ['pipx run server KEY', 'pipx server'],
  ['docker run -i --rm -e TOKEN ghcr.io/github/server KEY', 'docker ghcr.io/github/server'],
  ['docker run -i --pull=always image:1 KEY', 'docker image:1'],
  ['docker run --unknown KEY image', 'docker'],
  ['docker run -i -u 1000 -p 80:80 image KEY', 'docker image'],
  ['node /opt/server/dist/index.js KEY', 'node …/server/index.js'],
  ['node --no-warnings dist/index.js KEY', 'node index.js'],
  ['node --unknown dist/index.js KEY', 'node'],
  ['node --title=x dist/index.js KEY', 'node index.js'],
  ['node -e KEY', 'node'],
  ['node -e code KEY', 'node'],
  ['node -p code KEY', 'node'],
  ['python -m srv KEY', 'python srv'],
  ['python3.12 -u server.py KEY', 'python3.12 server.py'],
  ['python -c KEY', 'python'],
  ['deno run --allow-net main.ts KEY', 'deno main.ts'],
  ['deno run -A npm:@scope/server KEY', 'deno'],
  ['bun run server.ts KEY', 'bun server.ts'],
  ['pnpm dlx server KEY', 'pnpm server'],
  ['npx --token KEY server', 'npx'],
  ['sh -c KEY', 'sh'],
  ['/usr/local/bin/server --key KEY', 'server'],
  ['env TOKEN=KEY server', 'env'],
])('%s', (line, shown) => {
  const [command = '', ...args] = line.split(' ')
  expect(shownServer({ command, args: args.map(arg => (arg === 'KEY' ? 'sk-ant-123' : arg)) })).toBe(shown)
})

test('of an address, its origin', () => {
  expect(shownServer({ url: 'https://u:sk-ant-123@a.example/sk-ant-123?key=sk-ant-123' })).toBe(
    'https://a.example',
  )
  expect(shownServer({ url: '${URL}' })).toBe('an address with variables')
})
