import { CLIENT_VALUE_NAME } from '../../core/client-placeholders.ts'
import { choice, flag, integer, list, listOf, table, tableOf, text, texts } from './kinds.ts'
import { section, type Check } from './option.ts'
import { QUOTA } from './quota.ts'

/** Clients, roles and profiles: the permissions of each caller. `config/resolve/policies.ts` turns them into rules. */

const patterns = 'expected a list of patterns such as ["search/*", "tool:files/read_*"]'

const RULE = section('clients.*.rules.*', {
  effect: choice('What the rule does.', ['allow', 'deny'], { as: false }),
  match: texts('What the rule is about, as in `allow`; everything when left out.', { expected: patterns }),
  when: text(
    'Condition in CEL over `args`, `tool`, `principal` and `now`, see policy.md; one that fails to evaluate denies.',
  ),
  shadow: flag('The rule denies nothing; what it would deny is logged.', { default: false }),
})

const RULES = {
  allow: texts(
    'What may be used, as `server/name` with `*` and `?`; `tool:`, `prompt:` or `resource:` before it names one kind.',
    { as: false, expected: patterns },
  ),
  deny: texts('What may not be used; wins over everything that allows.', { as: false, expected: patterns }),
  rules: list('list of rules', 'Rules with conditions, beside `allow` and `deny`.', RULE),
}

export const ROLE = section('roles.*', RULES)

const LIMIT = section('clients.*.limits.*', QUOTA)

export const CLIENT = section('clients.*', {
  keys: listOf(
    {
      kind: 'text',
      pattern: /^sha256:[0-9a-f]{64}$/i,
      expected: 'expected "sha256:" and 64 hexadecimal digits',
    } as Check<string>,
    'Digests of the API keys that identify the client; `mcp-manifold keys create` makes more.',
    { as: false, expected: 'expected a list of digests' },
  ),
  subjects: texts(
    'Subjects of JWTs that are this client; an issuer and a space before one names whose it is, when there are several.',
  ),
  certificates: texts('Common names of TLS client certificates that are this client.'),
  users: texts('Names in the header of a trusted proxy that are this client.'),
  roles: texts('Names in `roles` whose rules apply as well.'),
  ...RULES,
  default: choice('Decision on requests that no rule is about.', ['allow', 'deny'], {
    as: false,
    shown: '"deny" if anything is allowed explicitly, else "allow"',
  }),
  shadow: flag('Rules deny nothing; what they would deny is logged.', { default: false }),
  rate: { ...QUOTA.rate, meaning: 'Most requests in any such span of time, lists included.' },
  concurrency: QUOTA.concurrency,
  budget: QUOTA.budget,
  limits: table(
    'Rates, concurrency and budgets for a part of what the client may use, by pattern; every one that matches counts.',
    LIMIT,
  ),
  values: tableOf(
    'object of strings',
    'What `${client.NAME}` in `headers`, `env`, `args` and `url` of servers stands for in links of this client, see credentials.md.',
    {
      kind: 'text',
      pattern: /^[^\0\r\n]*$/,
      expected: 'expected a text without line breaks',
    } as Check<string>,
    { pattern: CLIENT_VALUE_NAME, expected: 'expected a name of letters, digits, "-" and "_"' },
  ),
  weight: integer('Share of a queue, compared with the other clients.', { default: 1, min: 1, max: 100 }),
})

export const PROFILE = section('profiles.*', {
  servers: texts('Servers of this selection; all when left out.', { as: false }),
  tools: texts('Names that are offered, as in `clients.<name>.allow`; everything when left out.', {
    as: 'match',
    expected: patterns,
  }),
})
