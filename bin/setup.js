// Makes a fresh checkout runnable: installs and builds what is missing or out of date. Says nothing when nothing is.
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = new URL('../', import.meta.url)

/** Time of the last change in milliseconds, 0 when there is no such file. */
function changed(path) {
  const stats = statSync(new URL(path, root), { throwIfNoEntry: false })
  return stats ? stats.mtimeMs : 0
}

function newestIn(folder) {
  const files = readdirSync(new URL(folder, root), { recursive: true })
  return Math.max(...files.map(file => changed(`${folder}/${file.replaceAll('\\', '/')}`)))
}

function run(reason, ...args) {
  console.error(`${reason}: npm ${args.join(' ')}`)
  // On Windows npm is a script, which only a shell can start; stdout stays free for the next program.
  const { status, error } = spawnSync('npm', args, {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  })
  if (error) console.error(`npm could not be started: ${error.message}`)
  if (status === 0) return
  // A failed build leaves files that look new; the next run has to try again.
  if (args.includes('build')) rmSync(new URL('dist/bundle/main.cjs', root), { force: true })
  process.exit(status ?? 1)
}

const installed = changed('node_modules/.package-lock.json')
if (installed === 0) run('Installing what the project needs', 'ci')
else if (changed('package-lock.json') > installed) run('The lock file has changed, installing again', 'ci')

// The declarations are selected last; after an installation lmdb may be another version.
const parts = ['dist/bundle/main.cjs', 'dist/vendor/lmdb/index.cjs', 'dist/types/index.d.ts']
const built = Math.min(...parts.map(changed))
const scripts = ['bundle-program', 'bundle-lmdb', 'select-types', 'licences'].map(name => `bin/${name}.js`)
const sources = ['tsconfig.json', 'package-lock.json', ...scripts].map(changed)
if (Math.max(newestIn('src'), ...sources) > built) run('Building', 'run', 'build')
