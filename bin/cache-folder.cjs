// The folder of this user for compiled code. That of Node.js is one of all users, where another user could put code.
'use strict'
const { homedir } = require('node:os')
const { join } = require('node:path')

const base =
  process.platform === 'win32'
    ? process.env.LOCALAPPDATA || join(homedir(), 'AppData', 'Local')
    : process.env.XDG_CACHE_HOME || join(homedir(), '.cache')

module.exports = join(base, 'mcp-manifold', 'code')
