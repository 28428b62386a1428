// The import arrows of ARCHITECTURE.md. Type-only imports are erased before this looks, so a rule speaks of
// what runs. Tests beside a file may import what they like.

const noun = '^server/src/api/([^/]+)/'
const test = '[.]test[.]ts$'

/** Rules and the pure steps of the proxy. */
const decisions = [
  '/rules[.]ts$',
  '^server/src/proxy/(policy|template|inject|redact|schema|judge|preview|retry|breaker|loop)[a-z-]*[.]ts$',
]

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      comment: 'A file that nothing imports and that is no entry is dead.',
      severity: 'error',
      from: {
        orphan: true,
        pathNot: [
          test,
          '[.]d[.]ts$',
          '(^|/)(main|generate|index)[.]ts$',
          '^test/',
          '/generated/',
          '^sdk/src/types[.]ts$',
          '^openapi/src/openapi[.]ts$',
        ],
      },
      to: {},
    },
    {
      name: 'contract-promises-only',
      severity: 'error',
      from: { path: '^contract/src', pathNot: test },
      to: { pathNot: ['^contract/src', '^node_modules/(zod|@ts-rest/core)/'] },
    },
    {
      name: 'sdk-stands-alone',
      comment:
        'Runs in browsers and workers, with no dependency; msw only in the testing entry, node: only in the node entry.',
      severity: 'error',
      from: { path: '^sdk/src', pathNot: [test, '^sdk/src/(testing|node)/'] },
      to: { pathNot: '^sdk/src' },
    },
    {
      name: 'sdk-node-knows-node',
      severity: 'error',
      from: { path: '^sdk/src/node/', pathNot: test },
      to: { pathNot: ['^sdk/src', '^(node:)?(http|https|stream|zlib)$'] },
    },
    {
      name: 'sdk-testing-knows-msw',
      severity: 'error',
      from: { path: '^sdk/src/testing/', pathNot: test },
      to: { pathNot: ['^sdk/src', '^node_modules/msw/'] },
    },
    {
      name: 'cli-knows-the-sdk',
      severity: 'error',
      from: { path: '^sdk/cli/src', pathNot: test },
      to: {
        pathNot: ['^sdk/cli/src', '^sdk/src/index[.]ts$', '^node:', '^(fs|path|process|crypto|util)(/|$)'],
      },
    },
    {
      name: 'openapi-is-derived-from-the-contract',
      severity: 'error',
      from: { path: '^openapi/src' },
      to: { path: '^(server|sdk|test)/' },
    },
    {
      name: 'server-never-imports-clients',
      severity: 'error',
      from: { path: '^server/src', pathNot: test },
      to: { path: '^(sdk|test|openapi/src)/' },
    },
    {
      name: 'nouns-are-apart',
      comment: 'A noun speaks to another through its public.ts.',
      severity: 'error',
      from: { path: noun },
      to: { path: '^server/src/api/[^/]+/', pathNot: ['^server/src/api/$1/', '/public[.]ts$'] },
    },
    {
      name: 'nouns-know-no-http-library',
      severity: 'error',
      from: { path: '^server/src/(api|proxy|db|vault|workers)/' },
      to: { path: '^node_modules/(express|@ts-rest/express)/' },
    },
    {
      name: 'one-importer-of-pg-boss',
      severity: 'error',
      from: { path: '^server/src', pathNot: ['^server/src/workers/jobs[.]ts$', test] },
      to: { path: '^node_modules/pg-boss/' },
    },
    {
      name: 'one-importer-of-ts-rest-express',
      severity: 'error',
      from: { pathNot: ['^server/src/http/(endpoints|problem)[.]ts$', test, '^test/'] },
      to: { path: '^node_modules/@ts-rest/express/' },
    },
    {
      name: 'decisions-are-pure',
      comment: 'Rules and the pure steps of the proxy: no database, HTTP, vault, files or clock.',
      severity: 'error',
      from: {
        path: decisions,
        pathNot: test,
      },
      to: {
        path: ['queries[.]ts$', '^server/src/(db|http|vault|edge|workers)/'],
        dependencyTypesNot: ['type-only'],
      },
    },
    {
      name: 'decisions-use-no-node-modules',
      severity: 'error',
      from: {
        path: decisions,
        pathNot: test,
      },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'proxy-knows-no-http-side',
      severity: 'error',
      from: { path: '^server/src/(proxy|db|vault)/', pathNot: test },
      to: { path: '^server/src/(http|edge|api)/' },
    },
    {
      name: 'secrets-open-in-few-places',
      comment:
        'The catalogue opens what one call sends, installation.ts the keys of the installation, replies.ts kept replies.',
      severity: 'error',
      from: { pathNot: ['^server/src/(proxy/catalogue|installation|replies)[.]ts$', test, '^test/'] },
      to: { path: '^server/src/vault/open[.]ts$' },
    },
    {
      name: 'vault-is-only-crypto',
      severity: 'error',
      from: { path: '^server/src/vault/', pathNot: test },
      to: { pathNot: ['^server/src/vault/', '^(node:)?(crypto|fs/promises|path)$'] },
    },
    {
      name: 'figures-and-spans-leave-in-one-place',
      comment:
        'Everything else counts with cells of ours; OpenTelemetry is loaded only where it is asked for.',
      severity: 'error',
      from: { path: '^server/src', pathNot: ['^server/src/(metrics/registry|tracing)[.]ts$', test] },
      to: { path: '^node_modules/(prom-client|@opentelemetry)/' },
    },
    {
      name: 'redis-is-optional',
      comment:
        'The client of Redis is loaded only where limits are shared, so only what is loaded then imports it.',
      severity: 'error',
      from: { path: '^server/src', pathNot: ['^server/src/db/redis/', test] },
      to: { path: '^node_modules/ioredis/' },
    },
    {
      name: 'one-door-to-the-network',
      severity: 'error',
      from: { path: '^server/src', pathNot: ['^server/src/proxy/egress', test] },
      to: { path: ['^node_modules/undici/', '^(node:)?(https|http2|tls|dns|dns/promises|dgram)$'] },
    },
  ],
  options: {
    parser: 'swc',
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['/dist/'] },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default'],
      extensions: ['.ts', '.js', '.json'],
    },
  },
}
