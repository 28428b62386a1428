export { issueTokenFor } from './issue.ts'
/** What actions may ask of tokens. */
export { findGrant } from './queries.ts'
