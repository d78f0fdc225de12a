#!/usr/bin/env node
// Plain syntax on purpose: an old Node has to get far enough to say that it is too old. No module, because the loader of
// modules takes its time at every start.
'use strict'

var args = process.argv.slice(2)
var running = process.versions.node.split('.').map(Number)

if (running[0] < 20 || (running[0] === 20 && running[1] < 19)) {
  fail('mcp-manifold needs Node 20.19 or newer, and this is ' + process.version + '. See https://nodejs.org.')
} else if (args.length === 1 && (args[0] === '--version' || args[0] === '-v')) {
  process.stdout.write(require('../package.json').version + '\n')
} else {
  // Later starts skip compiling.
  var nodeModule = require('module')
  var cache = require('./cache-folder.cjs')
  var folder = cache.cacheFolder()
  if (folder) {
    if (nodeModule.enableCompileCache) nodeModule.enableCompileCache(folder)
    else require('./code-cache.cjs')(folder)
    process.on('exit', function () {
      cache.removeOld(folder)
    })
  }
  start()
}

function start() {
  try {
    require('../dist/bundle/main.cjs').main(args)
  } catch (error) {
    var isUnbuilt = error.code === 'MODULE_NOT_FOUND' && /dist[\\/]bundle[\\/]main\.cjs/.test(error.message)
    fail(isUnbuilt ? 'mcp-manifold is not built yet. Run: npm run build' : error.stack)
  }
}

function fail(message) {
  process.stderr.write(message + '\n')
  process.exitCode = 1
}
