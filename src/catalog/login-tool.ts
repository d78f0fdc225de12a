import { CatalogEntry } from './catalog-entry.ts'

/** Name of the tool that stands for a server which has to be logged in to before it lists anything. */
export const LOGIN_TOOL = 'log_in'

/** The tool by which a client logs in at a server. It goes when the lists of the server are known. */
export function loginEntry(server: string, exposed: string): CatalogEntry {
  const text = JSON.stringify({
    name: exposed,
    title: `Log in to ${server}`,
    description: `Logs in to the server "${server}", which shows its tools only after a login. Returns an address for the user to open in a browser, or asks the user to open it. Afterwards list the tools again.`,
    inputSchema: { type: 'object', properties: {} },
    annotations: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  })
  const route = { server, own: LOGIN_TOOL, exposed, isLogin: true }
  return new CatalogEntry('tools', route, { key: exposed, text }, false)
}
