import type { JsonObject } from '../core/exchange.ts'

/**
 * What a server is, without anything that may be a secret: the origin of its address; else its program and, where that
 * is a runner, the package, the image or the script that it runs.
 */
export function shownServer(entry: JsonObject): string {
  const { command, args, url } = entry as { command?: string; args?: readonly string[]; url?: string }
  if (url !== undefined) return URL.canParse(url) ? new URL(url).origin : 'an address with variables'
  const words = [command ?? '', ...(args ?? [])].map(String)
  const program = lastPart(words[0] ?? '')
  const what = RUNNER.test(program) ? runBy(program, words.slice(1)) : undefined
  return what === undefined ? program : `${program} ${what}`
}

const RUNNER =
  /^(?:npx|bunx|pnpx|npm|pnpm|yarn|uvx|uv|pipx|docker|podman|cmd|node|python[\d.]*|deno|bun)(?:\.(?:exe|cmd))?$/i
/** Words in front of what is run. */
const SUBCOMMANDS = new Set(['run', 'exec', 'dlx', 'x', 'tool', 'npx', 'bunx', 'uvx', 'container'])
/** Options of runners without a value. */
const ALONE = new Set(
  (
    '-y --yes -q --quiet -i -t -it -ti -d --rm --init --offline --interactive --tty --privileged --read-only ' +
    '--no-warnings --enable-source-maps --experimental-strip-types --inspect --watch -A --allow-all --allow-net ' +
    '--allow-env --allow-read --allow-write --allow-run --allow-sys --native-tls --no-cache --isolated --refresh ' +
    '--prefer-offline --silent -u -B -I -s -E --bun --'
  ).split(' '),
)
/** Options of runners whose value is the next word. */
const WITH_VALUE = new Set(
  (
    '--env --env-file --volume --mount --publish --name --network --net --workdir --label --entrypoint --platform ' +
    '--add-host --memory --cpus --user --package --with --python --index-url --directory --project --registry ' +
    '--require --import -r -X -W'
  ).split(' '),
)
/** Short ones, which other runners use for something else. */
const OWN = [
  { of: /^(?:docker|podman)\b/i, withValue: new Set('-e -v -p -w -l -u'.split(' ')) },
  { of: /^(?:npx|uvx?|bunx|pnpx|pnpm|npm|cmd)\b/i, withValue: new Set(['-p']) },
]
/** Options whose value is what is run. */
const NAMING = new Set(['-m', '--from'])
/** The name of a package or an image, a module, or the path of a script. */
const NAME =
  /^(?:@[\w.-]+\/)?[\w.-]{1,80}(?:[@:][\w.^~-]{1,30})?$|^[\w.-]{1,80}(?:\/[\w.-]{1,80}){1,3}(?::[\w.-]{1,40})?$/
const SCRIPT = /^.{1,300}\.(?:[cm]?js|[cm]?ts|py)$/s

/**
 * What a runner runs: the first word that is no option. No word behind it is looked at, and none behind an option that
 * is not known, because that may be its value, and so a secret.
 */
function runBy(program: string, args: readonly string[]): string | undefined {
  const own = OWN.find(({ of }) => of.test(program))?.withValue
  for (let at = 0; at < args.length; at++) {
    const arg = args[at] as string
    if (NAMING.has(arg)) return nameOf(args[at + 1])
    if (WITH_VALUE.has(arg) || own?.has(arg)) at++
    else if (SUBCOMMANDS.has(arg) || ALONE.has(arg) || /^\/c$/i.test(arg)) continue
    else if (!arg.startsWith('-')) return nameOf(arg)
    else if (!arg.includes('=')) return undefined
  }
  return undefined
}

function nameOf(word: string | undefined): string | undefined {
  if (word === undefined) return undefined
  if (SCRIPT.test(word)) return scriptPart(word)
  return NAME.test(word) ? word : undefined
}

/** The end of the path of a script: most are called `index.js`. */
function scriptPart(path: string): string {
  const parts = path.split(/[\\/]/).filter(part => part !== '' && part !== '.')
  const shown = parts.slice(-3).filter(part => !/^(?:dist|build|src|lib|out)$/.test(part))
  return shown.length > 1 ? `…/${shown.join('/')}` : shown.join('')
}

function lastPart(path: string): string {
  return path.split(/[\\/]/).at(-1) ?? path
}
