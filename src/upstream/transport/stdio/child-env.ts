/**
 * Names a child inherits when its configuration says nothing: where it lives, who runs it, how to talk to them. Everything else stays
 * here, since the environment of a gateway is full of other servers' secrets.
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

/** Locale and the places for caches and settings: without them text and files end up elsewhere than in the user's shell. */
const INHERITED_PREFIXES: readonly string[] = process.platform === 'win32' ? [] : ['LC_', 'XDG_']

/** Environment of a child: the few inherited variables, then `configured`, which wins. */
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
