import { ApiError } from './errors.ts'

/** An expiry that is already over would make a credential that never works. */
export const checkFuture = (field: string, moment: string | null, now: Date): void => {
  if (moment === null || moment > now.toISOString()) return
  throw new ApiError('validation_failed', 'request body is invalid', {
    details: [{ field, message: 'must be in the future' }],
  })
}
