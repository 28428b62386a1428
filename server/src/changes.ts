import type { AuditEvent } from '@narrowapi/contract'
import { canonicalText } from './canonical-json.ts'

export type Change = AuditEvent['changes'][number]

/** What a change altered, field by field. Fields in `masked` are named without their values. */
export const changesBetween = (before: object, after: object, masked: readonly string[] = []): Change[] =>
  Object.keys(after)
    .filter((field) => !unremarkable.has(field))
    .map((field) => ({ field, from: read(before, field), to: read(after, field) }))
    .filter(({ from, to }) => canonicalText(from) !== canonicalText(to))
    .map((change) =>
      masked.includes(change.field) ? { ...change, from: '[secret]', to: '[secret]' } : change,
    )

const unremarkable = new Set(['updated_at', 'last_used_at', 'uses', 'used_by'])

const read = (object: object, field: string): unknown => Reflect.get(object, field) ?? null
