import { spawn, type ChildProcess } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { ROOT } from './documents.ts'
import { makeScratch, type Scratch } from './scratch.ts'
import { freePort } from './served.ts'

/** The package as npx has it: in a folder of its cache, with the optional packages beside it. */
export function installAsNpx(scratch: Scratch): string {
  const modules = join(scratch.path, '_npx', '1', 'node_modules')
  const installed = join(modules, 'mcp-manifold')
  for (const part of ['bin', 'dist/bundle', 'dist/vendor', 'docs', 'package.json'])
    cpSync(join(ROOT, part), join(installed, part), { recursive: true })
  for (const scope of ['@lmdb', '@napi-rs'])
    if (existsSync(join(ROOT, 'node_modules', scope)))
      symlinkSync(join(ROOT, 'node_modules', scope), join(modules, scope))
  return modules
}

/** What a block has printed, as a page shows it. */
export interface BlockEnd {
  readonly code: number | null
  readonly printed: string
}

/** The home of a reader of a page, with the package. */
export interface DocumentHome extends AsyncDisposable {
  /** The folder in which the blocks begin. */
  readonly folder: string
  readonly home: string
  /** The port that stands for 6379. */
  readonly redisPort: number
  /** Writes a file of the home, with the ports of this home in it. */
  write(name: string, content: string | object): void
  /** Text of a page with the ports of this home. */
  translated(text: string): string
  /** Runs a block in bash, which stops at the first command that fails. Folder and variables stay for the next one. */
  run(block: string): Promise<BlockEnd>
  /** The same at a terminal of 100 columns, with answers to what is asked there. */
  runAtTerminal(block: string, answers: readonly string[]): Promise<BlockEnd>
}

/** Ports that pages name, and Redis has. */
const PORTS = ['3333', '3334', '6379']
/** A question at the end of what a terminal shows. */
const ESCAPE = String.fromCharCode(27)
const PROMPT = /\? \[[^\]]*\] $/
/** What is before this in a line is overwritten. */
const OVERWRITTEN = new RegExp(`\r|${ESCAPE}\\[2?K`)
/** The programs that blocks may run. Others are not found, so that no page installs or changes anything outside of its home. */
const PROGRAMS =
  'bash sh cat chmod cp curl cut date df echo env false grep head ls mkdir mv node openssl rm script sed seq sleep sort stty tail tee test timeout touch tr true wc kill printf dirname'.split(
    ' ',
  )
/** Longest run of a block. */
const BLOCK_TIMEOUT_MS = 60_000

/**
 * The program under its name, and `npx` for it and for the servers among the development dependencies. Nothing is downloaded. `serve` stays in the
 * background as soon as it listens, and what follows the log ends after a second.
 */
const RUNNER = `
run() {
  case " $* " in
    *' --help '*) ;;
    *' serve '*)
      case " $* " in *' --port '*) ;; *) set -- "$@" --port "$DEFAULT_PORT" ;; esac
      out="$PIDS.$$"
      "$@" > "$out" 2> "$out.log" < /dev/null &
      pid=$!
      echo $pid >> "$PIDS"
      while ! grep -qs 'Ctrl+C stops it' "$out"; do
        kill -0 $pid 2> /dev/null || { cat "$out.log" >&2; exit 1; }
        sleep 0.05
      done
      cat "$out"
      exit 0 ;;
    *' logs '*' -f '* | *' --follow '*) timeout -s INT 1 "$@" || exit 0; exit 0 ;;
  esac
  exec "$@"
}
`

export async function makeDocumentHome(modules: string): Promise<DocumentHome> {
  const scratch = makeScratch()
  const home = join(scratch.path, 'home', 'ada')
  const folder = join(home, 'project')
  for (const made of ['home/ada/project', 'bin', 'global', 'tools', 'tmp'])
    mkdirSync(join(scratch.path, made), { recursive: true })
  const main = join(modules, 'mcp-manifold', 'bin', 'mcp-manifold.cjs')
  symlinkSync(main, join(scratch.path, 'global', 'mcp-manifold'))
  const shell = (name: string, text: string): void => {
    const file = join(scratch.path, 'bin', name)
    writeFileSync(file, `#!/bin/sh\n${text}\n`)
    chmodSync(file, 0o755)
  }
  shell('mcp-manifold', `${RUNNER}run node ${join(scratch.path, 'global', 'mcp-manifold')} "$@"`)
  shell(
    'npx',
    `${RUNNER}[ "$1" = -y ] && shift
case "$1" in
  mcp-manifold) shift; run node ${main} "$@" ;;
  @modelcontextprotocol/server-*)
    server="mcp-\${1#@modelcontextprotocol/}"; shift
    exec node "${join(ROOT, 'node_modules', '.bin')}/$server" "$@" ;;
esac
echo "npx has no $1 here" >&2
exit 1`,
  )
  for (const program of PROGRAMS) {
    const file = (process.env['PATH'] ?? '').split(':').find(folder => existsSync(join(folder, program)))
    if (file !== undefined) symlinkSync(join(file, program), join(scratch.path, 'tools', program))
  }
  const ports = new Map<string, string>()
  for (const port of PORTS) ports.set(port, String(await freePort()))
  const pids = join(scratch.path, 'pids')
  const env: NodeJS.ProcessEnv = {
    PATH: ['bin', 'global', 'tools'].map(part => join(scratch.path, part)).join(':'),
    HOME: home,
    TMPDIR: join(scratch.path, 'tmp'),
    LANG: 'C.UTF-8',
    PIDS: pids,
    DEFAULT_PORT: ports.get('3333'),
    DBUS_SESSION_BUS_ADDRESS: 'unix:path=/nowhere',
  }
  const translated = (text: string): string =>
    text.replace(/\b(?:3333|3334|6379)\b/g, port => ports.get(port) ?? port)
  const shown = (text: string): string => {
    let said = text
    for (const [named, port] of ports) said = said.replaceAll(port, named)
    return said.replaceAll(home, '/home/ada').replaceAll(process.execPath, '/usr/bin/node')
  }
  const tool = (name: string): string => join(scratch.path, 'tools', name)
  let blocks = 0
  writeFileSync(join(scratch.path, 'after.sh'), `cd ${folder}\n`)

  async function end(child: ChildProcess, heard: (text: string) => void): Promise<BlockEnd> {
    let printed = ''
    const hear = (chunk: Buffer): void => {
      printed += chunk.toString()
      heard(printed)
    }
    child.stdout?.on('data', hear)
    child.stderr?.on('data', hear)
    const timer = setTimeout(() => child.kill('SIGKILL'), BLOCK_TIMEOUT_MS)
    const code = await new Promise<number | null>(resolve => child.once('close', resolve))
    clearTimeout(timer)
    return { code, printed: shown(visible(printed)) }
  }

  /** The block as a script that begins where the one before has ended. */
  function script(block: string): string {
    const file = join(scratch.path, `block-${(blocks += 1)}.sh`)
    const after = join(scratch.path, 'after.sh')
    const last = `{ export -p | grep -v ' _='; printf 'cd %q\\n' "$PWD"; } > ${after}`
    writeFileSync(
      file,
      `. ${after}\ntrap '${last.replaceAll("'", `'\\''`)}' EXIT\nset -e\n${translated(block)}`,
    )
    return file
  }

  return {
    folder,
    home,
    redisPort: Number(ports.get('6379')),
    write(name, content) {
      const text = typeof content === 'string' ? content : `${JSON.stringify(content, null, 2)}\n`
      mkdirSync(dirname(join(home, name)), { recursive: true })
      writeFileSync(join(home, name), translated(text))
    },
    translated,
    run: block =>
      end(
        spawn(tool('bash'), [script(block)], { env, stdio: ['ignore', 'pipe', 'pipe'], cwd: home }),
        () => {},
      ),
    async runAtTerminal(block, answers) {
      const line = `stty cols 100 rows 60; exec bash ${script(block)}`
      const child = spawn(tool('script'), ['-qefc', line, '/dev/null'], {
        env: { ...env, TERM: 'xterm', NO_COLOR: '1' },
        cwd: home,
        stdio: ['pipe', 'pipe', 'pipe'],
      })
      const open = [...answers]
      let answered = 0
      return await end(child, printed => {
        if (!PROMPT.test(stripVTControlCharacters(printed.slice(answered)))) return
        answered = printed.length
        const answer = open.shift()
        if (answer !== undefined) child.stdin.write(`${answer}\r`)
      })
    },
    async [Symbol.asyncDispose]() {
      const kept = readdirSync(folder).filter(name => name.endsWith('.pid'))
      for (const file of [pids, ...kept.map(name => join(folder, name))])
        if (existsSync(file))
          for (const pid of readFileSync(file, 'utf8').trim().split('\n'))
            if (isOf(scratch.path, Number(pid))) await endProgram(Number(pid))
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** What is left on a screen: without colours, and without what was overwritten. */
function visible(printed: string): string {
  return printed
    .split('\n')
    .map(line => line.replace(/\r+$/, '').split(OVERWRITTEN).at(-1) ?? '')
    .map(line => stripVTControlCharacters(line).trimEnd())
    .join('\n')
}

/** Whether a program was started by a block of the home at this path: its number may be that of another one by now. */
function isOf(path: string, pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').includes(path)
  } catch {
    return false
  }
}

/** Ends a program that a block has left in the background. */
async function endProgram(pid: number): Promise<void> {
  const signalled = (signal: NodeJS.Signals | 0): boolean => {
    try {
      return process.kill(pid, signal)
    } catch {
      return false
    }
  }
  signalled('SIGTERM')
  for (let tries = 0; tries < 500 && signalled(0) && !isZombie(pid); tries++)
    await new Promise(resolve => setTimeout(resolve, 20))
  signalled('SIGKILL')
}

/** Ended, but its parent has not asked for its exit code. */
function isZombie(pid: number): boolean {
  const file = `/proc/${pid}/stat`
  return existsSync(file) && /\) Z /.test(readFileSync(file, 'utf8'))
}
