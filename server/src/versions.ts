import { ApiError } from './errors.ts'

/** A change of what was read at another version than the present one would undo what nobody looked at. */
export const checkVersion = (
  { object, version }: { object: string; version: number },
  expected: number | null,
): void => {
  if (expected === null || expected === version) return
  throw new ApiError('version_conflict', `The ${object} is at version ${version} now: read it and try again`)
}
