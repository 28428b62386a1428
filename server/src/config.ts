import { isAbsolute, resolve } from 'node:path'
import { z } from 'zod'
import { usualTimeoutMs } from './db/sql.ts'
import { type EgressAllow, parseEgressAllow } from './proxy/egress-allow.ts'

const Port = z.coerce.number().int().min(0).max(65_535)

/** Up to an hour: what is longer no timer here is meant for, and above 2^31 Node's fire at once. */
const Milliseconds = z.coerce.number().int().min(100).max(3_600_000)

const Environment = z.object({
  PORT: Port.default(3000),
  HOST: z.string().min(1).default('127.0.0.1'),
  NARROWAPI_DRAIN_MS: Milliseconds.default(25_000),
  NARROWAPI_DATABASE_TIMEOUT_MS: Milliseconds.default(usualTimeoutMs),
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
  /** How long PostgreSQL may take for one statement. */
  databaseTimeoutMs: number
  /** How long a stop waits for what has begun. */
  drainMs: number
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
  return Object.freeze({
    port: env.PORT,
    host: env.HOST,
    databaseUrl: env.DATABASE_URL ?? null,
    databaseTimeoutMs: env.NARROWAPI_DATABASE_TIMEOUT_MS,
    drainMs: env.NARROWAPI_DRAIN_MS,
    dataDir: isAbsolute(env.NARROWAPI_DATA_DIR) ? env.NARROWAPI_DATA_DIR : resolve(env.NARROWAPI_DATA_DIR),
    masterKey: env.NARROWAPI_MASTER_KEY ?? null,
    egressAllow: readEgressAllow(env.NARROWAPI_EGRESS_ALLOW),
    publicUrl: env.NARROWAPI_PUBLIC_URL ?? null,
    logLevel: env.LOG_LEVEL,
    checkReplies: env.NODE_ENV !== 'production',
  })
}

const readEgressAllow = (text: string): EgressAllow => {
  try {
    return parseEgressAllow(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : 'is not readable'
    throw new Error(`The environment is not usable:\n  NARROWAPI_EGRESS_ALLOW: ${reason}`, { cause })
  }
}
