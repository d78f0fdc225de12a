// The licences of the packages whose code is in a bundle.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** Folder of the package that a file belongs to. */
export function packageOf(file) {
  let folder = dirname(file)
  while (!existsSync(join(folder, 'package.json')) || !manifestOf(folder).version) folder = dirname(folder)
  return folder
}

export function manifestOf(folder) {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
}

/** One text with the licence of each package that the modules come from, in order of the names. */
export function licencesOf(moduleIds) {
  const folders = new Set(moduleIds.filter(id => existsSync(id)).map(packageOf))
  return [...folders]
    .map(noticeOf)
    .sort()
    .join(`\n${'-'.repeat(80)}\n\n`)
}

function noticeOf(folder) {
  const { name, version, license, author } = manifestOf(folder)
  const file = readdirSync(folder).find(entry => /^licen[cs]e/i.test(entry))
  const text = file
    ? readFileSync(join(folder, file), 'utf8').trim()
    : `${license}, ${author?.name ?? author ?? ''}`
  return `${name} ${version} (${license})\n\n${text}\n`
}
