import { ApiError } from './errors.ts'

/**
 * A change of what was read at another version than the present one would undo what nobody looked at. A request may say
 * in several places what it read; what is null or absent says nothing.
 */
export const checkVersion = (
  { object, version }: { object: string; version: number },
  ...expected: (number | null | undefined)[]
): void => {
  if (expected.every((read) => read == null || read === version)) return
  throw new ApiError('version_conflict', `The ${object} is at version ${version} now: read it and try again`)
}
