import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Scratch } from './scratch.ts'

export interface KeyPair {
  /** Absolute paths of PEM files. */
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

export interface Authority extends KeyPair {
  /** Signs a certificate with this common name; `days` of -1 is over; `names` are those it is for, 127.0.0.1 by default. */
  sign(commonName: string, options?: { days?: number; names?: readonly string[] }): KeyPair
}

/** An authority of this test alone, made with `openssl`, which every machine with Node's own build tools has. */
export function makeAuthority(scratch: Scratch, name: string): Authority {
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { cwd: scratch.path, stdio: 'pipe' })
  }
  const pair = (stem: string): KeyPair => {
    const [certFile, keyFile] = [join(scratch.path, `${stem}.pem`), join(scratch.path, `${stem}.key`)]
    return { certFile, keyFile, cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl(
    'req',
    '-x509',
    ...newKey,
    '-subj',
    `/CN=${name}`,
    '-days',
    '2',
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.pem`,
  )
  let signed = 0
  return {
    ...pair(name),
    sign(commonName, { days = 1, names = ['IP:127.0.0.1'] } = {}) {
      const stem = `${name}-${++signed}`
      const extensions = scratch.write(`${stem}.ext`, `subjectAltName=${names.join(',')}\n`)
      openssl(
        'req',
        ...newKey,
        '-subj',
        `/O=Test/CN=${commonName}`,
        '-keyout',
        `${stem}.key`,
        '-out',
        `${stem}.csr`,
      )
      const authority = [
        '-CA',
        `${name}.pem`,
        '-CAkey',
        `${name}.key`,
        '-CAcreateserial',
        '-extfile',
        extensions,
      ]
      openssl(
        'x509',
        '-req',
        '-in',
        `${stem}.csr`,
        ...authority,
        '-days',
        String(days),
        '-out',
        `${stem}.pem`,
      )
      return pair(stem)
    },
  }
}
