import { printCall } from './call-text.ts'
import { exampleOf } from './examples.ts'
import {
  type Document,
  type Operation,
  operationsOf,
  type Parameter,
  resolve,
  type Sample,
} from './openapi.ts'
import type { RouteTable } from './route-table.ts'

/**
 * The same document with samples of code for every operation. All read `NARROWAPI_BASE_URL` and a credential
 * from the environment, so each runs as it stands once the ids in it are the reader's own.
 */
export const withSamples = (strict: Document, routes: RouteTable): Document => {
  const document = structuredClone(strict)
  for (const { noun, name, path, method, operation } of operationsOf(strict)) {
    const route = routes[noun]?.[name]
    const target = document.paths[path]?.[method.toLowerCase()]
    if (!route || !target) throw new Error(`The route table has no ${noun}.${name}`)
    target['x-codeSamples'] = [
      { lang: 'Shell', label: 'curl', source: printCurl(strict, { path, method, operation }) },
      { lang: 'TypeScript', label: 'SDK', source: printSdk(operation, printCall(strict, operation, route)) },
    ] satisfies Sample[]
  }
  return document
}

type Found = { path: string; method: string; operation: Operation }

const printCurl = (document: Document, { path, method, operation }: Found): string => {
  const body = bodyOf(operation)
  // With a body curl chooses POST by itself, without one GET.
  const verb = method === (body ? 'POST' : 'GET') ? '' : `-X ${method} `
  const credential = credentialOf(operation)
  return [
    `curl ${verb}"$NARROWAPI_BASE_URL${fillPath(document, path, operation)}"`,
    ...(credential ? [`-H "Authorization: Bearer $${credential}"`] : []),
    ...(body ? [`--json '${JSON.stringify(body, null, 2).replaceAll("'", "'\\''")}'`] : []),
  ].join(' \\\n  ')
}

const printSdk = (operation: Operation, call: string): string => {
  // The client takes an API key from the environment by itself.
  const options = credentialOf(operation) === 'NARROWAPI_TOKEN' ? 'process.env.NARROWAPI_TOKEN' : ''
  const answers = !('204' in operation.responses) && call.startsWith('await ')
  return `import { NarrowAPI } from '@narrowapi/sdk'

const narrow = new NarrowAPI(${options})

${answers ? `const answer = ${call}\nconsole.log(answer)` : call}`
}

const credentialOf = ({ security }: Operation): string | undefined => {
  const [scheme] = security
  if (!scheme) return undefined
  return 'executionToken' in scheme ? 'NARROWAPI_TOKEN' : 'NARROWAPI_API_KEY'
}

/** The first example of the body, unless it is empty: then there is nothing to send. */
const bodyOf = ({ requestBody }: Operation): object | undefined => {
  const [example] = Object.values(requestBody?.content['application/json'].examples ?? {})
  const value = example?.value
  return typeof value === 'object' && value !== null && Object.keys(value).length > 0 ? value : undefined
}

const fillPath = (document: Document, path: string, operation: Operation): string => {
  const parameters = operation.parameters.map((one) => resolve<Parameter>(document, one))
  return path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const schema = parameters.find((one) => one.in === 'path' && one.name === name)?.schema ?? {}
    return String(exampleOf(schema, document.components.schemas, name))
  })
}
