import type { TokenSet } from '../../../../src/credentials/oauth/token-set.ts'
import { describeUpstreamCredentials } from '../../../contract/upstream-credentials.ts'
import { loginScene, tokensIn } from '../../../helpers/login-scene.ts'

describeUpstreamCredentials('an account', {
  server: 'odd',
  secrets: ['access-', 'refresh-'],
  ready: async () => {
    const at = await loginScene()
    await at.login()
    await at.headers()
    return {
      credentials: at.account,
      change: async () => {
        const value = { ...(tokensIn(at.vault) as TokenSet), accessToken: 'access-other' }
        await at.vault.write(
          { kind: 'tokens', server: 'odd', owner: 'gateway' },
          { issuer: at.odd.issuer, value },
        )
      },
      close: async () => await at[Symbol.asyncDispose](),
    }
  },
  lacking: async () => {
    const at = await loginScene()
    await at.refused('Bearer')
    return { credentials: at.account, close: async () => await at[Symbol.asyncDispose]() }
  },
})
