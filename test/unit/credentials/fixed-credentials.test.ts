import { FixedCredentials } from '../../../src/credentials/fixed-credentials.ts'
import { describeUpstreamCredentials } from '../../contract/upstream-credentials.ts'

describeUpstreamCredentials('headers of the file', {
  server: 'peer',
  secrets: ['s3cr3t'],
  ready: () => ({
    credentials: new FixedCredentials('peer', { authorization: 'Bearer s3cr3t', 'x-team': 'b' }),
  }),
})
