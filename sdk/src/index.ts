export { NarrowAPI } from './client.ts'
export {
  type CallContext,
  type ClientErrorCode,
  type ErrorDetail,
  isNarrowError,
  NarrowAbortError,
  NarrowApiError,
  NarrowConnectionError,
  NarrowError,
  type NarrowErrorCode,
  NarrowResponseError,
  NarrowTimeoutError,
  NarrowUsageError,
  UpstreamResponseError,
} from './errors.ts'
export type * from './generated/client.ts'
export type { ErrorCode } from './generated/errors.ts'
export * from './generated/status-errors.ts'
export { type CallResponse, type RateLimit, responseOf } from './response.ts'
export type {
  Call,
  CallLimits,
  ClientOptions,
  Credential,
  Fields,
  Logger,
  LogLevel,
  Middleware,
  MiddlewareContext,
  NarrowEvent,
  NarrowRequest,
  OnEvent,
  Page,
  PageCall,
  RequestOptions,
  Selection,
  SharedOptions,
  WithResponse,
} from './types.ts'
