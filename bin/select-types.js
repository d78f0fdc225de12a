// Makes dist/types: the declarations that the API of the package consists of, and no others. They need no package.
import { copyFileSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const dist = fileURLToPath(new URL('../dist', import.meta.url))
const target = join(dist, 'types')
rmSync(target, { recursive: true, force: true })

const found = new Set([join(dist, 'index.d.ts')])
for (const file of found) {
  const text = readFileSync(file, 'utf8')
  for (const [, name] of text.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)) {
    if (name.startsWith('.')) found.add(resolve(dirname(file), name.replace(/\.[jt]s$/, '.d.ts')))
    else if (!name.startsWith('node:'))
      throw new Error(`${file} needs the package ${name}, which is bundled.`)
  }
  const copy = join(target, relative(dist, file))
  mkdirSync(dirname(copy), { recursive: true })
  copyFileSync(file, copy)
}
