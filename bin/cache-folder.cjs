// The folder of this user for compiled code. That of Node.js is one of all users, where another user could put code.
'use strict'
const {
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} = require('node:fs')
const { homedir } = require('node:os')
const { isAbsolute, join } = require('node:path')

/** Modes of what others than its owner may write to. */
const OTHERS_WRITE = 0o022
const DAY_MS = 24 * 60 * 60 * 1000
/** Code of versions that are gone is as old one day, and what killed processes left. What is in use is made anew. */
const KEPT_MS = 30 * DAY_MS

/** Whether a file or folder is one of this user, that no other could have written, and no link. */
function isOwn(found, isOfKind) {
  const uid = process.getuid && process.getuid()
  return isOfKind && (uid === undefined || (found.uid === uid && (found.mode & OTHERS_WRITE) === 0))
}

/** The folder, made where it is missing. `undefined`: there is none that can be trusted. */
function cacheFolder() {
  try {
    const folder = join(baseFolder(), 'mcp-manifold', 'code')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const found = lstatSync(folder)
    return isOwn(found, found.isDirectory()) ? folder : undefined
  } catch {
    return undefined
  }
}

/** As the XDG specification says, a path that is not absolute is ignored. Throws where there is no home. */
function baseFolder() {
  const isWindows = process.platform === 'win32'
  const named = isWindows ? process.env.LOCALAPPDATA : process.env.XDG_CACHE_HOME
  if (named && isAbsolute(named)) return named
  return isWindows ? join(homedir(), 'AppData', 'Local') : join(homedir(), '.cache')
}

/** Removes files that are old, and folders that are empty; once a day. What cannot be removed stays. */
function removeOld(folder) {
  try {
    if (isDue(join(folder, 'looked'))) removeIn(folder, Date.now())
  } catch {
    // Another process may do the same.
  }
}

function isDue(mark) {
  const now = Date.now()
  try {
    if (now - statSync(mark).mtimeMs < DAY_MS) return false
    utimesSync(mark, new Date(now), new Date(now))
  } catch {
    writeFileSync(mark, '', { mode: 0o600 })
  }
  return true
}

function removeIn(folder, now) {
  for (const name of readdirSync(folder)) {
    const part = join(folder, name)
    if (!lstatSync(part).isDirectory()) continue
    for (const file of readdirSync(part)) {
      const found = lstatSync(join(part, file))
      if (!found.isDirectory() && now - found.mtimeMs > KEPT_MS) unlinkSync(join(part, file))
    }
    if (readdirSync(part).length === 0) rmdirSync(part)
  }
}

module.exports = { cacheFolder, isOwn, removeOld }
