/**
 * Keys that clients keep in the same file for themselves. They are accepted so that a file can be used as it is, mean nothing
 * to the gateway, and variables in them are left alone.
 */
export const IGNORED_SERVER_KEYS: Readonly<Record<string, string>> = {
  description: 'several clients',
  name: 'several clients',
  autoApprove: 'Cline and Windsurf',
  alwaysAllow: 'Cursor and Roo Code',
  alwaysLoad: 'Claude Code',
  trust: 'Gemini CLI',
  icon: 'other clients',
  gallery: 'VS Code',
  version: 'VS Code',
  dev: 'VS Code',
  sandbox: 'VS Code',
  watchPaths: 'Roo Code',
}

export const IGNORED_ROOT_KEYS: Readonly<Record<string, string>> = {
  globalShortcut: 'Claude Desktop',
  preferences: 'Claude Desktop',
  isUsingBuiltInNodeForMcp: 'Claude Desktop',
  isDxtAutoUpdatesEnabled: 'Claude Desktop',
  sandbox: 'VS Code',
}
