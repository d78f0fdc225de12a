import { scriptedHttp, type ScriptedServer } from './scripted-servers.ts'

/** Servers of revision 2026-07-28 and the rounds of questions in their answers. */

/** Member of the answer that ends a call. */
export const DONE = '"result":{"resultType":"complete","content":[]}'

export async function modernServer(): Promise<ScriptedServer> {
  const server = await scriptedHttp()
  server.results.set('server/discover', '{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}')
  return server
}

/** Parameters of a question. */
export const form = (message: string): string =>
  `{"message":"${message}","requestedSchema":{"type":"object","properties":{}}}`

export const question = (message: string): string =>
  `{"method":"elicitation/create","params":${form(message)}}`

/** Member of an answer that asks these questions, under the keys `q0`, `q1` and so on. */
export const round = (questions: readonly string[]): string => {
  const requests = questions.map((text, at) => `"q${at}":${text}`).join(',')
  return `"result":{"resultType":"input_required","inputRequests":{${requests}},"requestState":"s"}`
}
