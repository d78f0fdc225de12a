import { accessSync, chmodSync, constants, readdirSync, statSync, type Stats } from 'node:fs'
import { dirname } from 'node:path'
import { stateFolder } from '../config/paths.ts'
import { describeError } from '../core/errors.ts'
import { shellWord } from '../core/shell-word.ts'
import { damageInside } from '../state/lmdb-file.ts'
import { dataFileIn, isStoreFile } from '../state/lmdb-folder.ts'
import { openLmdbStore } from '../state/lmdb.ts'
import { openStore } from '../state/open.ts'
import { SILENT } from '../core/logger.ts'
import { KEY_FILE } from '../vault/data-key/data-keys.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'
import { redisInfo } from './redis-info.ts'
import type { World } from './world.ts'

const LMDB = 'lmdb:'
const SET = { key: 'gateway.state' }
const LEAST_FREE_BYTES = 64 * 1024 * 1024
const OTHERS = 0o077
/** New files belong to the group of the folder; only the owner of a file removes it. */
const SHARED = 0o3000

/** Whether the state store can be used. Opens it for the later layers. */
export async function checkState(exam: Examination): Promise<Finding[]> {
  const state = exam.config?.gateway.state ?? 'memory'
  if (/^rediss?:/.test(state)) return await checkRedis(state, exam)
  return state.startsWith(LMDB) ? await checkFolder(state.slice(LMDB.length), exam) : []
}

async function checkFolder(path: string, exam: Examination): Promise<Finding[]> {
  const { world } = exam
  const found = statOf(path)
  const blocked = found ? undefined : blockedBy(path)
  if (blocked !== undefined || (found && !found.isDirectory()))
    return [unusable(path, blocked ?? `${path} is no folder.`)]
  const findings = [...diskFindings(path, world), ...(found ? exposure(path, found, world) : [])]
  let damage: string | undefined
  try {
    damage = damageInside(dataFileIn(path))
  } catch (error) {
    return [...findings, unusable(path, `Its file cannot be read: ${describeError(error)}.`)]
  }
  if (damage !== undefined)
    return [
      ...findings,
      finding('state_damaged', {
        cause: `The state in ${path} is damaged: ${damage}.`,
        fix: 'Restore the folder from a backup. Without one, the next start sets the file aside by itself.',
        command: `mv ${shellWord(dataFileIn(path))} ${shellWord(`${dataFileIn(path)}.damaged`)}`,
      }),
    ]
  // Opening it would create the folder, which the first start does.
  if (!found) return findings
  try {
    const store = openLmdbStore(path)
    exam.store = store
    const key = `doctor/${process.pid}`
    await store.set(key, '', { ttlMs: 60_000 })
    await store.delete(key)
    return findings
  } catch (error) {
    return [...findings, notOpened(path, error)]
  }
}

function notOpened(path: string, error: unknown): Finding {
  const text = describeError(error)
  if (/No native build|Cannot find module|ERR_MODULE_NOT_FOUND|\.node\b/i.test(text))
    return finding('lmdb_missing', {
      cause: `The store "lmdb:" has no library for ${process.platform}-${process.arch} here.`,
      fix: 'Install again without --omit=optional, or set "gateway.state" to a Redis or to "memory".',
      command: 'npm install -g mcp-manifold --include=optional',
      set: { ...SET, value: 'memory' },
    })
  return unusable(path, `${text}.`)
}

function unusable(path: string, why: string): Finding {
  return finding('state_unusable', {
    cause: `The state cannot be kept in ${path}: ${why}`,
    fix: 'Make the folder writable for this user, or set "gateway.state" to another one.',
    command: `ls -ld ${shellWord(path)} ${shellWord(dirname(path))}`,
    set: SET,
  })
}

/** Why a folder that is not there cannot be created. */
function blockedBy(path: string): string | undefined {
  for (let at = dirname(path); ; at = dirname(at)) {
    const found = statOf(at)
    if (found && !found.isDirectory()) return `${at} is no folder.`
    if (found) return isWritable(at) ? undefined : `This user may not write to ${at}.`
    if (dirname(at) === at) return undefined
  }
}

function diskFindings(path: string, world: World): Finding[] {
  const free = world.freeBytes(path)
  if (free === undefined || free >= LEAST_FREE_BYTES) return []
  return [
    finding('disk_full', {
      cause: `The disk of ${path} has ${Math.floor(free / 1024 / 1024)} MiB left.`,
      fix: 'Free some space, or set "gateway.state" to a folder on another disk.',
      command: `df -h ${shellWord(path)}`,
      set: SET,
    }),
  ]
}

function exposure(path: string, { mode, uid }: Stats, world: World): Finding[] {
  if (world.platform === 'win32' || uid !== process.getuid?.() || (mode & OTHERS) === 0) return []
  return [
    finding('state_exposed', {
      cause: `Other users may use the folder ${path} (mode ${(mode & 0o777).toString(8)}).`,
      ...(isOfStoreAlone(path, mode, world)
        ? {
            fix: 'Restrict it to its owner.',
            command: `chmod 700 ${shellWord(path)}`,
            mend: () => {
              chmodSync(path, 0o700)
              return `Set the mode of ${path} to 700.`
            },
          }
        : { fix: 'Set "gateway.state" to a folder of its own: this one has other uses as well.', set: SET }),
    }),
  ]
}

/** Whether nothing but the state is in a folder, and its mode is none that users share a folder by. */
function isOfStoreAlone(path: string, mode: number, { home, env, platform }: World): boolean {
  if ((mode & SHARED) !== 0) return false
  if (path === stateFolder(home, env, platform)) return true
  return readdirSync(path).every(name => isStoreFile(name) || name.startsWith(KEY_FILE))
}

async function checkRedis(state: string, exam: Examination): Promise<Finding[]> {
  const info = await redisInfo(state, exam.world.signal)
  const { host } = new URL(state)
  if (info.kind === 'unreachable')
    return [
      finding('redis_unreachable', {
        cause: `The Redis at ${host} cannot be used: ${info.why}.`,
        fix: 'Start it, or correct "gateway.state".',
        command: `redis-cli -h ${shellWord(new URL(state).hostname)} -p ${new URL(state).port || 6379} ping`,
        set: SET,
      }),
    ]
  if (info.kind === 'refused')
    return [
      finding('redis_refused', {
        cause: `The Redis at ${host} refuses this gateway: ${info.why}.`,
        fix: 'Write its user and password into "gateway.state".',
        set: { ...SET, value: `redis://<user>:\${REDIS_PASSWORD}@${host}` },
      }),
    ]
  exam.store = await openStore(state, SILENT)
  const policy = info.fields.get('maxmemory_policy') ?? 'noeviction'
  if (policy === 'noeviction') return []
  return [
    finding('redis_evicts', {
      cause: `The Redis at ${host} removes values when it is full (maxmemory-policy ${policy}).`,
      fix: 'Set its policy to "noeviction".',
      command: `redis-cli -h ${shellWord(new URL(state).hostname)} -p ${new URL(state).port || 6379} config set maxmemory-policy noeviction`,
    }),
  ]
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path)
  } catch {
    return undefined
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}
