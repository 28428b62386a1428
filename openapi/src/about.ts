import { limits } from '@narrowapi/contract'
import type { Document } from './openapi.ts'

/** What the document says about the API as a whole. */

export const info: Omit<Document['info'], 'version'> = {
  title: 'NarrowAPI',
  summary: 'One narrow door to any API for agents, automations and partners',
  description: `Define an **action**: one call to one upstream operation, with its secret, its input schema and the rules the
input must obey. Hand out a **token** that may run that action and nothing else. The holder calls
\`POST /x/{action_id}\`; NarrowAPI judges the input, adds the secret, calls the upstream and gives back the part of
the answer you allow. The secret never leaves.

## Credentials
Send \`Authorization: Bearer …\`. Routes under \`/api/v1\` take an API key (\`sk_…\`) whose scopes allow the route.
Routes under \`/x\` take an execution token (\`sxt_…\`).

## Requests and answers
Bodies are JSON in UTF-8, at most ${limits.bodyBytes / 1_048_576} MiB. Names are snake_case. Moments are RFC 3339 in UTC with milliseconds.
Unknown fields in requests are refused; ignore unknown fields and unknown enum values in answers, because new
ones may appear. An absent body counts as \`{}\`.

## Lists
Lists are pages of \`data\` with \`has_more\` and \`next_cursor\`. Send the cursor as \`cursor\` with the same filters to
get the next page.

## Doing things once
Every change takes an \`Idempotency-Key\`. Repeating a request with its key within ${limits.idempotencyHours} hours repeats the first answer and
does nothing twice. Objects with a \`version\` answer with an \`ETag\`; send it as \`If-Match\` to change only what you
have read.

## Errors
Every refusal has the same shape. Decide by \`error\`, a code; \`message\` tells a person what to do next. Answers of
the upstream to \`POST /x/{action_id}\` keep their own status and body; our own carry \`X-NarrowAPI-Error\`.

## Rate limits
\`X-RateLimit-Limit\`, \`X-RateLimit-Remaining\` and \`X-RateLimit-Reset\` come with every limited answer. After a 429
wait for \`Retry-After\` seconds.

## Samples
The samples of code read the server's address from \`NARROWAPI_BASE_URL\` and the credential from
\`NARROWAPI_API_KEY\` or, under \`/x\`, from \`NARROWAPI_TOKEN\`.`,
  license: { name: 'MIT', identifier: 'MIT' },
  contact: { name: 'NarrowAPI', url: 'https://narrowapi.com' },
}

export const servers: Document['servers'] = [
  { url: 'http://127.0.0.1:3000', description: 'Where a server started with no options listens' },
]

export const securitySchemes: Document['components']['securitySchemes'] = {
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    description: 'An API key, `sk_…`. What it may do is decided by its scopes.',
  },
  executionToken: {
    type: 'http',
    scheme: 'bearer',
    description: 'An execution token, `sxt_…`. It may run the actions it names and see what they are.',
  },
}
