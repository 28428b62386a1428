import { errorCodes } from '@narrowapi/contract'
import { type Document, type Entry, entriesOf } from './document.ts'

/** The API as one page of Markdown for agents, in the form of llmstxt.org. */
export const llmsText = (document: Document, publicUrl: string): string => {
  const entries = entriesOf(document)
  return `# ${document.info.title}

> ${document.info.summary}

Base URL: ${publicUrl}

${document.info.description}

## Calling an action with a token

1. \`GET ${publicUrl}/x\` with \`Authorization: Bearer sxt_…\` lists what the token may run: each action with its
   \`slug\`, \`input_schema\`, \`constraints\` and limits. What is not listed cannot be called.
2. \`POST ${publicUrl}/x/{action_id}/dry-run\` with the input as the JSON body says whether the call would be allowed.
   Nothing is sent and nothing is used up.
3. \`POST ${publicUrl}/x/{action_id}\` with the input runs it. Send an \`Idempotency-Key\` and repeat it when you retry. The
   answer is the upstream's own, with its status; a refusal by NarrowAPI has the header \`X-NarrowAPI-Error\`.

## Operations

Lists in a query are comma-separated; \`metadata\` is sent as \`metadata[key]=value\`.
${document.tags
  .map(
    ({ name, 'x-displayName': title, description }) => `
### ${title}

${description}

${entries
  .filter(({ tag }) => tag === name)
  .map(line)
  .join('\n')}
`,
  )
  .join('')}
## Error codes

Every error is JSON with \`error\` (the code), \`message\`, \`request_id\` and \`doc_url\`.

${Object.entries(errorCodes)
  .map(
    ([code, { status, title, retryable }]) =>
      `- \`${code}\` (${status}${retryable ? ', may be retried' : ''}): ${title}`,
  )
  .join('\n')}

## Documents

- [OpenAPI 3.1, JSON](${publicUrl}/.well-known/openapi.json): every field of every request and answer
- [OpenAPI 3.1, YAML](${publicUrl}/.well-known/openapi.yaml): the same
- [API reference](${publicUrl}/docs): the same for people
- [Errors](${publicUrl}/docs/errors): every error code
`
}

const line = ({ method, path, operation }: Entry): string => {
  const [security] = operation.security
  const scope = operation['x-required-scope']
  const needs = scope ? `scope \`${scope}\`` : security ? 'execution token' : 'no credential'
  return `- \`${method} ${path}\`: ${operation.summary} (${needs})`
}
