/** What a limit by pattern is about. `task`: the follow-up of a call, which only has a server. */
export type Kind = 'tool' | 'prompt' | 'resource' | 'task'

export type Matches = (server: string, kind: Kind, own: string) => boolean

/** `server/name` with `*` and `?`, after `tool:`, `prompt:` or `resource:` where one kind is meant. The first `/` ends the server. */
export function matcher(pattern: string): Matches {
  const [, kind, rest = ''] = /^(?:(tool|prompt|resource):)?(.*)$/s.exec(pattern) ?? []
  const slash = rest.indexOf('/')
  const server = wildcards(slash < 0 ? rest : rest.slice(0, slash))
  const own = wildcards(slash < 0 ? '*' : rest.slice(slash + 1))
  return (ofServer, ofKind, ofOwn) =>
    (kind === undefined || kind === ofKind) && server.test(ofServer) && own.test(ofOwn)
}

/** A whole name with `*` for any characters and `?` for one. */
export function wildcards(text: string): RegExp {
  const source = text
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*+/g, '.*')
    .replaceAll('?', '.')
  return new RegExp(`^${source}$`, 'su')
}
