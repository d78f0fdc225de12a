import { expect } from 'vitest'
import { Browser, decide } from './authorization-server.ts'

export interface HostedLoginOptions {
  /** One that has cookies already. Default: a new one. */
  readonly browser?: Browser
  /** The name that logs in. Default: `ada`. */
  readonly user?: string
}

/**
 * A person opens the link of a login, confirms it on the page of the gateway, and agrees at the authorization server.
 * @returns the page, and the address that the browser is sent back to. Nothing has asked for it yet.
 */
export async function agreeAtLink(
  link: string,
  { browser = new Browser(), user }: HostedLoginOptions = {},
): Promise<{ readonly page: string; readonly back: string }> {
  const { at, page = '' } = await browser.go(link)
  const asked = await browser.submit(at, { confirm: confirmIn(page) })
  return { page, back: await decide(asked.at, { browser, ...(user !== undefined && { user }) }) }
}

/** As `agreeAtLink`, to the page that says that the login is done. */
export async function logInAtLink(
  link: string,
  options: HostedLoginOptions = {},
): Promise<{ readonly page: string; readonly back: string; readonly done: string }> {
  const { browser = new Browser() } = options
  const agreed = await agreeAtLink(link, { ...options, browser })
  const { page: done = '' } = await browser.go(agreed.back)
  expect(done).toContain('You are logged in')
  return { ...agreed, done }
}

/** What the form of the page sends. */
export function confirmIn(page: string): string {
  return /name="confirm" value="([^"]+)"/.exec(page)?.[1] ?? ''
}
