// Makes dist/bundle of the compiled sources: the program, the library and the thread that reads configurations, with
// the code that they share and the packages that they need. A start reads a few dozen files in place of more than five
// hundred, and an installation brings one package in place of more than a hundred.
import { rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { licencesOf } from './licences.js'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const target = `${dist}/bundle`

/** The parts of Node.js, those of this package that have a path of their own, and binaries. */
const OUTSIDE = /^(?:node:|#|@napi-rs\/|@lmdb\/)/

const bundle = await rolldown({
  input: {
    main: `${dist}/cli/main.js`,
    index: `${dist}/index.js`,
    'reading-worker': `${dist}/config/source/reading-worker.js`,
  },
  platform: 'node',
  external: OUTSIDE,
  // Where a package has modules, they are taken: what is wrapped for several kinds of modules hides what it requires.
  resolve: { mainFields: ['module', 'main'] },
  logLevel: 'warn',
})
rmSync(target, { recursive: true, force: true })
// Messages and stack traces keep the names of the sources.
const { output } = await bundle.write({
  dir: target,
  // These start faster than modules do.
  format: 'cjs',
  minify: false,
  entryFileNames: '[name].cjs',
  chunkFileNames: '[name]-[hash].cjs',
  // Each package is a file of its own name, so that a start shows which of them it reads.
  codeSplitting: { groups: [{ name: packageNameOf, debugName: 'packages', test: /node_modules/ }] },
})
await bundle.close()

const files = new Set(output.map(({ fileName }) => `./${fileName}`))
for (const { fileName, code = '' } of output) {
  const required = [...code.matchAll(/\brequire\d*\(['"](\.[^'"]*)['"]\)/g)].map(([, name]) => name)
  const missing = required.find(name => !files.has(name))
  if (missing) throw new Error(`${fileName} requires ${missing}, which is not in the bundle.`)
}
const modules = output.flatMap(({ moduleIds = [] }) => moduleIds)
writeFileSync(`${target}/LICENSES.txt`, licencesOf(modules.filter(id => id.includes('node_modules'))))

/** The name of a package as that of a file. */
function packageNameOf(id) {
  return id
    .replace(/^.*node_modules[\\/]/, '')
    .match(/^(?:@[^\\/]+[\\/])?[^\\/]+/)?.[0]
    .replace(/[@\\/]+/g, '+')
}
