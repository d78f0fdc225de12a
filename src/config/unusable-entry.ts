/** What becomes of a server whose entry has a problem, in words. `problem` is `ServerConfig.problem`. */

/** At a start, and at a reload of a server that does not run. */
export function leftOut(server: string, problem: string): string {
  return `Server "${server}" is left out until its configuration is mended: ${problem}`
}

/** At a reload of a server that runs. */
export function runsOn(server: string, problem: string): string {
  return `Server "${server}" runs on as it was, and the next start leaves it out, until its configuration is mended: ${problem}`
}
