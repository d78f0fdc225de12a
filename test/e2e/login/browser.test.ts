import { expect, onTestFinished, test } from 'vitest'
import { startAuthorizationServer } from '../../helpers/authorization-server.ts'
import { HAS_CHROMIUM, startChromium } from '../../helpers/chromium.ts'
import { startGateway } from '../../helpers/gateway.ts'
import { startProtectedServer } from '../../helpers/protected-server.ts'

/** The pages of a login in a real browser: that of the gateway, the consent of the authorization server, the end. */

test.skipIf(!HAS_CHROMIUM)(
  'a person confirms, consents and comes back; another browser with the same callback is refused',
  async () => {
    const authorization = await startAuthorizationServer()
    const { issuer, resourceServer: introspection } = authorization
    const server = await startProtectedServer({ issuer, introspection, scopesSupported: ['mcp'] })
    const started = await startGateway({ mcpServers: { mail: { url: server.url } } })
    const [person, thief] = await Promise.all([startChromium(), startChromium()])
    onTestFinished(async () => {
      await Promise.all([person[Symbol.asyncDispose](), thief[Symbol.asyncDispose]()])
      await started[Symbol.asyncDispose]()
      await server[Symbol.asyncDispose]()
      await authorization[Symbol.asyncDispose]()
    })
    const { url, done } = await started.gateway.operations.beginLogin('mail', 'gateway')

    await person.open(url)
    await person.until(`document.title === 'Log in to mail?'`)
    expect(await person.run('document.body.innerText')).toContain(
      'Go on only if you have just asked for this login',
    )
    // The policy of the page lets its own style in, and no script.
    expect(await person.run('getComputedStyle(document.querySelector("button")).backgroundColor')).toBe(
      'rgb(11, 87, 208)',
    )
    expect(await person.run('document.cookie')).toBe('')
    await person.run('document.querySelector("button").click()')
    await person.until(
      `location.origin === ${JSON.stringify(issuer)} && document.querySelector('#approve') !== null`,
    )
    await person.run('document.querySelector("[name=user]").value = "ada"')
    await person.run('document.querySelector("#approve").click()')
    await person.until(`document.title === 'You are logged in to mail'`)
    await done

    // The address with its state is of no use to another browser.
    const address = await person.run<string>('location.href')
    await thief.open(address)
    await thief.until(`document.title === 'This login is not valid'`)
    expect(await thief.run('document.body.innerText')).toContain('completed before')
  },
)
