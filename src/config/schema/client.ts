import { z } from 'zod'
import { WEIGHT } from '../defaults.ts'
import { choice, flag, integer, list, option, section, table, text, texts } from './options.ts'
import { quota } from './quota.ts'

/** The part of the format that says who may use what: clients, roles and profiles. */

const patterns = 'expected a list of patterns such as ["search/*", "tool:files/read_*"]'

const rule = section('clients.*.rules.*', {
  effect: choice('What the rule does.', ['allow', 'deny']),
  match: texts('What the rule is about, as in `allow`; everything when left out.', patterns),
  when: text(
    'Condition in CEL over `args`, `tool`, `principal` and `now`, see policy.md; one that fails to evaluate denies.',
  ),
  shadow: flag('The rule, which denies, only logs what it would deny.', false),
})

const rules = {
  allow: texts(
    'What may be used, as `server/name` with `*` and `?`; `tool:`, `prompt:` or `resource:` before it names one kind.',
    patterns,
  ),
  deny: texts('What may not be used; wins over everything that allows.', patterns),
  rules: list('list of rules', 'Rules with conditions, beside `allow` and `deny`.', rule),
}

export const role = section('roles.*', rules)

const limits = section('clients.*.limits.*', quota)

export const client = section('clients.*', {
  keys: option(
    'list of strings',
    'Digests of the API keys that identify the client; `mcp-manifold keys create` makes more.',
    z.array(
      z.string().regex(/^sha256:[0-9a-f]{64}$/i, { error: 'expected "sha256:" and 64 hexadecimal digits' }),
      { error: 'expected a list of digests' },
    ),
  ),
  subjects: texts(
    'Subjects of JWTs that are this client; an issuer and a space before one names whose it is, when there are several.',
  ),
  certificates: texts('Common names of TLS client certificates that are this client.'),
  users: texts('Names in the header of a trusted proxy that are this client.'),
  roles: texts('Names in `roles` whose rules apply as well.'),
  ...rules,
  default: choice('What becomes of things that no rule is about.', ['allow', 'deny'], {
    default: '"deny" if anything is allowed explicitly, else "allow"',
  }),
  shadow: flag('Nothing is denied by policy, only logged.', false),
  rate: { ...quota.rate, meaning: 'Most requests in any such span of time, lists included.' },
  concurrency: quota.concurrency,
  budget: quota.budget,
  limits: table(
    'object',
    'Rates, concurrency and budgets for a part of what the client may use, by pattern; every one that matches counts.',
    limits,
  ),
  weight: integer('Share of a queue, compared with the other clients.', WEIGHT),
})

export const profile = section('profiles.*', {
  servers: texts('Servers of this selection; all when left out.'),
  tools: texts('What of them is offered, as in `clients.<name>.allow`; everything when left out.', patterns),
})
