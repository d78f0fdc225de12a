import { GatewayError } from './errors.ts'

/** A server that asks a client which a reload has denied it to. */
export function unseenServer(server: string): GatewayError {
  return new GatewayError('cannot_ask', `The client may not use server "${server}" any more.`, { server })
}

/** A task of a tool that asks a client which a reload has denied it to. */
export function unseenTool(server: string, tool: string): GatewayError {
  const what = `the tool "${tool.slice(0, 100)}" of server "${server}"`
  return new GatewayError('cannot_ask', `The client may not use ${what} any more.`, { server })
}
