import { z } from 'zod'

/**
 * Who may do what. A scope is `<area>:<verb>`; the shorthands stand for many (model: scopes). A verb belongs
 * to an area only if some route asks for it, so a key can never be given a scope that means nothing.
 */
const areas = {
  workspaces: ['read', 'write'],
  'api-keys': ['read', 'write', 'delete'],
  actions: ['read', 'write', 'delete', 'execute'],
  tokens: ['read', 'write', 'delete'],
  executions: ['read'],
  secrets: ['read', 'write', 'delete'],
  audit: ['read'],
} as const

type Areas = typeof areas
export type Scope = { [A in keyof Areas]: `${A}:${Areas[A][number]}` }[keyof Areas]

// The keys and verbs of `areas` are literals, so every joined pair is a member of Scope.
export const scopes = Object.entries(areas).flatMap(([area, verbs]) =>
  verbs.map((verb) => `${area}:${verb}` as Scope),
)

const shorthands = ['read', 'write', '*'] as const

export const GrantedScope = z.enum([...shorthands, ...scopes]).meta({
  id: 'Scope',
  description:
    'A permission as `area:verb`. `read` stands for every `:read`; `write` for every `:write`, `:delete` and ' +
    '`:execute`, so also for making and revoking keys and for pausing the workspace; `*` for all. A key gives a ' +
    'shorthand on only if it was given that one itself, or `*`.',
})
export type GrantedScope = z.output<typeof GrantedScope>

export const defaultScopes: readonly GrantedScope[] = ['read', 'write']

/** What a list of granted scopes allows, shorthands spelled out. */
export const expandScopes = (granted: readonly string[]): ReadonlySet<Scope> =>
  new Set(scopes.filter((scope) => granted.some((one) => covers(one, scope))))

const covers = (granted: string, scope: Scope): boolean => {
  if (granted === '*' || granted === scope) return true
  const isRead = scope.endsWith(':read')
  return granted === 'read' ? isRead : granted === 'write' && !isRead
}
