#!/usr/bin/env node
// Plain syntax on purpose: an old Node has to get far enough to say that it is too old.
import { readFileSync } from 'fs'
import module from 'module'

const args = process.argv.slice(2)
const running = process.versions.node.split('.').map(Number)

if (running[0] < 20 || (running[0] === 20 && running[1] < 19)) {
  fail('mcp-manifold needs Node 20.19 or newer, and this is ' + process.version + '. See https://nodejs.org.')
} else if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
  const file = new URL('../package.json', import.meta.url)
  process.stdout.write(JSON.parse(readFileSync(file, 'utf8')).version + '\n')
} else {
  // Later starts skip compiling, where Node can do that.
  if (module.enableCompileCache) module.enableCompileCache()
  import('../dist/bundle/main.js').then(
    function (cli) {
      return cli.main(args)
    },
    function (error) {
      const unbuilt =
        error.code === 'ERR_MODULE_NOT_FOUND' && /dist[\\/]bundle[\\/]main\.js/.test(error.message)
      fail(unbuilt ? 'mcp-manifold is not built yet. Run: npm run build' : error.stack)
    },
  )
}

function fail(message) {
  process.stderr.write(message + '\n')
  process.exitCode = 1
}
