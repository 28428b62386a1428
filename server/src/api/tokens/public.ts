export { issueTokenFor } from './issue.ts'
/** What actions may ask of tokens. */
export { getToken } from './queries.ts'
export { isUsable } from './rules.ts'
