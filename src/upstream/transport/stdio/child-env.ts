/**
 * Variables that a child inherits without configuration: its paths, user and terminal. All others are
 * withheld, because the environment of a gateway contains secrets of other servers.
 */
const INHERITED: readonly string[] =
  process.platform === 'win32'
    ? [
        'APPDATA',
        'COMSPEC',
        'HOMEDRIVE',
        'HOMEPATH',
        'LOCALAPPDATA',
        'PATH',
        'PATHEXT',
        'PROCESSOR_ARCHITECTURE',
        'PROGRAMDATA',
        'PROGRAMFILES',
        'SYSTEMDRIVE',
        'SYSTEMROOT',
        'TEMP',
        'TMP',
        'USERNAME',
        'USERPROFILE',
      ]
    : ['HOME', 'LANG', 'LOGNAME', 'PATH', 'SHELL', 'TERM', 'TMPDIR', 'USER']

/**
 * Locale, and directories for caches and settings: without them text and files would differ from those in the user's
 * shell.
 */
const INHERITED_PREFIXES: readonly string[] = process.platform === 'win32' ? [] : ['LC_', 'XDG_']

/** Environment of a child: the inherited variables, overridden by `configured`. */
export function childEnv(
  configured: Readonly<Record<string, string>>,
  own: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(own)) {
    const key = process.platform === 'win32' ? name.toUpperCase() : name
    if (value === undefined) continue
    // Exported shell functions are code.
    if (value.startsWith('()')) continue
    if (INHERITED.includes(key) || INHERITED_PREFIXES.some(prefix => key.startsWith(prefix)))
      env[name] = value
  }
  return Object.assign(env, configured)
}
