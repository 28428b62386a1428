import type { Request } from './context.ts'

/** The action that `POST /x/{action_id}` names, or null when the request is another. */
export const callName = ({ method, url = '' }: Pick<Request, 'method' | 'url'>): string | null => {
  if (method !== 'POST' || !url.startsWith('/x/')) return null
  const end = url.indexOf('?')
  const name = url.slice('/x/'.length, end === -1 ? undefined : end)
  return name === '' || name.includes('/') ? null : name
}
