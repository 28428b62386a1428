import { Octokit } from '@octokit/core'
import { paginateRest } from '@octokit/plugin-paginate-rest'
import { retry } from '@octokit/plugin-retry'
import { throttling } from '@octokit/plugin-throttling'

type Options = { fetch?: typeof fetch }
type CallOptions = { signal?: AbortSignal }

const PluggedOctokit = Octokit.plugin(retry, throttling, paginateRest)

export const connect = (baseUrl: string, { fetch }: Options = {}) =>
  new PluggedOctokit({
    auth: 'ghp_bench_0123456789',
    baseUrl,
    ...(fetch ? { request: { fetch } } : {}),
    // Both must be given; these are the answers its documentation recommends.
    throttle: {
      onRateLimit: (_retryAfter, _options, _octokit, retryCount) => retryCount < 1,
      onSecondaryRateLimit: () => false,
    },
  })

type Client = ReturnType<typeof connect>

export const list = async (octokit: Client, request: CallOptions = {}) => {
  const { data } = await octokit.request('GET /orgs/{org}/repos', { org: 'bench', request })
  return data
}
export const create = async (octokit: Client, request: CallOptions = {}) => {
  const { data } = await octokit.request('POST /orgs/{org}/repos', { org: 'bench', name: 'refunds', request })
  return data
}
export const get = (octokit: Client, repo: string) =>
  octokit.request('GET /repos/{owner}/{repo}', { owner: 'bench', repo })
export const update = (octokit: Client, repo: string) =>
  octokit.request('PATCH /repos/{owner}/{repo}', { owner: 'bench', repo, name: 'returns' })
export const remove = (octokit: Client, repo: string) =>
  octokit.request('DELETE /repos/{owner}/{repo}', { owner: 'bench', repo })
