import type { Secret } from '@narrowapi/contract'
import { ApiError } from '../../errors.ts'

export const checkUnused = ({ used_by }: Pick<Secret, 'used_by'>): void => {
  if (used_by.length === 0) return
  throw new ApiError(
    'in_use',
    'Give these actions another secret, or delete them, before deleting this one',
    {
      details: used_by.map((id) => ({ field: 'used_by', message: id })),
    },
  )
}
