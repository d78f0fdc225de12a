import { FixedCredentials } from '../../../src/credentials/fixed-credentials.ts'
import { StaticCredentials } from '../../../src/credentials/static-credentials.ts'
import { GatewayError } from '../../../src/core/errors.ts'
import { JointCredentials } from '../../../src/credentials/joint-credentials.ts'
import { describeUpstreamCredentials } from '../../contract/upstream-credentials.ts'

describeUpstreamCredentials('headers of the file', {
  server: 'peer',
  secrets: ['s3cr3t'],
  ready: () => ({
    credentials: new FixedCredentials('peer', { authorization: 'Bearer s3cr3t', 'x-team': 'b' }),
  }),
  // They are there always; beside them, a value of the client may lack.
  lacking: () => {
    const values = {
      version: 1,
      current: () => {
        throw new GatewayError('missing_value', 'Server "peer" needs the value "team".', { server: 'peer' })
      },
    }
    const text = { name: 'x-team', text: '${client.team}', parts: undefined }
    const fixed = new FixedCredentials('peer', { authorization: 'Bearer s3cr3t' })
    return { credentials: new JointCredentials(new StaticCredentials('peer', [text], values), fixed) }
  },
})
