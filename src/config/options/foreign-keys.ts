/**
 * Keys that clients keep for themselves in the same file. They are accepted so that a file can be used unchanged. The
 * gateway ignores them and does not expand variables in them.
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
