import { type ClientOptions, isNarrowError, NarrowAPI, NarrowApiError, responseOf } from '@narrowapi/sdk'
import { actionsList, createFullClient } from '@narrowapi/sdk/functions'
import { createMockNarrowAPI } from '@narrowapi/sdk/testing'
import { signTestEvent, verify } from '@narrowapi/sdk/webhooks'

/** What every runtime is to report. It runs where nothing but the language, fetch and the package may exist. */
export const scenario = async (options: ClientOptions) => {
  const narrow = new NarrowAPI(options)

  // The way to the server refuses the first create with 429 and breaks in the middle of the answer to the second.
  const attempts: number[] = []
  for (const name of ['first', 'second', 'third']) {
    const action = await narrow.actions.create({ name, target_url: 'https://api.example.com/charges' })
    attempts.push(responseOf(action)?.attempts ?? 0)
  }

  const listed: string[] = []
  for await (const action of narrow.actions.list({ limit: 2 })) listed.push(action.name)

  const error: unknown = await narrow.actions.get('act_00000000000000000000000000').catch((thrown) => thrown)
  return {
    attempts,
    listed: listed.sort(),
    error: {
      isNotFound: isNarrowError(error, 'not_found'),
      isNarrowApiError: error instanceof NarrowApiError,
      hasRequestId: error instanceof NarrowApiError && error.requestId !== undefined,
    },
    functions: (await actionsList(createFullClient(options)).toArray({ max: 5 })).length,
    mocked: (await createMockNarrowAPI().client().apiKeys.list()).data.map(({ name }) => name),
    webhook: await receivedWebhook(),
  }
}

const receivedWebhook = async (): Promise<string> => {
  const secret = 'a secret of at least 24 bytes, chosen for a test'
  const { body, headers } = await signTestEvent({ type: 'token.revoked', data: {} }, secret)
  return (await verify(body, headers, secret)).type
}

export const expected: Awaited<ReturnType<typeof scenario>> = {
  attempts: [2, 2, 1],
  listed: ['first', 'second', 'third'],
  error: { isNotFound: true, isNarrowApiError: true, hasRequestId: true },
  functions: 3,
  mocked: ['Owner'],
  webhook: 'token.revoked',
}
