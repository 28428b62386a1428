import { apiError, invalidBody } from '../api-error.ts'
import type { Query } from '../list.ts'
import { canonical, type Fields } from '../schema.ts'
import type { Change, State, StoredKey, StoredToken } from '../state.ts'

/** Who asks; nobody on open routes. */
export type Actor =
  | { readonly kind: 'key'; readonly key: StoredKey }
  /** `until` is when the text that was sent stops working, where that is before the token does. */
  | { readonly kind: 'token'; readonly token: StoredToken; readonly until: string | null }
  | { readonly kind: 'nobody' }

export type Target = { readonly type: string; readonly id: string }

/** A request that was let in: its operation takes what it sent. */
export interface RuleCall {
  readonly state: State
  readonly actor: Actor
  readonly params: Readonly<Record<string, string>>
  readonly query: Query
  readonly body: Fields
  /** The version a caller says it has read, by If-Match. */
  readonly ifVersion: number | null
  /** Of nested lists, one for each parent. */
  readonly listName: string
  /** What a change altered, for its audit event. */
  readonly note: (changes: readonly Change[]) => void
  /** What else was made or ended, for the targets of its audit event. */
  readonly touch: (targets: readonly Target[]) => void
  /** Leaves no audit event: what was asked for was so already. */
  readonly skipRecord: () => void
}

/** What an operation does and answers with. Throws a `MockApiError` to refuse. */
export type Rule = (call: RuleCall) => unknown

export const keyOf = ({ actor }: RuleCall): StoredKey => {
  if (actor.kind !== 'key') throw new Error('This operation is opened by keys')
  return actor.key
}

export const holderOf = ({ actor }: RuleCall): Extract<Actor, { kind: 'token' }> => {
  if (actor.kind !== 'token') throw new Error('This operation is opened by tokens')
  return actor
}

export const changesBetween = (before: object, after: object, masked: readonly string[] = []): Change[] =>
  Object.keys(after)
    .filter((field) => !unremarkable.has(field))
    .map((field) => ({ field, from: read(before, field), to: read(after, field) }))
    .filter(({ from, to }) => canonical(from) !== canonical(to))
    .map((change) =>
      masked.includes(change.field) ? { ...change, from: '[secret]', to: '[secret]' } : change,
    )

const unremarkable = new Set(['updated_at', 'last_used_at', 'uses', 'used_by'])

const read = (object: object, field: string): unknown => Reflect.get(object, field) ?? null

/** An expiry that is already over would make a credential that never works. */
export const checkFuture = (field: string, moment: string | null | undefined, now: string): void => {
  if (moment === null || moment === undefined || moment > now) return
  throw invalidBody([{ field, message: 'must be in the future' }])
}

export const checkVersion = (
  { object, version }: { object: string; version: number },
  ...expected: (number | null | undefined)[]
): void => {
  if (expected.every((read) => read == null || read === version)) return
  throw apiError('version_conflict', {
    message: `The ${object} is at version ${version} now: read it and try again`,
  })
}
