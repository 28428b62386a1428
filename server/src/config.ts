import { isAbsolute, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { usualTimeoutMs } from './db/sql.ts'
import { type EgressAllow, parseEgressAllow } from './proxy/egress-allow.ts'

const HttpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })

/** Paths are put behind it, and answers, documents and commands show it to everybody, so it is written as URLs are. */
const PublicUrl = HttpUrl.refine((value) => {
  // What is no URL has its own error.
  const { username, password } = new URL(URL.canParse(value) ? value : 'http://none')
  return username === '' && password === '' && !/[?#]/.test(value)
}, 'must have no user, query or fragment').transform((value) => new URL(value).href.replace(/\/+$/, ''))

/** Whether a URL has one of these protocols, and nothing that its reader would stumble on. */
const isReadable = (value: string, protocol: RegExp): boolean => {
  if (!protocol.test(value) || !URL.canParse(value)) return false
  const { username, password, hostname, pathname } = new URL(value)
  try {
    for (const part of [username, password, hostname, pathname]) decodeURIComponent(part)
    return true
  } catch {
    return false
  }
}

/** Each of many workers holds seven connections, and the embedded database takes a hundred. */
const maxEmbeddedWorkers = 12

const maxPort = 65_535
const Port = z.coerce.number().int().min(0).max(maxPort)

/** Up to an hour: what is longer no timer here is meant for, and above 2^31 Node's fire at once. */
const Milliseconds = z.coerce.number().int().min(100).max(3_600_000)

const Environment = z.object({
  PORT: Port.default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: Port.optional(),
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  NARROWAPI_DRAIN_MS: Milliseconds.default(25_000),
  NARROWAPI_DATABASE_TIMEOUT_MS: Milliseconds.default(usualTimeoutMs),
  DATABASE_URL: z
    .string()
    .refine(
      (value) => isReadable(value, /^postgres(?:ql)?:\/\//),
      'must be a postgres:// URL, with % only in percent-encoding',
    )
    .optional(),
  REDIS_URL: z
    .string()
    .refine(
      (value) => isReadable(value, /^rediss?:\/\//),
      'must be a redis:// or rediss:// URL, with % only in percent-encoding',
    )
    .optional(),
  NARROWAPI_WORKERS: z.coerce.number().int().min(1).max(64).default(1),
  /** Set by the first process for those it starts. */
  NARROWAPI_WORKER: z.coerce.number().int().min(1).optional(),
  NARROWAPI_DATA_DIR: z.string().min(1).default('.narrowapi'),
  NARROWAPI_MASTER_KEY: z.string().min(1).optional(),
  NARROWAPI_EGRESS_ALLOW: z.string().default(''),
  NARROWAPI_PUBLIC_URL: PublicUrl.optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  NODE_ENV: z.string().optional(),
  OTEL_SDK_DISABLED: z.string().optional(),
  OTEL_TRACES_EXPORTER: z.enum(['otlp', 'none']).optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: HttpUrl.optional(),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: HttpUrl.optional(),
  OTEL_EXPORTER_OTLP_PROTOCOL: z.string().optional(),
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: z.string().optional(),
})

/** Everything the server reads from the environment by itself. */
export const variables: readonly string[] = Object.keys(Environment.shape)

/**
 * Whoever can reach the port of the callers must not find the figures there, and each worker serves its own on the
 * next port in a row. 0 is a free port for each.
 */
const Usable = Environment.refine(
  ({ PORT, METRICS_PORT = 0, NARROWAPI_WORKERS }) =>
    PORT === 0 || METRICS_PORT === 0 || PORT < METRICS_PORT || PORT >= METRICS_PORT + NARROWAPI_WORKERS,
  { path: ['METRICS_PORT'], message: 'must be another port than PORT, and so must that of each worker' },
).refine(({ METRICS_PORT = 0, NARROWAPI_WORKERS }) => METRICS_PORT + NARROWAPI_WORKERS - 1 <= maxPort, {
  path: ['METRICS_PORT'],
  message: `must leave a port up to ${maxPort} for each worker`,
})

export type Config = Readonly<{
  port: number
  host: string
  /** Where the figures are served, apart from callers: those of each worker on a port of its own; null serves them nowhere. */
  metrics: Readonly<{ port: number; host: string; ofAll: readonly number[] }> | null
  databaseUrl: string | null
  /** Where limits are shared between servers; null counts them for this server alone. */
  redisUrl: string | null
  /** How many processes serve on this machine. */
  workers: number
  /** Which of them this one is; null for the first process. */
  worker: number | null
  /** How long PostgreSQL may take for one statement. */
  databaseTimeoutMs: number
  /** How long a stop waits for what has begun. */
  drainMs: number
  dataDir: string
  masterKey: string | null
  egressAllow: EgressAllow
  publicUrl: string | null
  logLevel: string
  /** Whether the usual variables of OpenTelemetry ask for traces. Its packages read the others by themselves. */
  exportsTraces: boolean
  /** Whether every reply is checked against the contract. Off in production, where a serializer drops the rest. */
  checkReplies: boolean
}>

/** Reads the environment once. Throws an error that names the variable and what it must be, never its value. */
export const readConfig = (environment: NodeJS.ProcessEnv = process.env): Config => {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = Usable.safeParse(present)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    throw new Error(`The environment is not usable:\n  ${problems.join('\n  ')}`)
  }
  const env = parsed.data
  if (env.DATABASE_URL === undefined && env.NARROWAPI_WORKERS > maxEmbeddedWorkers) {
    throw new Error(
      `The environment is not usable:\n  NARROWAPI_WORKERS: the embedded database has connections for ${maxEmbeddedWorkers}; for more set DATABASE_URL`,
    )
  }
  return Object.freeze({
    port: env.PORT,
    host: env.HOST,
    metrics: readMetrics(env),
    databaseUrl: env.DATABASE_URL ?? null,
    redisUrl: env.REDIS_URL ?? null,
    workers: env.NARROWAPI_WORKERS,
    worker: env.NARROWAPI_WORKER ?? null,
    databaseTimeoutMs: env.NARROWAPI_DATABASE_TIMEOUT_MS,
    drainMs: env.NARROWAPI_DRAIN_MS,
    dataDir: isAbsolute(env.NARROWAPI_DATA_DIR) ? env.NARROWAPI_DATA_DIR : resolve(env.NARROWAPI_DATA_DIR),
    masterKey: env.NARROWAPI_MASTER_KEY ?? null,
    egressAllow: readEgressAllow(env.NARROWAPI_EGRESS_ALLOW),
    publicUrl: env.NARROWAPI_PUBLIC_URL ?? null,
    logLevel: env.LOG_LEVEL,
    exportsTraces: readExportsTraces(env),
    checkReplies: env.NODE_ENV !== 'production',
  })
}

/** A protocol that is not spoken here is refused only where traces are asked for: others may need it to be so. */
const readExportsTraces = (env: z.output<typeof Environment>): boolean => {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT
  const isAsked = env.OTEL_TRACES_EXPORTER === 'otlp' || endpoint !== undefined
  const isOff = env.OTEL_SDK_DISABLED?.toLowerCase() === 'true' || env.OTEL_TRACES_EXPORTER === 'none'
  if (isOff || !isAsked) return false
  const ofTraces = 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL'
  const name = env[ofTraces] === undefined ? 'OTEL_EXPORTER_OTLP_PROTOCOL' : ofTraces
  const protocol = env[name] ?? 'http/protobuf'
  if (protocol === 'http/protobuf') return true
  throw new Error(`The environment is not usable:\n  ${name}: must be http/protobuf`)
}

/** A scrape of a port that workers share would reach one of them by chance, so they have ports in a row. */
const readMetrics = ({
  METRICS_PORT: first,
  METRICS_HOST: host,
  NARROWAPI_WORKERS: workers,
  NARROWAPI_WORKER: worker = 1,
}: z.output<typeof Environment>): Config['metrics'] => {
  if (first === undefined) return null
  if (first === 0) return { port: 0, host, ofAll: [] }
  const ofAll = Array.from({ length: workers }, (_, index) => first + index)
  return { port: first + worker - 1, host, ofAll }
}

/** The same with what the command line says, which wins: `--workers N`. */
export const readCommand = (args: readonly string[] = process.argv.slice(2)): Config => {
  const { values } = parseArgs({ args: [...args], options: { workers: { type: 'string' } } })
  const { workers } = values
  return readConfig(workers === undefined ? process.env : { ...process.env, NARROWAPI_WORKERS: workers })
}

const readEgressAllow = (text: string): EgressAllow => {
  try {
    return parseEgressAllow(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'is not readable'
    throw new Error(`The environment is not usable:\n  NARROWAPI_EGRESS_ALLOW: ${reason}`, { cause })
  }
}
