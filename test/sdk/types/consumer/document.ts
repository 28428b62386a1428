import type { components, operations, paths } from '@narrowapi/openapi/types'

// The types of the document; they have no `fields`, so what they require is there.

type Action = components['schemas']['Action']
type Answer = paths['/api/v1/actions/{id}']['get']['responses'][200]['content']['application/json']
type Query = NonNullable<operations['tokens_list']['parameters']['query']>

export const name = (action: Answer): string => (action satisfies Action).name
// @ts-expect-error: not `any`
export const colour = (action: Answer): string => action.colour
export const query: Query = { status: 'active', sort: ['-created_at'] }
// @ts-expect-error: left out
export const fields: Query = { fields: ['name'] }
