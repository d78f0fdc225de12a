import { homedir } from 'node:os'
import { loadConfigFile } from '../config/load/load.ts'
import { UNSEEN } from '../core/seen-text.ts'
import { examine, type Report } from '../doctor/doctor.ts'
import { systemFacts } from '../doctor/system.ts'
import { VERSION } from '../version.ts'
import { notThere } from './not-there.ts'
import { render } from './doctor-report.ts'
import { typed } from './this-program.ts'

export interface DoctorOptions {
  readonly fix?: boolean
  readonly online?: boolean
  readonly json?: boolean
}

/**
 * `doctor`: looks at everything a gateway needs, from Node.js to the lists of its servers, and says what is wrong and
 * how to mend it. Exit code 0 without an error, else that of the first layer with one; 130 after Ctrl+C.
 * @throws GatewayError `config` for the name of a server that is not there
 */
export async function runDoctor(
  servers: readonly string[],
  { config: file, fix = false, online = false, json = false }: DoctorOptions & { readonly config?: string },
): Promise<void> {
  await assertServers(servers, file)
  const stop = new AbortController()
  const interrupt = (): void => stop.abort()
  process.once('SIGINT', interrupt)
  try {
    const { platform, env, version } = process
    const report = await examine(
      {
        ...systemFacts(platform),
        env,
        platform,
        home: homedir(),
        cwd: process.cwd(),
        nodeVersion: version.slice(1),
        version: VERSION,
        file,
        only: servers,
        online,
        signal: stop.signal,
        now: Date.now,
        typed: rest => typed(rest, file),
      },
      fix,
    )
    process.stdout.write(json ? asJson(report) : render(report))
    process.exitCode = report.exitCode
  } catch (error) {
    if (!stop.signal.aborted) throw error
    process.exitCode = 130
  } finally {
    process.removeListener('SIGINT', interrupt)
  }
}

/** A file that cannot be used is what the examination itself finds. */
async function assertServers(servers: readonly string[], file: string | undefined): Promise<void> {
  if (servers.length === 0) return
  const config = await loadConfigFile({ file, looksForSecrets: false }).catch(() => undefined)
  const names = config?.servers.map(({ name }) => name)
  for (const server of servers)
    if (names && !names.includes(server))
      throw notThere(quoted => `There is no server ${quoted} in ${config?.file}`, server, names)
}

function asJson({ findings, ...report }: Report): string {
  const shown = findings.map(({ mend, ...found }) => ({ ...found, canFix: mend !== undefined }))
  const text = JSON.stringify({ version: VERSION, ...report, findings: shown }, undefined, 2)
  // What programs of servers have said cannot control the terminal.
  return `${text.replace(UNSEEN, letter => (letter === '\n' ? letter : `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`))}\n`
}
