import { Worker } from 'node:worker_threads'
import { GatewayError } from '../core/errors.ts'
import type { Overrides } from '../config/resolve/environment.ts'
import type { LiveServer } from '../config/types.ts'

export interface ChangeRequest {
  readonly file: string
  readonly overrides: Overrides
  /** The file as it was when the gateway started. */
  readonly started: Uint8Array
  /** The file as it is now. */
  readonly changed: Uint8Array
  /** Servers whose entries had a problem when the gateway started. */
  readonly broken: readonly string[]
  /** `digest` of the change before; `undefined` for the first one. */
  readonly digest: string | undefined
}

/** What a running gateway needs of a changed file. Small, however large the file is. */
export interface Change {
  /** Of the file without what belongs to other programs, and of which servers have a problem. */
  readonly digest: string
  /** The change is not the gateway's. */
  readonly same: boolean
  readonly servers: readonly LiveServer[]
  /** Places that differ from the start and are not taken over. */
  readonly needsRestart: readonly string[]
}

/** What the thread answers: one of the two. */
export interface ChangeAnswer {
  readonly change?: Change
  /** Why there is none, in words. */
  readonly problem?: string
}

/** Names of the servers whose entries have a problem. */
export function brokenOf(servers: readonly Pick<LiveServer, 'name' | 'problem'>[]): string[] {
  return servers.filter(({ problem }) => problem !== undefined).map(({ name }) => name)
}

/** A thousand clients with a hundred rules each take two seconds. */
const TIMEOUT_MS = 120_000

/**
 * Loads a changed file in a thread of its own: a large one takes seconds, and requests do not wait for it.
 * @throws GatewayError `config` with what is wrong in the file
 */
export async function loadChange(request: ChangeRequest): Promise<Change> {
  const worker = new Worker(new URL('./change-worker.js', import.meta.url), { workerData: request })
  let timer: NodeJS.Timeout | undefined
  try {
    return await new Promise<Change>((resolve, reject) => {
      const fail = (why: string, cause?: unknown): void => reject(new GatewayError('config', why, { cause }))
      worker.once('message', ({ change, problem = '' }: ChangeAnswer) =>
        change ? resolve(change) : fail(problem),
      )
      worker.once('error', error => fail('It could not be loaded.', error))
      worker.once('exit', () => fail('The thread that loaded it ended early.'))
      timer = setTimeout(
        () =>
          fail(
            `Loading it took longer than ${TIMEOUT_MS / 1000} s. Look for files that it refers to and that do not answer.`,
          ),
        TIMEOUT_MS,
      )
    })
  } finally {
    clearTimeout(timer)
    await worker.terminate()
  }
}
