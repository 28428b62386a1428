import { notFound } from '../api-error.ts'
import { pageOf } from '../list.ts'
import { isObject, type OperationRow } from '../schema.ts'
import type { RuleCall } from './call.ts'

/**
 * Nouns without rules of their own: what is sent is kept, around the example of the contract. Verbs that are
 * nobody's own change nothing and answer with the object, or with the example where there is none.
 */
export const generic = (
  name: string,
  { path }: OperationRow,
  example: object,
  { state, params, query, body, listName }: RuleCall,
): unknown => {
  const [noun = '', verb = ''] = name.split('.')
  const kept = state.others.get(noun) ?? []
  const get = (): Record<string, unknown> => {
    const found = kept.find(({ id }) => id === params.id)
    if (!found) throw notFound()
    return found
  }
  switch (verb) {
    case 'list':
      return pageOf(kept, query, listName)
    case 'create': {
      const prefix = 'id' in example ? String(example.id).split('_')[0] : undefined
      const head = state.head(prefix ?? noun)
      const created = { ...structuredClone(example), ...known(example, body), ...known(example, head) }
      state.others.set(noun, [...kept, created])
      return created
    }
    case 'update':
      return Object.assign(get(), known(example, { ...body, updated_at: state.timestamp() }))
    case 'delete':
      state.others.set(
        noun,
        kept.filter((one) => one !== get()),
      )
      return undefined
    default:
      return path.includes('{id}') ? get() : example
  }
}

/** What is sent and not shown, such as a secret, is not an object's member. */
const known = (example: object, given: unknown): object =>
  Object.fromEntries(
    Object.entries(isObject(given) ? given : {}).filter(([name]) => Object.hasOwn(example, name)),
  )
