// @ts-check
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = mkdtempSync(join(tmpdir(), 'manifold-conformance-'))

process.on('exit', () => rmSync(root, { recursive: true, force: true }))

/**
 * @param {string} name the beginning of its name
 * @returns {string} a new folder that is gone when this process ends
 */
export const scratchFolder = name => mkdtempSync(join(root, `${name}-`))
