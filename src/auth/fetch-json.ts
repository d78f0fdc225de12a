import { get as getHttp } from 'node:http'
import { get as getHttps } from 'node:https'

const TIMEOUT_MS = 5000
/** A key set of a large provider has about 10 KiB. */
const MAX_BYTES = 256 * 1024

/**
 * Fetches a small JSON document of an issuer. No redirects, no connection reuse, five seconds, 256 KiB.
 * @throws Error that names the address and the cause
 */
export function fetchJson(address: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const fail = (what: string, cause?: unknown): void => {
      clearTimeout(timer)
      request.destroy()
      reject(new Error(`${address} ${what}`, { cause }))
    }
    const get = address.startsWith('https:') ? getHttps : getHttp
    const request = get(address, { agent: false, headers: { accept: 'application/json' } }, response => {
      if (response.statusCode !== 200) return fail(`answered with status ${response.statusCode}`)
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > MAX_BYTES) fail(`sent more than ${MAX_BYTES} bytes`)
        else chunks.push(chunk)
      })
      response.on('error', error => fail('broke off', error))
      response.on('end', () => {
        clearTimeout(timer)
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')))
        } catch {
          fail('did not send JSON')
        }
      })
    })
    request.on('error', error => fail('cannot be reached', error))
    const timer = setTimeout(() => fail(`did not answer within ${TIMEOUT_MS / 1000} s`), TIMEOUT_MS)
    timer.unref()
  })
}
