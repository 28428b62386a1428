/** Executions as other nouns show them: an action its own, a token holder those of the token. */
export { getExecution, hasExecutions, listExecutions } from './queries.ts'
