import type { ActionDefinition, RetryPolicy } from '@narrowapi/contract'
import { ApiError, type ErrorDetail } from '../errors.ts'
import { headerNameProblem } from './template-headers.ts'

export type RetryCause = RetryPolicy['on'][number]

/** When the calls of an action are tried again. */
export type Retry = {
  max: number
  on: ReadonlySet<RetryCause>
  /** Whether a request may be sent again that the upstream may have acted on. */
  mayRepeat: boolean
}

type Declared = Pick<ActionDefinition, 'retry' | 'idempotency' | 'annotations'>

/** Null for at most once, which is what an action does that says nothing. */
export const retryOf = (definition: Declared): Retry | null => {
  const { retry } = definition
  if (retry === null || retry.max === 0) return null
  return { max: retry.max, on: new Set(retry.on), mayRepeat: mayRepeat(definition) }
}

/**
 * For saving an action: refuses causes that could never lead to a second try, because they tell that the request
 * was sent, and a key header that the request sets already. `taken` holds the headers of the template.
 */
export const checkRetry = (
  definition: Declared & Pick<ActionDefinition, 'auth_type' | 'auth_name'>,
  taken: ReadonlySet<string>,
): void => {
  const { retry, idempotency } = definition
  const details: ErrorDetail[] = []
  if (!mayRepeat(definition)) {
    for (const [index, cause] of (retry?.on ?? []).entries()) {
      if (cause !== 'connection') details.push({ field: `retry.on.${index}`, message: needsRepeatable })
    }
  }
  const problem = idempotency?.header == null ? null : headerProblem(idempotency.header, definition, taken)
  if (problem) details.push({ field: 'idempotency.header', message: problem })
  if (details.length > 0) {
    throw new ApiError('validation_failed', 'Correct when this action is tried again', { details })
  }
}

const needsRepeatable =
  'needs an action that may be repeated: declare annotations.idempotent, idempotency.safe or idempotency.header'

const mayRepeat = ({ idempotency, annotations }: Declared): boolean =>
  annotations.idempotent || (idempotency !== null && (idempotency.safe || idempotency.header !== null))

const headerProblem = (
  name: string,
  { auth_type, auth_name }: Pick<ActionDefinition, 'auth_type' | 'auth_name'>,
  taken: ReadonlySet<string>,
): string | null => {
  const lower = name.toLowerCase()
  const carriesSecret = auth_type === 'header' && auth_name?.toLowerCase() === lower
  return (
    headerNameProblem(name) ??
    (taken.has(lower) || carriesSecret ? 'The request sets this header already' : null)
  )
}
