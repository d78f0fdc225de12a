/** Beginnings of names by which a program is told what it fetches, loads, trusts or runs. */
const PREFIXES =
  /^(?:LD|DYLD|NPM|YARN|PNPM|COREPACK|BUN|DENO|UV|PIP|PIPX|CONDA|DOCKER|CONTAINERS?|BUILDKIT|COMPOSE|PODMAN|GIT|SSH|GEM|BUNDLE|OPENSSL|SSL|CURL|JDK|BASH|ELECTRON|XDG)_|^(?:NODE_|PYTHON|PERL|RUBY)/i

/** Variables of those beginnings that change no more than how a program writes or reads. */
const HARMLESS = /^(?:NODE_ENV|PYTHONUNBUFFERED|PYTHONIOENCODING|PYTHONUTF8|PYTHONDONTWRITEBYTECODE)$/

const NAMES =
  /^(?:PATH|PATHEXT|HOME|USERPROFILE|APPDATA|LOCALAPPDATA|PROGRAMDATA|TMPDIR|TEMP|TMP|SHELL|COMSPEC|SYSTEMROOT|WINDIR|ENV|IFS|ZDOTDIR|VIRTUAL_ENV|CLASSPATH|JAVA_HOME|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|GCONV_PATH|GLIBC_TUNABLES|REQUESTS_CA_BUNDLE|\w*_PROXY)$/i

/** Whether a variable could make something else run than what is shown: another registry, library or startup file. */
function changesWhatRuns(name: string): boolean {
  return NAMES.test(name) || (PREFIXES.test(name) && !HARMLESS.test(name))
}

/** Whether a name is one of an environment variable that a description may set. */
export function isVariableName(name: string): boolean {
  return /^[A-Za-z_]\w{0,127}$/.test(name) && !changesWhatRuns(name)
}

/** What is said of a variable that a description may not set. */
export function variableNote(name: string): string {
  const why = changesWhatRuns(name) ? 'it could change what runs' : 'it is no name of a variable'
  return `The variable ${JSON.stringify(name.slice(0, 128))} is left out: ${why}.`
}
