import { z } from 'zod'

/**
 * Object ids: a prefix and 22 base62 characters of a UUIDv7, so that text order is creation order. They are
 * opaque to callers.
 */
export const idPrefixes = {
  workspace: 'ws',
  api_key: 'key',
  action: 'act',
  token: 'tok',
  execution: 'exec',
  secret: 'sec',
  audit_event: 'aud',
} as const
type IdPrefix = (typeof idPrefixes)[keyof typeof idPrefixes]

export const id = (prefix: IdPrefix) =>
  z
    .string()
    .regex(new RegExp(`^${prefix}_[0-9A-Za-z]{22}$`))
    .meta({ examples: [`${prefix}_06Wz1Xb4mJq0YcT7eKs2hU`] })
