import { request } from 'node:http'
import { describeError, GatewayError } from '../core/errors.ts'
import { jsonObjectIn } from '../core/json-object.ts'
import type { AnsweringGateway } from './running-gateways.ts'
import { say } from './say.ts'

/** No line is as long. */
const MAX_LINE_CHARS = 1024 * 1024

export interface LinesAsked {
  /** Path and query. */
  readonly path: string
  /** What the lines are of, as in "log". */
  readonly what: string
}

/**
 * Reads lines that a gateway sends, to their end. One that is killed ends no other: it is said, and becomes the exit
 * code.
 * @param onLine returns whether the output takes more. Until it does, the gateway keeps what comes, within its bound
 * @throws GatewayError with the reason when it refuses
 */
export async function readLines(
  { socket, pid }: AnsweringGateway,
  { path, what }: LinesAsked,
  onLine: (line: string) => boolean,
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const cut = (error: Error): void => {
      say(`The ${what} of the gateway ${pid} has ended early: ${describeError(error)}.`)
      process.exitCode = 1
      resolve()
    }
    const asked = request(
      { socketPath: socket, path, headers: { host: 'localhost' }, agent: false },
      response => {
        let rest = ''
        response.setEncoding('utf8')
        response.on('data', (chunk: string) => {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          if (rest.length > MAX_LINE_CHARS) asked.destroy(new Error('a record is too long'))
          if (response.statusCode !== 200) return
          // All are written, since they are here.
          if (lines.map(onLine).every(isRoom => isRoom)) return
          response.pause()
          process.stdout.once('drain', () => response.resume())
        })
        response.on('error', cut)
        response.on('end', () => (response.statusCode === 200 ? resolve() : reject(refusalIn(what, rest))))
      },
    )
    asked.on('error', cut)
    asked.end()
  })
}

function refusalIn(what: string, text: string): Error {
  const { detail } = jsonObjectIn(text) ?? {}
  const why = typeof detail === 'string' ? detail : 'It is of an earlier version. Restart it.'
  return new GatewayError('config', `The gateway does not show its ${what}: ${why}`)
}
