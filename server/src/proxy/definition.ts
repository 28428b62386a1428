import type { ActionDefinition } from '@narrowapi/contract'

/** As it is stored. What was written before a field existed lacks it, and so does what an older server writes. */
export type StoredDefinition = Omit<ActionDefinition, Younger> & Partial<Pick<ActionDefinition, Younger>>

type Younger = 'retry' | 'idempotency'

export const wholeDefinition = (stored: StoredDefinition): ActionDefinition => ({
  retry: null,
  idempotency: null,
  ...stored,
})
