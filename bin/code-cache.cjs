// Keeps the compiled code of the program between starts, for versions of Node.js without `module.enableCompileCache`.
// Half of the time of a start is spent compiling. The code is in the cache folder of the user, in a folder of the
// version of Node.js, and V8 refuses code of another version or with other flags. It does not look for damage, so each
// file begins with a digest of the rest.
'use strict'
const { createHash } = require('node:crypto')
const { chmodSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } = require('node:fs')
const Module = require('node:module')
const { basename, join, sep } = require('node:path')
const vm = require('node:vm')

const DIST = join(__dirname, '..', 'dist') + sep
/** The name of such a file holds a digest of its content. */
const NAMED_BY_CONTENT = /-[\w-]{8}\.cjs$/

const DIGEST_BYTES = 32

const folder = join(require('./cache-folder.cjs'), `${process.version}-${process.arch}`)

/** Scripts whose code is not in the folder yet, by their files there. */
const fresh = new Map()

const compile = Module.prototype._compile
Module.prototype._compile = function (content, filename) {
  if (!filename.startsWith(DIST)) return compile.call(this, content, filename)
  const script = scriptOf(content, filename)
  const run = script.runInThisContext()
  return run.call(
    this.exports,
    this.exports,
    Module.createRequire(filename),
    this,
    filename,
    join(filename, '..'),
  )
}

function scriptOf(content, filename) {
  const file = join(folder, `${nameOf(content, filename)}.bin`)
  const cachedData = read(file)
  const script = new vm.Script(Module.wrap(content), {
    filename,
    cachedData,
    importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  })
  if (cachedData === undefined || script.cachedDataRejected) fresh.set(file, script)
  return script
}

function nameOf(content, filename) {
  const name = basename(filename)
  if (NAMED_BY_CONTENT.test(name)) return name
  return `${name}-${digestOf(content).toString('hex').slice(0, 16)}`
}

/** Code that is damaged, or that another user could have written, is not used. */
function read(file) {
  try {
    if (process.getuid && statSync(file).uid !== process.getuid()) return undefined
    const content = readFileSync(file)
    const code = content.subarray(DIGEST_BYTES)
    return digestOf(code).equals(content.subarray(0, DIGEST_BYTES)) ? code : undefined
  } catch {
    return undefined
  }
}

function digestOf(content) {
  return createHash('sha256').update(content).digest()
}

// At the end, the code has the functions that were used, and nothing waits for it.
process.on('exit', () => {
  if (fresh.size === 0) return
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (process.getuid && statSync(folder).uid !== process.getuid()) return
    chmodSync(folder, 0o700)
    for (const [file, script] of fresh) {
      const own = `${file}.${process.pid}`
      const code = script.createCachedData()
      writeFileSync(own, Buffer.concat([digestOf(code), code]), { mode: 0o600 })
      renameSync(own, file)
    }
  } catch {
    // A start without the code takes longer, and nothing else.
  }
})
