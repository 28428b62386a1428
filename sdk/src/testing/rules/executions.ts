import type { Execution } from '../../generated/client.ts'
import { type Filters, pageOf } from '../list.ts'
import { getById } from '../state.ts'
import type { Rule } from './call.ts'

export const executions: Record<string, Rule> = {
  list: ({ state, query, listName }) => pageOf(state.executions, query, listName, executionFilters),
  get: ({ state, params }) => getById('execution', state.executions, params.id),
}

export const executionFilters: Filters<Execution> = {
  error: ({ error }, wanted) => error?.code === wanted,
}
