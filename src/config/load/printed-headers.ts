import type { Config, ServerConfig } from '../types.ts'
import type { HeaderPart, UrlEndpoint } from '../replica-types.ts'
import { commandLine } from '../../program-output.ts'
import type { Path } from '../problem.ts'

/** A header with `${exec:…}`, as the expansion of variables found it. */
export interface PrintedText {
  readonly path: Path
  /** Texts, and in between the texts of `${exec:…}` without the frame. */
  readonly pieces: readonly string[]
  readonly value: string
}

interface Printed {
  readonly header: string
  readonly value: string
  readonly parts: readonly HeaderPart[]
}

/** Headers of servers with the output of programs, which are run again when a server refuses what they printed. */
export class PrintedHeaders {
  readonly #ofServer = new Map<string, Printed[]>()

  /** @param folder working directory of the programs */
  add(texts: readonly PrintedText[], folder: string): void {
    for (const { path, pieces, value } of texts) {
      const parts = pieces.map((piece, at): HeaderPart | undefined => {
        if (at % 2 === 0) return piece
        const command = commandLine(piece)
        return command && { command, cwd: folder }
      })
      if (!parts.every(part => part !== undefined)) continue
      const server = String(path[1])
      const header = String(path.at(-1)).toLowerCase()
      this.#ofServer.set(server, [...(this.#ofServer.get(server) ?? []), { header, value, parts }])
    }
  }

  /** The servers, with the parts of such headers at their endpoints. */
  in({ servers }: Config): readonly ServerConfig[] {
    if (this.#ofServer.size === 0) return servers
    return servers.map(server => {
      const printed = this.#ofServer.get(server.name)
      if (!printed) return server
      const replicas = server.replicas.map(replica => {
        const { endpoint } = replica
        if (endpoint.url === undefined) return replica
        return { ...replica, endpoint: { ...endpoint, ...partsIn(endpoint, printed) } }
      })
      return { ...server, replicas }
    })
  }
}

/** Replicas inherit headers and may replace them: a header is the one that has the same value. */
function partsIn({ headers }: UrlEndpoint, printed: readonly Printed[]): Pick<UrlEndpoint, 'printed'> {
  const found = printed.filter(({ header, value }) => headers[header] === value)
  if (found.length === 0) return {}
  return { printed: Object.fromEntries(found.map(({ header, parts }) => [header, parts])) }
}
