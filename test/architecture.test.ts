import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'

/** What docs/architecture.md says of the parts and what each may import, held against the code. */

const SRC = fileURLToPath(new URL('../src', import.meta.url))

/**
 * Folder of `src/` → what its files may import from other folders, as paths without `.ts`; a folder stands for everything in it. `type:`
 * allows types only, which bind nothing at run time. Each folder stands below those that it imports.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  core: [],
  'config/options': ['core/client-placeholders'],
  config: ['type:config/options', 'core'],
  protocol: ['core'],
  front: ['type:config/types', 'core', 'protocol'],
  'make-folder': [],
  'regular-file': [],
  state: ['core', 'make-folder'],
  'os-keyring': [],
  'program-output': [],
  'kept-outputs': ['type:config/replica-types', 'core', 'program-output'],
  'vault/data-key': ['core', 'make-folder', 'state/key-ring', 'type:state/store'],
  vault: ['core', 'os-keyring', 'state/key-ring', 'type:state/store', 'vault/data-key/data-keys'],
  auth: ['type:config/types', 'core', 'type:front/authenticator', 'protocol/well-known', 'type:state/store'],
  bridge: ['core', 'protocol', 'type:state/seal'],
  policy: ['type:config/types', 'core'],
  catalog: [
    'type:config/types',
    'config/unusable-entry',
    'core',
    'policy/pattern',
    'type:policy/decide',
    'type:policy/policy',
    'protocol',
    'type:state/store',
  ],
  cache: ['type:catalog/snapshot', 'type:config/types', 'core', 'policy/pattern', 'protocol'],
  'cache/shared': ['cache', 'core', 'type:state/store'],
  'config/schema': ['config/options'],
  'config/validate': [
    'config/options',
    'config/problem',
    'type:config/types',
    'config/schema/file',
    'core',
    'policy/condition',
    'policy/pattern',
    'program-output',
  ],
  'config/resolve': [
    'config',
    'config/validate/pattern-warnings',
    'config/validate/self-reference',
    'core',
    'program-output',
  ],
  'config/load': [
    'config/options',
    'config/paths',
    'config/problem',
    'type:config/replica-types',
    'type:config/types',
    'config/resolve/config',
    'type:config/resolve/environment',
    'config/validate',
    'core',
    'kept-outputs',
    'os-keyring',
    'policy/pattern',
    'program-output',
    'regular-file',
  ],
  'config/source': [
    'config/problem',
    'config/unusable-entry',
    'type:config/replica-types',
    'config/types',
    'config/paths',
    'config/load/files-read',
    'config/load/load',
    'config/link-settings',
    'config/options',
    'type:config/resolve/environment',
    'core',
    'kept-outputs',
    'make-folder',
  ],
  credentials: ['type:config/replica-types', 'type:config/types', 'core', 'kept-outputs'],
  descriptors: [],
  'front/http': ['type:config/types', 'core', 'front', 'protocol', 'regular-file'],
  quota: ['type:config/types', 'core', 'policy/pattern', 'state/store'],
  'upstream/balance': ['core'],
  'upstream/transport/shared': ['type:config/replica-types', 'core', 'protocol'],
  'upstream/transport/http': [
    'type:config/replica-types',
    'core',
    'descriptors',
    'protocol',
    'upstream/transport/shared',
  ],
  'upstream/transport/sse': ['core', 'protocol', 'upstream/transport/http', 'upstream/transport/shared'],
  'upstream/transport/stdio': [
    'type:config/replica-types',
    'core',
    'protocol',
    'upstream/balance/restart-backoff',
    'upstream/transport/shared',
  ],
  'upstream/transport': [
    'type:config/replica-types',
    'core',
    'upstream/transport/http',
    'type:upstream/transport/shared/traits',
    'type:upstream/transport/shared/transport',
    'upstream/transport/sse',
    'upstream/transport/stdio',
  ],
  'upstream/replica': [
    'type:config/replica-types',
    'type:config/types',
    'core',
    'policy/pattern',
    'protocol',
    'upstream/balance',
    'upstream/transport/stdio/printed',
    'type:upstream/transport/shared/traits',
    'upstream/transport/transports',
  ],
  'upstream/link': [
    'type:config/replica-types',
    'type:config/types',
    'core',
    'protocol',
    'type:upstream/replica/replica',
    'upstream/transport/http/http-error',
    'upstream/transport/shared',
    'type:upstream/transport/stdio/printed',
    'upstream/transport/stdio/stray',
    'upstream/transport/transports',
  ],
  observe: ['core', 'make-folder', 'protocol'],
  'observe/metrics': ['core', 'observe/method-label', 'observe/trace-parent'],
  'observe/activity': ['core', 'observe/follower', 'observe/redact', 'observe/trace-parent'],
  'observe/usage': ['core', 'observe/method-label', 'type:state/store'],
  'upstream/discovery': ['type:config/replica-types', 'core'],
  'credentials/fetch': ['type:config/replica-types', 'core', 'upstream/discovery/dns-resolver'],
  'credentials/oauth': [
    'type:config/types',
    'core',
    'type:credentials/fetch/guarded-fetch',
    'credentials/owner',
    'type:vault/vault',
  ],
  'credentials/oauth/grants': [
    'type:config/types',
    'core',
    'credentials/login-settings',
    'credentials/oauth',
    'regular-file',
  ],
  'credentials/accounts': [
    'type:config/types',
    'core',
    'credentials/fetch/guarded-fetch',
    'credentials/login-settings',
    'credentials/oauth',
    'credentials/oauth/grants',
    'credentials/owner',
    'observe/redact',
    'type:vault/vault',
  ],
  'upstream/pool': [
    'config/link-settings',
    'type:config/replica-types',
    'type:config/types',
    'core',
    'protocol',
    'upstream/balance/outliers',
    'upstream/balance/restart-backoff',
    'upstream/discovery/dns-discovery',
    'upstream/link',
    'upstream/replica',
    'upstream/transport/stdio/memory-watch',
  ],
  'credentials/login': [
    'type:config/types',
    'core',
    'credentials/fetch/guarded-fetch',
    'credentials/login-settings',
    'credentials/oauth',
    'type:vault/vault',
  ],
  middleware: [
    'bridge/client-request',
    'type:cache',
    'type:config/replica-types',
    'type:config/types',
    'core',
    'type:credentials/login/pending-login',
    'policy/pattern',
    'protocol',
    'type:quota/admission-gate',
    'type:quota/quotas',
    'type:upstream/pool/lease',
    'type:upstream/replica/replica',
  ],
  'middleware/request': [
    'core',
    'type:middleware/rate-limit',
    'middleware/store-wait',
    'protocol/revisions',
    'type:quota/admission-gate',
  ],
  'middleware/coalesce': ['core', 'middleware/cacheable-exchange', 'protocol'],
  tasks: [
    'bridge',
    'core',
    'protocol',
    'type:state/seal',
    'upstream/link/rpc-error',
    'type:upstream/link/link',
    'type:upstream/link/link-contract',
    'type:upstream/pool/link-slot',
  ],
  'middleware/dispatch': [
    'type:catalog/resource-owners',
    'core',
    'middleware/attempt',
    'protocol',
    'tasks/await-legacy-task',
    'type:tasks/legacy-tasks',
    'type:upstream/balance/retry-budget',
    'type:upstream/link/link',
    'type:upstream/link/link-contract',
    'type:upstream/pool/lease',
    'type:upstream/pool/pool',
    'type:upstream/replica/replica',
    'type:upstream/replica/replica-set',
  ],
  'middleware/queue': ['type:config/types', 'core'],
  relay: [
    'bridge/client-request',
    'core',
    'protocol',
    'tasks/legacy-task',
    'upstream/link/listen-stream',
    'upstream/link/rpc-error',
    'type:upstream/link/link',
    'type:upstream/pool/pool',
    'type:upstream/pool/link-slot',
    'type:upstream/replica/isolation',
  ],
  gateway: [
    'auth/exposure',
    'auth/gatekeeper',
    'auth/issuer-key-sets',
    'bridge',
    'cache/cache',
    'type:cache/stats',
    'type:cache/tier',
    'cache/shared/shared',
    'catalog',
    'config/source/reload-plan',
    'type:config/source/reloadable',
    'type:config/types',
    'core',
    'credentials',
    'credentials/accounts/credentials',
    'credentials/login',
    'descriptors',
    'front',
    'front/http/endpoint',
    'middleware',
    'middleware/coalesce/coalesce',
    'type:middleware/coalesce/waiter',
    'middleware/dispatch/dispatch',
    'middleware/queue/queue',
    'observe',
    'policy/policies',
    'protocol',
    'quota/cost',
    'quota/limit-leases',
    'quota/quotas',
    'quota/usage',
    'relay',
    'state/drain-watch',
    'state/drained',
    'state/seal',
    'type:state/store',
    'tasks',
    'type:upstream/link/link',
    'upstream/pool',
    'type:upstream/replica/replica',
    'upstream/transport/stdio/stderr-tail',
    'vault/open',
    'type:vault/vault',
  ],
  'config/edit': [
    'config/load',
    'config/problem',
    'config/source/differences',
    'core',
    'make-folder',
    'regular-file',
  ],
  'client-files/formats': [
    'config/edit',
    'config/load/byte-order-mark',
    'config/load/nesting',
    'config/load/source-text',
    'config/source/differences',
    'core',
  ],
  'client-files/applications': ['type:client-files/formats/format', 'config/load/client-entries', 'core'],
  'client-files': [
    'client-files/applications',
    'client-files/formats',
    'config/validate/self-reference',
    'core',
  ],
  'first-run': [
    'client-files',
    'config/edit',
    'config/load',
    'config/options/gateway',
    'config/paths',
    'config/problem',
    'config/source/differences',
    'config/validate/self-reference',
    'core',
    'make-folder',
    'regular-file',
  ],
  registry: ['core', 'observe/redact'],
  bundles: [
    'core',
    'make-folder',
    'observe/redact',
    'registry/plan',
    'registry/variable-names',
    'regular-file',
  ],
  admin: [
    'config/edit',
    'config/load/adopt',
    'config/load/byte-order-mark',
    'config/load/nesting',
    'config/load/other-formats',
    'config/load/source-text',
    'config/options',
    'config/problem',
    'config/source/differences',
    'core',
    'type:credentials/login/kept-logins',
    'make-folder',
    'observe/activity/call-record',
    'type:observe/activity/recent-calls',
    'type:observe/metrics/exposition',
    'observe/redact',
    'observe/usage/usage-report',
    'regular-file',
  ],
  doctor: [
    'admin/client',
    'admin/socket-files',
    'auth/exposure',
    'catalog/hidden',
    'catalog/list-server',
    'catalog/names',
    'type:catalog/snapshot',
    'client-files',
    'client-files/applications',
    'type:client-files/formats',
    'config/edit',
    'config/load',
    'config/paths',
    'config/problem',
    'type:config/replica-types',
    'type:config/types',
    'core',
    'credentials',
    'credentials/accounts/credentials',
    'credentials/fetch/address-class',
    'front/http/listener',
    'observe/redact',
    'os-keyring',
    'protocol',
    'quota/stored',
    'regular-file',
    'state/lmdb',
    'state/lmdb-file',
    'state/lmdb-folder',
    'state/memory',
    'state/open',
    'type:state/store',
    'upstream/discovery',
    'type:upstream/link/link',
    'upstream/link/connect',
    'upstream/replica/replica',
    'upstream/transport/http',
    'upstream/transport/stdio/child-env',
    'vault/data-key/data-keys',
    'vault/data-key/key-file',
    'vault/open',
  ],
  cli: [
    'admin',
    'auth/exposure',
    'auth/key-records',
    'cache/shared/clear',
    'cache/shared/reports',
    'catalog',
    'client-files',
    'config',
    'config/load',
    'type:config/resolve/environment',
    'config/source',
    'config/validate/nearest',
    'config/validate/scope',
    'core',
    'credentials/accounts/credentials',
    'credentials/login',
    'type:credentials/oauth/token-set',
    'credentials/owner',
    'first-run',
    'doctor',
    'front/http/listener',
    'gateway/gateway',
    'gateway/status',
    'observe/activity',
    'observe/console-records',
    'observe/logger',
    'type:observe/metrics/exposition',
    'observe/recent-records',
    'observe/usage',
    'policy/explain',
    'policy/policies',
    'protocol/json-text',
    'type:policy/decide',
    'quota/stored',
    'registry',
    'bundles',
    'os-keyring',
    'state/drained',
    'state/open',
    'state/open-to-read',
    'type:state/store',
    'regular-file',
    'os-keyring',
    'vault',
  ],
  embedding: [
    'config/unusable-entry',
    'config/load/load',
    'type:config/options/file',
    'config/problem',
    'type:config/types',
    'core',
    'type:front/http/mount',
    'gateway/gateway',
    'type:gateway/http-fronts',
    'type:gateway/reload-report',
    'gateway/status',
    'observe/record',
    'state/open',
    'type:state/store',
    'regular-file',
  ],
  index: [
    'type:config/options/file',
    'type:config/types',
    'core',
    'embedding',
    'type:front/http/mount',
    'type:gateway/http-fronts',
    'type:gateway/status',
    'type:gateway/reload-report',
    'observe/event-queue',
    'type:state/store',
  ],
  version: [],
}

/** A constant that every part may know. */
const COMMON = 'version'

/** Package → the only places that may import it. Packages that are not named here are not imported at all. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  zod: ['config'],
  'jsonc-parser': ['config', 'client-files/formats/jsonc'],
  'toml-eslint-parser': ['client-files/formats/toml'],
  yaml: ['client-files/formats/yaml'],
  winston: ['observe'],
  undici: ['credentials/fetch', 'upstream'],
  'cross-spawn': ['upstream/transport/stdio/stdio'],
  lmdb: ['state/lmdb-database', 'state/lmdb-zones'],
  '@redis/client': ['state/redis'],
  'lru-cache': ['catalog/resource-owners', 'catalog/views', 'core/growing-lru', 'state/memory'],
  '@marcbachmann/cel-js': ['policy/condition'],
  jose: ['auth', 'credentials/oauth/client-authentication'],
  commander: ['cli'],
  express: ['admin/app'],
  fflate: ['bundles'],
  'prom-client': ['observe/metrics/exposition'],
}

/** Loaded when first needed, so that a client's child is there at once: these are never imported statically as values. */
const LAZY = [
  'winston',
  'undici',
  'cross-spawn',
  'lmdb',
  '@redis/client',
  '@marcbachmann/cel-js',
  'jose',
  'fflate',
  'prom-client',
  '@modelcontextprotocol/client',
]

/** A file holds one idea; this is where it has become more than one. */
const MAX_LINES = 350
/** Longer files, each with the reason why it is still one idea, and the length it must not grow beyond. */
const LONGER: Readonly<Record<string, { readonly lines: number; readonly reason: string }>> = {
  'upstream/link/link': {
    lines: 712,
    reason: 'one conversation: ids, deadlines, cancellation and arrival share the table of what is pending',
  },
  'upstream/balance/health': {
    lines: 395,
    reason: 'one state machine: what was seen of a replica, and what follows from it',
  },
  'quota/lease': {
    lines: 430,
    reason: 'one lease: what is taken, handed out, charged and given back is one sum',
  },
  'catalog/views': {
    lines: 410,
    reason: 'one table of views: made, found by name, replaced, and taken over from another configuration',
  },
  'catalog/server-lists': {
    lines: 365,
    reason: 'one table of lists: fetched, shown, tried again and kept, by server and kind of client',
  },
  'credentials/accounts/account': {
    lines: 360,
    reason: 'one account: the tokens of an owner, what a refusal of them leads to, and what renews them',
  },
  'gateway/gateway': {
    lines: 365,
    reason: 'one gateway: what its fronts ask of it, its reloads, its start and its end',
  },
  'gateway/runtime': {
    lines: 375,
    reason: 'one list of what runs, made, given other settings and ended together',
  },
  'catalog/view': {
    lines: 400,
    reason:
      'one look at an endpoint: what is seen by listing, by name, by URI and by capability is one decision',
  },
  'upstream/pool/link-slot': {
    lines: 440,
    reason: 'one place for a link: its states, and what leads from one to the next',
  },
  'upstream/pool/pool': {
    lines: 510,
    reason: 'one table of slots: which calls may use which, how many there are, and what becomes of them',
  },
  'upstream/transport/http/streamable-http': {
    lines: 450,
    reason: 'one transport: all that its streams report ends in one link',
  },
}

/**
 * Files that read the wall clock, each with what follows it. A machine's clock is set now and then, so whatever waits or has an age inside the process is
 * measured by `monotonicNow` or `performance.now`.
 */
const WALL: Readonly<Record<string, string>> = {
  'cli/doctor': 'certificates end by the wall, and the clocks of machines are compared',
  'core/caller-tokens': 'the ends of tokens',
  'core/clock': 'the one place that knows both clocks',
  'cli/start-report': 'when a server is tried again, which is told by the wall',
  'cli/status': 'when a server is tried again, which is told by the wall',
  'cli/server-state': 'how long ago something was, which other processes have told',
  'gateway/runtime': 'when lists were fetched, which other processes read too',
  'catalog/catalog': 'when lists were fetched, which other processes read too',
  'catalog/server-lists': 'when lists were fetched, which other processes read too',
  'catalog/list-server': 'when lists were fetched, which other processes read too',
  'catalog/snapshot': 'when an era was seen, which other processes read too',
  'upstream/transport/sse/sse': 'a Retry-After that names a date',
  'upstream/transport/http/message-streams': 'a Retry-After that names a date',
  'credentials/oauth/dpop-key': 'the time in proofs',
  'credentials/oauth/grants/granted': 'the ends of tokens',
  'auth/gatekeeper': 'the ends of tokens, keys and certificates',
  'auth/certificates': 'the ends of certificates',
  'auth/tokens': 'the ends of tokens',
  'auth/api-keys': 'the ends of keys',
  'auth/key-records': 'the ends of keys',
  'front/http/endpoint': 'the ends of tokens, keys and certificates',
  'cache/shared/store-tier': 'the age of a result in the store, for other processes',
  'policy/decide': '`now` in conditions',
  'cli/explain': '`now` in conditions',
  'config/edit/replace-file': 'the age of a file, which the file system gives by the wall',
  'first-run/record': 'when files were changed, which people read',
  'cli/keys': 'when a key was made, and when it ends',
  'observe/append-file': 'names of files, and times that the file system gives',
  'observe/logger': 'times in the log',
  'observe/audit': 'times in the audit log',
  'quota/stored': 'calendar periods of budgets',
  'bridge/request-state': 'the end of a state that another process may be shown',
  'state/drained': 'when a server was drained, for other processes',
  'state/lmdb': 'the ends of stored values, which other processes read too',
  'state/lmdb-folder': 'names of files',
  'state/redis-epoch': 'when the content was found lost, for calendar periods of budgets',
  'state/memory': 'the ends of stored values, as in the other stores',
  'cli/token-stdin': 'when a token was given, which other processes read too',
  'credentials/login/callback': 'the ends of logins, which other nodes read too',
  'credentials/login/hosted-pages': 'the ends of logins, which other nodes read too',
  'credentials/login/login-records': 'the ends of logins, which other nodes read too',
  'credentials/login/logins': 'the ends of logins, which other nodes read too',
  'credentials/login/pending-login': 'the ends of logins, which other nodes read too',
  'credentials/accounts/account': 'the ends of tokens, which other processes read too',
  'credentials/accounts/code-authorizer': 'when a login began, which other processes read too',
  'credentials/accounts/renewal': 'the ends of tokens, which other processes read too',
  'credentials/oauth/registration': 'the ends of registrations, which other processes read too',
  'vault/sealed-vault': 'the ends of records, which other processes read too',
}

/**
 * Functions, classes and constants that no other file of `src/` imports. Tests read them: bounds and times that they
 * reach, and parts that they try alone. `main` is imported by `bin/`.
 */
const FOR_TESTS: Readonly<Record<string, readonly string[]>> = {
  'auth/api-keys': ['REREAD_MS'],
  'cache/invalidation': ['LINGER_MS'],
  'cache/key': ['argumentsKey'],
  'catalog/ingest': ['MAX_DEFINITION_CHARS', 'MAX_ENTRIES', 'MAX_PAGES'],
  'catalog/instructions': ['MAX_INSTRUCTIONS_CHARS'],
  'catalog/stored-snapshots': ['storedKey'],
  'catalog/variants': ['MAX_VARIANTS'],
  'cli/main': ['main'],
  'cli/open-browser': ['opener'],
  'cli/program': ['declaredProgram'],
  'config/load/load': ['configFrom'],
  'config/load/variables': ['inputVariable'],
  'config/options/gateway': ['CACHE', 'CATALOG'],
  'config/options/keys': ['configKeys'],
  'config/options/server': ['REPLICA_ENTRY'],
  'config/schema/file': ['serversJsonSchema'],
  'config/source/describe-change': ['describeChange'],
  'core/buffer-limit': ['BufferLimit'],
  'core/deadlines': ['RESOLUTION_MS'],
  'core/event-bus': ['EVENT_TYPES'],
  'core/fold-case': ['foldCase'],
  'front/backlogs': ['SLOW', 'STALLED_MS'],
  'front/http/pipelined': ['MAX_AT_WORK', 'MAX_WAITING'],
  'gateway/chains': ['CALL_CHAIN', 'OPENING_CHAIN', 'REQUEST_CHAIN'],
  'observe/append-file': ['MAX_WAITING_BYTES'],
  'observe/audit': ['auditLine'],
  'observe/metrics/metrics': ['FOLDED', 'RESULT_TOKENS'],
  'policy/condition': ['MAX_CONDITION_CHARS'],
  'policy/pattern': ['compilePattern'],
  'protocol/headers': ['headerTextOf'],
  'protocol/json-text': ['JsonTextError'],
  'protocol/message': ['isId'],
  'quota/concurrency-leases': ['CLAIM_MS'],
  'relay/log-record': ['MAX_RECORD'],
  'tasks/legacy-task': ['MAX_KEEP_MS'],
  'tasks/legacy-tasks': ['MAX_TASKS_OF_ONE'],
  'upstream/transport/http/sockets': ['SocketShare'],
  'upstream/transport/stdio/memory-watch': ['LOOK_EVERY_MS', 'measureHere', 'sumOfPs'],
  'upstream/transport/stdio/orphan-reaper': ['createReaper'],
  'vault/record': ['MAX_RECORD_BYTES'],
}

interface Import {
  readonly from: string
  /** Path below `src/` without `.ts`, or the name of a package. */
  readonly to: string
  readonly kind: 'file' | 'package'
  readonly typeOnly: boolean
  readonly lazy: boolean
}

const files = (readdirSync(SRC, { recursive: true }) as string[])
  .filter(file => file.endsWith('.ts'))
  .map(file => file.replaceAll('\\', '/').replace(/\.ts$/, ''))
const sources = new Map(files.map(file => [file, readFileSync(join(SRC, `${file}.ts`), 'utf8')]))

const STATIC = /^(import|export)\s+(type\s+)?(?:[^'"]*?\sfrom\s+)?'([^']+)'/gm
const DYNAMIC = /\bimport\('([^']+)'\)/g

const imports: readonly Import[] = [...sources].flatMap(([from, source]) => [
  ...[...source.matchAll(STATIC)].map(([statement, , type, name]) =>
    toImport(from, name as string, type !== undefined || namesOnlyTypes(statement), false),
  ),
  ...[...source.matchAll(DYNAMIC)].map(([, name]) => toImport(from, name as string, false, true)),
])

/** `import { type A, type B } from` is dropped as a whole as well. */
function namesOnlyTypes(statement: string): boolean {
  const names =
    /\{([^}]*)\}/
      .exec(statement)?.[1]
      ?.split(',')
      .map(name => name.trim()) ?? []
  const listed = names.filter(name => name !== '')
  return (
    !/^import\s+\w/.test(statement) && listed.length > 0 && listed.every(name => name.startsWith('type '))
  )
}

function toImport(from: string, name: string, typeOnly: boolean, lazy: boolean): Import {
  if (name.startsWith('.')) {
    const to = relative(SRC, resolve(dirname(join(SRC, from)), name))
      .replaceAll('\\', '/')
      .replace(/\.ts$/, '')
    return { from, to, kind: 'file', typeOnly, lazy }
  }
  const parts = name.split('/')
  return { from, to: parts.slice(0, name.startsWith('@') ? 2 : 1).join('/'), kind: 'package', typeOnly, lazy }
}

/** The folder of a file, or the file itself where it stands alone. */
const partOf = (file: string): string => (file.includes('/') ? dirname(file) : file)
const within = (file: string, place: string): boolean => file === place || file.startsWith(`${place}/`)
const own = imports.filter(({ kind }) => kind === 'file')
const foreign = imports.filter(({ kind, to }) => kind === 'package' && !to.startsWith('node:'))

describe('imports', () => {
  test('are found', () => {
    expect(own.length).toBeGreaterThan(150)
    expect(foreign.map(({ to }) => to)).toEqual(expect.arrayContaining(Object.keys(PACKAGES)))
    expect(own.filter(({ to }) => !sources.has(to))).toEqual([])
  })

  test('every part has a line in the table', () => {
    expect([...new Set(files.map(partOf))].sort()).toEqual(Object.keys(MAY_IMPORT).sort())
  })

  test.each(Object.entries(MAY_IMPORT))('%s imports only what its line permits', (part, allowed) => {
    const wrong = own
      .filter(({ from, to }) => partOf(from) === part && partOf(to) !== part && to !== COMMON)
      .filter(({ to, typeOnly }) => {
        const permits = (rule: string): boolean =>
          rule.startsWith('type:') ? typeOnly && within(to, rule.slice(5)) : within(to, rule)
        return !allowed.some(permits)
      })
    expect(wrong.map(({ from, to, typeOnly }) => `${from} → ${typeOnly ? 'type ' : ''}${to}`)).toEqual([])
  })

  test('no line of the table is unused', () => {
    const idle = Object.entries(MAY_IMPORT).flatMap(([part, allowed]) =>
      allowed
        .filter(
          rule => !own.some(({ from, to }) => partOf(from) === part && within(to, rule.replace('type:', ''))),
        )
        .map(rule => `${part} → ${rule}`),
    )
    expect(idle).toEqual([])
  })

  test('packages are imported only by their parts', () => {
    const wrong = foreign.filter(({ from, to }) => !PACKAGES[to]?.some(place => within(from, place)))
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  test('packages that take time to load are loaded when they are needed', () => {
    const wrong = foreign.filter(({ to, typeOnly, lazy }) => LAZY.includes(to) && !typeOnly && !lazy)
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  test('core and protocol do no I/O', () => {
    const io = /^node:(fs|net|http|https|http2|tls|dgram|dns|child_process|worker_threads|stream|timers|os)\b/
    const wrong = imports.filter(({ from, to }) => /^(core|protocol)\//.test(from) && io.test(to))
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })

  test('of files make no cycle, not even of types', () => {
    const next = new Map(
      files.map(file => [file, own.filter(({ from }) => from === file).map(({ to }) => to)]),
    )
    expect(cyclesIn(next)).toEqual([])
  })

  test('of folders make no cycle, not even of types', () => {
    const next = new Map<string, string[]>()
    for (const { from, to } of own)
      if (partOf(from) !== partOf(to)) next.set(partOf(from), [...(next.get(partOf(from)) ?? []), partOf(to)])
    expect(cyclesIn(next)).toEqual([])
  })

  test('go up the table only', () => {
    const order = Object.keys(MAY_IMPORT)
    const down = own.filter(
      ({ from, to }) => to !== COMMON && order.indexOf(partOf(to)) > order.indexOf(partOf(from)),
    )
    expect(down.map(({ from, to }) => `${from} → ${to}`)).toEqual([])
  })
})

/** Names that a file declares and exports. */
function exportedBy(source: string): string[] {
  const declaration =
    /^export (?:declare )?(?:async )?(?:abstract )?(?:function\*?|class|const|let|interface|type|enum) (\w+)/gm
  return [...source.matchAll(declaration)].map(([, name]) => name as string)
}

function cyclesIn(next: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const cycles: string[] = []
  const visit = (name: string, path: readonly string[]): void => {
    const at = path.indexOf(name)
    if (at >= 0) cycles.push([...path.slice(at), name].join(' → '))
    if (at >= 0 || done.has(name)) return
    for (const to of next.get(name) ?? []) visit(to, [...path, name])
    done.add(name)
  }
  for (const name of next.keys()) visit(name, [])
  return cycles
}

test('only commands handle signals, end the process, or write to its streams', () => {
  const own = /\bprocess\.(?:on|once|exit|exitCode|abort|chdir|umask|std(?:out|err)\.write)\b|\bconsole\./
  const wrong = [...sources].filter(
    ([file, source]) => !within(file, 'cli') && own.test(source.replace(/\/\*[^]*?\*\/|\/\/.*/g, '')),
  )
  expect(wrong.map(([file]) => file)).toEqual([])
})

describe('files', () => {
  const lengths = new Map([...sources].map(([file, source]) => [file, source.split('\n').length - 1]))

  test(`hold at most ${MAX_LINES} lines, with named exceptions`, () => {
    const long = [...lengths].filter(([file, lines]) => lines > (LONGER[file]?.lines ?? MAX_LINES))
    expect(long.map(([file, lines]) => `${file}: ${lines}`)).toEqual([])
  })

  test('no exception is unused', () => {
    expect(Object.keys(LONGER).filter(file => (lengths.get(file) ?? 0) <= MAX_LINES)).toEqual([])
  })

  test('are named in kebab-case, after what they hold', () => {
    expect(files.filter(file => !/^(?:[a-z][a-z0-9-]*\/)*[a-z][a-z0-9-]*$/.test(file))).toEqual([])
    expect(files.filter(file => /manager|helper|utils?$|service-impl/.test(file))).toEqual([])
  })

  test('export no name that another file exports too', () => {
    const places = new Map<string, string[]>()
    for (const [file, source] of sources)
      for (const name of new Set(exportedBy(source))) places.set(name, [...(places.get(name) ?? []), file])
    expect(places.size).toBeGreaterThan(500)
    const shared = [...places].filter(([, among]) => among.length > 1)
    expect(shared.map(([name, among]) => `${name}: ${among.join(', ')}`)).toEqual([])
  })

  test('only the public API re-exports', () => {
    const barrels = [...sources].filter(
      ([file, source]) => file !== 'index' && /^export\s[^'\n]*\sfrom\s'/m.test(source),
    )
    expect(barrels.map(([file]) => file)).toEqual([])
  })
})

describe('exports', () => {
  const EXPORT = /^export (?:async )?(?:abstract )?(?:function\*?|class|const|let) (\w+)/gm

  test('of functions, classes and constants have an importer, with named exceptions', () => {
    const importers = new Map<string, string[]>()
    for (const { from, to } of own) importers.set(to, [...(importers.get(to) ?? []), sources.get(from) ?? ''])
    const unused = [...sources].flatMap(([file, source]) => {
      const names = [...source.matchAll(EXPORT)].map(([, name]) => name as string)
      const isUsed = (name: string): boolean =>
        importers.get(file)?.some(text => new RegExp(`\\b${name}\\b`).test(text)) ?? false
      const idle = names.filter(name => !isUsed(name)).sort()
      return idle.length === 0 ? [] : [[file, idle] as const]
    })
    expect(Object.fromEntries(unused)).toEqual(FOR_TESTS)
  })
})

describe('transports', () => {
  /** Where code decides by a kind: by comparing it, by looking it up in a list or a table, or by what identifies it. */
  const KIND = new RegExp(
    [
      `(?:[!=]==?\\s*|\\bcase\\s+)['"\`](?:stdio|http|sse)['"\`]`,
      `['"\`](?:stdio|http|sse)['"\`]\\s*[!=]==?`,
      `['"\`](?:stdio|http|sse)['"\`][^\\n]*\\]\\)?\\.(?:includes|indexOf|has)\\(`,
      `\\b(?:endpoint|transport)\\??\\.kind(?:\\]|\\.\\w+\\()`,
      `\\binstanceof (?:Stdio|StreamableHttp|Sse)\\w*`,
    ].join('|'),
  )
  const CONFIGURED: Readonly<Record<string, string>> = {
    'config/resolve/config': 'the type that a configuration names becomes the kind of an endpoint',
    'client-files/applications/read-entry': 'words of applications for the transport of an entry',
    'client-files/applications/read-others': 'words of applications for the transport of an entry',
    'first-run/merge': 'an address with the deprecated transport is another server',
    'doctor/check-start': 'a deprecated transport is named to the person that configures it',
    'doctor/explain-failure': 'the other transport is named that "type" has to be changed to',
    'cli/add': 'what is typed becomes the type that a configuration names',
    'registry/registry-plan': 'what a registry says becomes the type that a configuration names',
    'registry/registry-server': 'what a registry says becomes the type that a configuration names',
  }
  const TABLE = 'upstream/transport/transports'
  const comparing = [...sources]
    .filter(([file, source]) => file !== TABLE && KIND.test(source))
    .map(([file]) => file)

  test.each([
    `if (endpoint.kind === 'stdio') x()`,
    `if ("http" != transport.kind) x()`,
    `switch (endpoint.kind) { case 'sse': x() }`,
    `if (['http', 'sse'].includes(endpoint.kind)) x()`,
    `if (new Set(['stdio']).has(kind)) x()`,
    `LIMITS[link.transport.kind]`,
    `if (transport.kind.startsWith('s')) x()`,
    `if (transport instanceof StdioTransport) x()`,
  ])('are not distinguished by their kind as in: %s', line => {
    expect(KIND.test(line)).toBe(true)
  })

  test('are asked what they can do, and never which kind they are', () => {
    expect(comparing.filter(file => CONFIGURED[file] === undefined)).toEqual([])
  })

  test('no exception is unused', () => {
    expect(Object.keys(CONFIGURED).filter(file => !comparing.includes(file))).toEqual([])
  })

  test('have a folder and a row each', () => {
    const folders = files.flatMap(file => /^upstream\/transport\/([^/]+)\//.exec(file)?.[1] ?? [])
    const rows = [...(sources.get('upstream/transport/transports') ?? '').matchAll(/^ {2}(\w+): \{/gm)]
    expect(rows.map(([, kind]) => kind).sort()).toEqual(
      [...new Set(folders)].filter(name => name !== 'shared').sort(),
    )
  })
})

describe('clocks', () => {
  const READS_WALL = /\bDate\.now\b|\bnew Date\(\)|(?<!new )\bDate\(\)/
  const COMMENT = /\/\*[^]*?\*\/|\/\/.*/g
  const readers = [...sources]
    .filter(([, source]) => READS_WALL.test(source.replace(COMMENT, '')))
    .map(([file]) => file)

  test('of the wall are read only where the wall is meant', () => {
    expect(readers.filter(file => WALL[file] === undefined)).toEqual([])
  })

  test('no exception is unused', () => {
    expect(Object.keys(WALL).filter(file => !readers.includes(file))).toEqual([])
  })
})
