/**
 * The whole API as functions, for programs whose size counts: `actionsList(client)` is what `narrow.actions.list()`
 * is, and a bundle holds only what is imported.
 */
export { type Client, createClient } from '../core.ts'
export * from '../errors.ts'
export { execute } from '../execute.ts'
export { createFullClient } from '../full.ts'
export * from '../generated/functions.ts'
export * from '../generated/status-errors.ts'
export { type CallResponse, type RateLimit, responseOf } from '../response.ts'
export type * from '../types.ts'
