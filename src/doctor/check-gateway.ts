import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { X509Certificate } from 'node:crypto'
import { askGateway } from '../admin/client.ts'
import { findGateways, socketFolder, staleSockets } from '../admin/socket-files.ts'
import { checkExposure } from '../auth/exposure.ts'
import { stateFolder } from '../config/paths.ts'
import { describeError } from '../core/errors.ts'
import { isJsonObject } from '../core/json-object.ts'
import { SILENT } from '../core/logger.ts'
import { shellWord } from '../core/shell-word.ts'
import { readCertificates } from '../front/http/listener.ts'
import type { Config } from '../config/types.ts'
import type { Examination } from './examination.ts'
import { finding, type Finding } from './finding.ts'
import { listenedAddresses, listenError, type ListenedAddress } from './listen-addresses.ts'
import type { World } from './world.ts'

const OTHERS = 0o077
const STATUS_MS = 3000

/** Whether the gateway itself can listen, and what of earlier ones is left. */
export async function checkGateway(exam: Examination): Promise<Finding[]> {
  const { config, world } = exam
  if (!config) return []
  const folder = socketFolder(stateFolder(world.home, world.env, world.platform))
  const inFolder = world.platform === 'win32' ? [] : await folderFindings(folder, world)
  const pids = config.file === undefined ? [] : await findGateways(folder, config.file, { keepsStale: true })
  const versions = await Promise.all(pids.map(({ socket, pid }) => versionFinding(socket, pid, world)))
  const isConfigured = isJsonObject(gatewayOf(exam.written)?.['http'])
  return [
    ...inFolder,
    ...versions.flat(),
    ...(isConfigured ? [...exposure(config), ...(await certificateFindings(config, world))] : []),
    // A gateway of this configuration that runs has the port.
    ...(pids.length === 0
      ? await Promise.all(
          listenedAddresses(config)
            .filter(({ key, port }) => port !== 0 && (key !== 'gateway.http' || isConfigured))
            .map(address => portFindings(address, world)),
        )
      : []
    ).flat(),
  ]
}

function gatewayOf(written: unknown): Readonly<Record<string, unknown>> | undefined {
  const gateway = isJsonObject(written) ? written['gateway'] : undefined
  return isJsonObject(gateway) ? gateway : undefined
}

async function folderFindings(folder: string, { platform }: World): Promise<Finding[]> {
  let found
  try {
    found = lstatSync(folder)
  } catch {
    return []
  }
  const isOwn = found.isDirectory() && found.uid === process.getuid?.()
  if (!isOwn || (platform !== 'win32' && (found.mode & OTHERS) !== 0))
    return [
      finding('socket_folder_exposed', {
        cause: `The folder ${folder} with the sockets of gateways is not one of this user alone (mode ${(found.mode & 0o777).toString(8)}).`,
        fix: 'Restrict it to its owner.',
        command: `chmod 700 ${shellWord(folder)}`,
        ...(isOwn && {
          mend: () => {
            chmodSync(folder, 0o700)
            return `Set the mode of ${folder} to 700.`
          },
        }),
      }),
    ]
  return (await staleSockets(folder)).map(socket =>
    finding('socket_stale', {
      cause: `The socket ${socket} belongs to a gateway that does not run any more.`,
      fix: 'Remove it.',
      command: `rm ${shellWord(socket)}`,
      mend: () => {
        unlinkSync(socket)
        return `Removed ${socket}.`
      },
    }),
  )
}

async function versionFinding(socket: string, pid: number, { version }: World): Promise<Finding[]> {
  const request = { method: 'GET', path: '/admin/status', timeoutMs: STATUS_MS }
  const answer = await askGateway(socket, request).catch(() => undefined)
  const running = isJsonObject(answer?.body) ? answer.body['version'] : undefined
  if (typeof running !== 'string' || running === version) return []
  return [
    finding('other_version', {
      cause: `The gateway ${pid} runs with version ${running}; this program is ${version}.`,
      fix: 'Restart it.',
      command: `kill ${pid}`,
    }),
  ]
}

function exposure(config: Config): Finding[] {
  try {
    checkExposure(config, SILENT)
    return []
  } catch (error) {
    return [
      finding('exposed', {
        cause: describeError(error),
        fix: 'Add "clients", or write "127.0.0.1" in gateway.http.host.',
        set: { key: 'gateway.http.host', value: '127.0.0.1' },
      }),
    ]
  }
}

async function certificateFindings({ gateway }: Config, { now }: World): Promise<Finding[]> {
  const { tls } = gateway.http
  if (!tls) return []
  const set = { key: 'gateway.http.tls' }
  try {
    const { cert } = await readCertificates(tls)
    const { validTo } = new X509Certificate(String(cert))
    if (Date.parse(validTo) > now()) return []
    return [
      finding('certificate_expired', {
        cause: `The certificate ${tls.cert} of the gateway has ended at ${validTo}.`,
        fix: 'Renew it.',
        command: `openssl x509 -in ${shellWord(tls.cert)} -noout -enddate`,
        set,
      }),
    ]
  } catch (error) {
    return [
      finding('certificate_unusable', {
        cause: describeError(error),
        fix: 'Correct the paths in gateway.http.tls.',
        set,
      }),
    ]
  }
}

async function portFindings(address: ListenedAddress, world: World): Promise<Finding[]> {
  const { key, host, port } = address
  const code = await listenError(address)
  if (code === undefined) return []
  const isWhole = key !== 'gateway.http'
  const [hostKey, portKey] = isWhole ? [key, key] : [`${key}.host`, `${key}.port`]
  const at = (other: number): number | string => (isWhole ? `${host}:${other}` : other)
  if (code === 'EADDRINUSE') {
    const holder = await world.listenerOn(port)
    return [
      finding('port_in_use', {
        cause: `The port ${port} on ${host} is in use${holder === undefined ? '' : ` by ${holder}`}.`,
        fix: `Stop the other program, or write another port in ${portKey}.`,
        set: { key: portKey, value: at(port === 65_535 ? 3333 : port + 1) },
      }),
    ]
  }
  const isPort = code === 'EACCES'
  return [
    finding('address_unusable', {
      cause: `The gateway cannot listen on ${host}:${port} (${code}).`,
      fix: isPort
        ? `Write a port above 1023 in ${portKey}.`
        : `Write an address of this machine in ${hostKey}.`,
      set: isPort
        ? { key: portKey, value: at(3333) }
        : { key: hostKey, value: isWhole ? `127.0.0.1:${port}` : '127.0.0.1' },
    }),
  ]
}
