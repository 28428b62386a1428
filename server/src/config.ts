import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import { type EgressAllow, parseEgressAllow } from './proxy/egress-allow.ts'

const HttpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' })
const Port = z.coerce.number().int().min(0).max(65_535)

const Environment = z.object({
  PORT: Port.default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  METRICS_PORT: Port.optional(),
  METRICS_HOST: z.string().min(1).default('127.0.0.1'),
  DATABASE_URL: z
    .string()
    .refine(
      (value) => /^postgres(?:ql)?:\/\//.test(value) && URL.canParse(value),
      'must be a postgres:// URL',
    )
    .optional(),
  NARROWAPI_DATA_DIR: z.string().min(1).default('.narrowapi'),
  NARROWAPI_MASTER_KEY: z.string().min(1).optional(),
  NARROWAPI_EGRESS_ALLOW: z.string().default(''),
  NARROWAPI_PUBLIC_URL: HttpUrl.transform((value) => value.replace(/\/+$/, '')).optional(),
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

/** Whoever can reach the port of the callers must not find the figures there. 0 is a free port for each. */
const Usable = Environment.refine(({ PORT, METRICS_PORT }) => METRICS_PORT !== PORT || PORT === 0, {
  path: ['METRICS_PORT'],
  message: 'must be another port than PORT',
})

export type Config = Readonly<{
  port: number
  host: string
  /** Where the figures are served, apart from callers; null serves them nowhere. */
  metrics: Readonly<{ port: number; host: string }> | null
  databaseUrl: string | null
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
  return Object.freeze({
    port: env.PORT,
    host: env.HOST,
    metrics: env.METRICS_PORT === undefined ? null : { port: env.METRICS_PORT, host: env.METRICS_HOST },
    databaseUrl: env.DATABASE_URL ?? null,
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

const readEgressAllow = (text: string): EgressAllow => {
  try {
    return parseEgressAllow(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'is not readable'
    throw new Error(`The environment is not usable:\n  NARROWAPI_EGRESS_ALLOW: ${reason}`, { cause })
  }
}
