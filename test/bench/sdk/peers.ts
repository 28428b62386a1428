import { pathToFileURL } from 'node:url'

/** A client library, or one way to use ours. */
export type Peer = {
  name: string
  /** In the folder `peers`: a client, a list and a create as its documentation would write them, and three more. */
  file: string
  /** What its user installs. */
  packages: readonly string[]
  /** What a program with one list and one create needs of it. */
  imports: readonly string[]
  /** Absent when it has no option for a timeout; then its user passes `AbortSignal.timeout()`. */
  hasTimeout?: true
  /** Absent when its calls cannot be aborted. */
  hasSignal?: true
  /** Absent when it does not send with a `fetch`, given or global. */
  hasFetch?: true
}

const ours = { packages: ['@narrowapi/sdk'], hasTimeout: true, hasSignal: true } as const

export const rawFetch: Peer = {
  name: 'raw fetch',
  file: 'raw-fetch.ts',
  imports: [],
  packages: [],
  hasSignal: true,
  hasFetch: true,
}
export const narrowFunctions: Peer = {
  name: 'narrowapi, functions',
  file: 'narrow-functions.ts',
  imports: ["export { createClient, actionsList, actionsCreate } from '@narrowapi/sdk/functions'"],
  ...ours,
  hasFetch: true,
}
export const narrowClass: Peer = {
  name: 'narrowapi, class',
  file: 'narrow-class.ts',
  imports: ["export { NarrowAPI } from '@narrowapi/sdk'"],
  ...ours,
  hasFetch: true,
}
export const narrowNode: Peer = {
  name: 'narrowapi, class + /node',
  file: 'narrow-node.ts',
  imports: [
    "export { NarrowAPI } from '@narrowapi/sdk'",
    "export { createNodeFetch } from '@narrowapi/sdk/node'",
  ],
  ...ours,
}
export const openapiFetch: Peer = {
  name: 'openapi-fetch',
  file: 'openapi-fetch.ts',
  imports: ["export { default } from 'openapi-fetch'"],
  packages: ['openapi-fetch'],
  hasSignal: true,
  hasFetch: true,
}

/** Our SDK in its three ways. */
export const narrow: readonly Peer[] = [narrowFunctions, narrowClass, narrowNode]

/** In the order of the tables; raw fetch, which everything is compared with, is first. */
export const peers: readonly Peer[] = [
  rawFetch,
  ...narrow,
  openapiFetch,
  {
    name: 'polar',
    file: 'polar.ts',
    imports: [
      "export { createPolarCore } from '@polar-sh/sdk/2026-10'",
      "export { listCustomers, createCustomers } from '@polar-sh/sdk/2026-10/services/customers'",
    ],
    packages: ['@polar-sh/sdk'],
    hasTimeout: true,
    hasFetch: true,
  },
  {
    name: 'ky',
    file: 'ky.ts',
    imports: ["export { default } from 'ky'"],
    packages: ['ky'],
    hasTimeout: true,
    hasSignal: true,
    hasFetch: true,
  },
  {
    name: 'octokit + plugins',
    file: 'octokit.ts',
    imports: [
      "export { Octokit } from '@octokit/core'",
      "export { retry } from '@octokit/plugin-retry'",
      "export { throttling } from '@octokit/plugin-throttling'",
      "export { paginateRest } from '@octokit/plugin-paginate-rest'",
    ],
    packages: [
      '@octokit/core',
      '@octokit/plugin-retry',
      '@octokit/plugin-throttling',
      '@octokit/plugin-paginate-rest',
    ],
    hasSignal: true,
    hasFetch: true,
  },
  {
    name: 'stripe',
    file: 'stripe.ts',
    imports: ["export { default } from 'stripe'"],
    packages: ['stripe'],
    hasTimeout: true,
    hasFetch: true,
  },
  {
    name: 'anthropic',
    file: 'anthropic.ts',
    imports: ["export { default } from '@anthropic-ai/sdk'"],
    packages: ['@anthropic-ai/sdk'],
    hasTimeout: true,
    hasSignal: true,
    hasFetch: true,
  },
  {
    name: 'openai',
    file: 'openai.ts',
    imports: ["export { default } from 'openai'"],
    packages: ['openai'],
    hasTimeout: true,
    hasSignal: true,
    hasFetch: true,
  },
]

/** The part of a file in `peers` that is run; the rest of it is there to be type-checked. */
export type PeerModule = {
  connect(baseUrl: string, options?: { timeout?: number; fetch?: typeof fetch }): unknown
  list(client: unknown, options?: { signal?: AbortSignal }): Promise<unknown>
  create(client: unknown, options?: { signal?: AbortSignal }): Promise<unknown>
}

export const loadPeer = async (program: string): Promise<PeerModule> =>
  // Every file of that folder exports these; their clients differ, and each gets back the one it has made.
  (await import(pathToFileURL(program).href)) as PeerModule
