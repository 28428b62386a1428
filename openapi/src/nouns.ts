import type { Contract } from '@narrowapi/contract'

type Noun = {
  /** What a heading calls it. */
  title: string
  /** What the SDK's types call one of them and many of them. */
  one: string
  many: string
  description: string
}

/** What readers of the document are told about each noun; its routes follow in the order of the contract. */
export const nouns: Record<keyof Contract, Noun> = {
  actions: {
    title: 'Actions',
    one: 'Action',
    many: 'Actions',
    description:
      'An action is one typed, constrained call to one upstream operation. Its definition says what is sent, ' +
      'with which secret, what callers may decide and what they get back.',
  },
  tokens: {
    title: 'Tokens',
    one: 'Token',
    many: 'Tokens',
    description:
      'An execution token (`sxt_…`) may run only the actions it names, as narrowly as its grants say. Give ' +
      'one to each agent, automation or partner.',
  },
  executions: {
    title: 'Executions',
    one: 'Execution',
    many: 'Executions',
    description:
      'Every run and refused run of an action: what was asked, how it was judged, what the upstream answered.',
  },
  x: {
    title: 'Calling actions',
    one: 'Callable',
    many: 'Callables',
    description:
      'What the holder of an execution token can do: see what it may run, try it without sending, run it. ' +
      'These routes take an `sxt_` token, not an API key.',
  },
  secrets: {
    title: 'Secrets',
    one: 'Secret',
    many: 'Secrets',
    description:
      'Encrypted values that actions send to their upstreams. They can be written and used, and never read.',
  },
  apiKeys: {
    title: 'API keys',
    one: 'ApiKey',
    many: 'ApiKeys',
    description: 'Credentials (`sk_…`) of the management API, each with its scopes.',
  },
  workspaces: {
    title: 'Workspaces',
    one: 'Workspace',
    many: 'Workspaces',
    description: 'A workspace is a tenant: everything else belongs to one. Pausing it stops all its tokens.',
  },
  audit: {
    title: 'Audit',
    one: 'AuditEvent',
    many: 'AuditEvents',
    description: 'An append-only, hash-chained record of every change and of refused credentials.',
  },
  health: {
    title: 'Health',
    one: 'Health',
    many: 'Health',
    description: 'For load balancers and supervisors. Needs no credential.',
  },
}
