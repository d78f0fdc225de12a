// @ts-check
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * A certificate of an authority that the gateway is told to trust, and an untrusted one, both for 127.0.0.1. Made with `openssl`.
 *
 * @param {string} directory
 * @returns {import('./replica-http.js').Certificates & { authority: string }} `authority` is a file
 */
export function makeCertificates(directory) {
  /** @param {string[]} args */
  const openssl = (...args) => void execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const fresh = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
  const address = ['-addext', 'subjectAltName=IP:127.0.0.1']
  const pair = (/** @type {string} */ stem) => ({
    key: readFileSync(join(directory, `${stem}.key`), 'utf8'),
    cert: readFileSync(join(directory, `${stem}.pem`), 'utf8'),
  })
  openssl(
    'req',
    '-x509',
    ...fresh,
    '-subj',
    '/CN=authority',
    '-keyout',
    'authority.key',
    '-out',
    'authority.pem',
  )
  openssl(
    'req',
    '-x509',
    ...fresh,
    '-subj',
    '/CN=nobody',
    ...address,
    '-keyout',
    'bad.key',
    '-out',
    'bad.pem',
  )
  openssl('req', ...fresh.slice(0, -2), '-subj', '/CN=good', '-keyout', 'good.key', '-out', 'good.csr')
  writeFileSync(join(directory, 'good.ext'), 'subjectAltName=IP:127.0.0.1\n')
  const authority = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial']
  openssl(
    'x509',
    '-req',
    '-in',
    'good.csr',
    ...authority,
    '-extfile',
    'good.ext',
    '-days',
    '1',
    '-out',
    'good.pem',
  )
  return { good: pair('good'), bad: pair('bad'), authority: join(directory, 'authority.pem') }
}
