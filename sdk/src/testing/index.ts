/**
 * A fake NarrowAPI for the tests of whoever uses this SDK: `createMockNarrowAPI().client()`. Handlers for msw 3
 * are in `@narrowapi/sdk/testing/msw`, so that nothing here needs msw.
 */

export {
  type SignedTestEvent,
  signTestEvent,
  type TestEvent,
  type TestEventOptions,
} from '../webhooks/sign.ts'
export { type ApiErrorFields, apiError, MockApiError } from './api-error.ts'
export type { Fault, StatusFault } from './fault.ts'
export {
  createMockNarrowAPI,
  type MockCall,
  MockNarrowAPI,
  type MockOptions,
  type MockResolver,
  type Times,
} from './mock.ts'
export {
  type BodyOf,
  type DataOf,
  list,
  type MockAnswer,
  type OperationName,
  type PageData,
  type ParamsOf,
  type QueryOf,
} from './operations.ts'
export type { RecordedRequest, RequestOf, UnknownRequest } from './requests.ts'
export type { MockSeed } from './seed.ts'
