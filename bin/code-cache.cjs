// Keeps the compiled code of the program between starts, for versions of Node.js without `module.enableCompileCache`.
// Half of the time of a start is spent compiling. The code is in the cache folder of the user, in a folder of the
// version of Node.js, and V8 refuses code of another version or with other flags. It looks neither for damage nor for
// another text of the same length, so each file begins with a digest of the rest and is named by one of the text.
'use strict'
const { createHash } = require('node:crypto')
const {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} = require('node:fs')
const Module = require('node:module')
const { basename, join, sep } = require('node:path')
const vm = require('node:vm')
const { isOwn } = require('./cache-folder.cjs')

const DIST = join(__dirname, '..', 'dist') + sep
const DIGEST_BYTES = 32
/** A link would lead to a file that was made for something else. Windows has no such flag. */
const FLAGS = constants.O_RDONLY | (constants.O_NOFOLLOW || 0)

/** Keeps code in a folder of this user alone. */
module.exports = function keepCode(base) {
  const folder = join(base, `${process.version}-${process.arch}`)
  /** Scripts whose code is not in the folder yet, by their files there. */
  const fresh = new Map()
  const isUsable = isOwnFolder(folder)

  const compile = Module.prototype._compile
  Module.prototype._compile = function (content, filename) {
    if (!filename.startsWith(DIST)) return compile.call(this, content, filename)
    const file = join(folder, `${basename(filename)}-${digestOf(content).toString('hex').slice(0, 32)}.bin`)
    const cachedData = isUsable ? read(file) : undefined
    const script = new vm.Script(Module.wrap(content), {
      filename,
      cachedData,
      importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })
    if (cachedData === undefined || script.cachedDataRejected) fresh.set(file, script)
    const run = script.runInThisContext()
    const require = Module.createRequire(filename)
    return run.call(this.exports, this.exports, require, this, filename, join(filename, '..'))
  }

  // At the end, the code has the functions that were used, and nothing waits for it.
  process.on('exit', () => {
    if (fresh.size === 0) return
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      if (!isOwnFolder(folder)) return
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
}

function isOwnFolder(folder) {
  try {
    const found = lstatSync(folder)
    return isOwn(found, found.isDirectory())
  } catch {
    return false
  }
}

/** Code that is damaged, or that another user could have written, is not used. */
function read(file) {
  let descriptor
  try {
    descriptor = openSync(file, FLAGS)
    const found = fstatSync(descriptor)
    if (!isOwn(found, found.isFile())) return undefined
    const content = readFileSync(descriptor)
    const code = content.subarray(DIGEST_BYTES)
    return digestOf(code).equals(content.subarray(0, DIGEST_BYTES)) ? code : undefined
  } catch {
    return undefined
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
}

function digestOf(content) {
  return createHash('sha256').update(content).digest()
}
