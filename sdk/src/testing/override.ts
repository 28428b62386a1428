import type { Query } from './list.ts'
import type { Fields } from './schema.ts'

/** What an override is asked with, before its types are known. */
export interface OverrideCall {
  readonly operation: string
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Fields
  readonly headers: Headers
  /** What the mock itself would answer, done only when asked for. */
  readonly original: () => Promise<unknown>
}

/** Settles with an answer, which may be a `MockApiError` or a `Response`. */
export type Override = (call: OverrideCall) => Promise<unknown>
