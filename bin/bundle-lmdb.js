// Makes dist/vendor/lmdb of the package `lmdb` and what it needs: one file without an install script.
//
// `lmdb` and `msgpackr-extract` have install scripts that compile them where no prebuilt binary fits. Package managers
// warn of such scripts or refuse to run them. The prebuilt binaries are packages of their own, `@lmdb/*`, without a
// script: package.json lists them as optional dependencies, and the bundle finds the one of the platform.
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { rolldown } from 'rolldown'
import { licencesOf, manifestOf, packageOf } from './licences.js'

const root = fileURLToPath(new URL('../', import.meta.url))
const target = join(root, 'dist/vendor/lmdb')

const input = createRequire(import.meta.url).resolve('lmdb')
const bundle = await rolldown({
  input,
  platform: 'node',
  // The first is for strings of MessagePack, which the stores do not use; the second is for another runtime.
  external: ['msgpackr-extract', 'bun:ffi'],
  resolve: { conditionNames: ['node', 'require', 'default'] },
  // `ordered-binary` makes its reader of strings by `eval`.
  checks: { eval: false },
  logLevel: 'warn',
})
rmSync(target, { recursive: true, force: true })
mkdirSync(target, { recursive: true })
const { output } = await bundle.write({ file: join(target, 'index.cjs'), format: 'cjs', comments: true })
await bundle.close()

writeFileSync(join(target, 'LICENSES.txt'), licencesOf(output[0].moduleIds))
// The name is where the loader of the binary starts from: `lmdb` leads it to `@lmdb/lmdb-<platform>-<cpu>`.
const { name, version } = manifestOf(packageOf(input))
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify({ name, version, private: true, main: 'index.cjs' })}\n`,
)
