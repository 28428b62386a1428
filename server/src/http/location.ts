import { contract } from '@narrowapi/contract'

/** Where an object of each type is read, from the `get` routes of the contract. */
const paths = new Map<string, string>([
  ['action', contract.actions.get.path],
  ['api_key', contract.apiKeys.get.path],
  ['execution', contract.executions.get.path],
  ['secret', contract.secrets.get.path],
  ['token', contract.tokens.get.path],
  ['workspace', contract.workspaces.get.path],
])

export const locationOf = (body: unknown): string | null => {
  if (typeof body !== 'object' || body === null || !('object' in body) || !('id' in body)) return null
  return paths.get(String(body.object))?.replace(':id', String(body.id)) ?? null
}
