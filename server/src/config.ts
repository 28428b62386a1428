import { isAbsolute, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import { type EgressAllow, parseEgressAllow } from './proxy/egress-allow.ts'

/** Each worker holds up to six connections, and the embedded database takes a hundred. */
const maxEmbeddedWorkers = 16

const Port = z.coerce.number().int().min(0).max(65_535)

const Environment = z.object({
  PORT: Port.default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATABASE_URL: z
    .string()
    .refine(
      (value) => /^postgres(?:ql)?:\/\//.test(value) && URL.canParse(value),
      'must be a postgres:// URL',
    )
    .optional(),
  REDIS_URL: z
    .string()
    .refine(
      (value) => /^rediss?:\/\//.test(value) && URL.canParse(value),
      'must be a redis:// or rediss:// URL',
    )
    .optional(),
  NARROWAPI_WORKERS: z.coerce.number().int().min(1).max(64).default(1),
  /** Set by the first process for those it starts. */
  NARROWAPI_WORKER: z.coerce.number().int().min(1).optional(),
  NARROWAPI_DATA_DIR: z.string().min(1).default('.narrowapi'),
  NARROWAPI_MASTER_KEY: z.string().min(1).optional(),
  NARROWAPI_EGRESS_ALLOW: z.string().default(''),
  NARROWAPI_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: 'must be an http or https URL' })
    .transform((value) => value.replace(/\/+$/, ''))
    .optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  NODE_ENV: z.string().optional(),
})

export type Config = Readonly<{
  port: number
  host: string
  databaseUrl: string | null
  /** Where limits are shared between servers; null counts them for this server alone. */
  redisUrl: string | null
  /** How many processes serve on this machine. */
  workers: number
  /** Which of them this one is; null for the first process. */
  worker: number | null
  dataDir: string
  masterKey: string | null
  egressAllow: EgressAllow
  publicUrl: string | null
  logLevel: string
  /** Whether every reply is checked against the contract. Off in production, where a serializer drops the rest. */
  checkReplies: boolean
}>

/** Reads the environment once. Throws an error that names the variable and what it must be, never its value. */
export const readConfig = (environment: NodeJS.ProcessEnv = process.env): Config => {
  const present = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''))
  const parsed = Environment.safeParse(present)
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
    databaseUrl: env.DATABASE_URL ?? null,
    redisUrl: env.REDIS_URL ?? null,
    workers: env.NARROWAPI_WORKERS,
    worker: env.NARROWAPI_WORKER ?? null,
    dataDir: isAbsolute(env.NARROWAPI_DATA_DIR) ? env.NARROWAPI_DATA_DIR : resolve(env.NARROWAPI_DATA_DIR),
    masterKey: env.NARROWAPI_MASTER_KEY ?? null,
    egressAllow: readEgressAllow(env.NARROWAPI_EGRESS_ALLOW),
    publicUrl: env.NARROWAPI_PUBLIC_URL ?? null,
    logLevel: env.LOG_LEVEL,
    checkReplies: env.NODE_ENV !== 'production',
  })
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
