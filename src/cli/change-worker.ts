import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import { describeError } from '../core/errors.ts'
import { needsRestart } from '../config/load/diff.ts'
import { loadText, rawOf } from '../config/load/load.ts'
import { knownValid } from './known-valid.ts'
import { brokenOf, type Change, type ChangeAnswer, type ChangeRequest } from './change.ts'

/** The thread of `change.ts`: loads a changed file and answers with what it means for a running gateway. */
async function answer(request: ChangeRequest): Promise<ChangeAnswer> {
  try {
    return { change: await changeOf(request) }
  } catch (error) {
    return { problem: describeError(error) }
  }
}

async function changeOf({
  file,
  overrides,
  started,
  changed,
  broken,
  digest,
}: ChangeRequest): Promise<Change> {
  const loaded = await loadText(textOf(changed), { file, overrides, ...knownValid() })
  const before = await rawOf(textOf(started), file)
  const servers = loaded.config.servers.map(({ name, replicas, problem }) => ({ name, replicas, problem }))
  const now = digestOf(loaded.raw, brokenOf(servers))
  return {
    digest: now,
    same: now === (digest ?? digestOf(before, broken)),
    servers,
    needsRestart: needsRestart(before, loaded.raw),
  }
}

/** Leaves out a byte order mark. */
function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes)
}

/** Values do not show a key that stands twice with one value; the servers with a problem do. */
function digestOf(raw: unknown, broken: readonly string[]): string {
  return createHash('sha256')
    .update(JSON.stringify([raw, [...broken].sort()]))
    .digest('hex')
}

parentPort?.postMessage(await answer(workerData as ChangeRequest), [])
