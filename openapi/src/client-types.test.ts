import { expect, test } from 'vitest'
import { z } from 'zod'
import { listQuery, pageOf } from '../../contract/src/page.ts'
import { group } from '../../contract/src/route.ts'
import { printClientTypes } from './client-types.ts'
import { toDocument } from './document.ts'
import { printFunctions } from './function-table.ts'
import { toRouteTable } from './route-table.ts'

const Thing = z
  .object({
    id: z.string().describe('Its id'),
    object: z.literal('thing').describe('The type of this object'),
    colour: z.enum(['red', 'blue']).describe('How it looks'),
    shade: z.string().meta({ description: 'Use `colour`', deprecated: true }),
  })
  .meta({ id: 'Thing', description: 'A thing' })

const CreateThing = z
  .strictObject({
    colour: z.enum(['red', 'blue']).default('red').describe('How it looks'),
    wait_ms: z.int().min(1).max(500).optional().describe('How long to think'),
  })
  .meta({ id: 'CreateThing', examples: [{ colour: 'blue' }] })

const meta = { scope: null, audit: null } as const

const contract = {
  things: group('/things', {
    list: {
      method: 'GET',
      path: '',
      summary: 'List things',
      description: 'All of them.',
      query: listQuery({ of: Thing, sort: ['colour'], filters: {} }),
      responses: { 200: pageOf(Thing, 'Thing') },
      metadata: { ...meta, raises: ['invalid_cursor'] },
    },
    create: {
      method: 'POST',
      path: '',
      summary: 'Create a thing',
      description: 'It stays.',
      body: CreateThing,
      responses: { 201: Thing },
      metadata: meta,
      deprecated: true,
    },
  }),
}

const document = toDocument(contract, '0.0.0')
const routes = toRouteTable(contract)
const text = printClientTypes(document, routes)

test('opens what is answered and closes what is sent', () => {
  expect(text).toContain("  colour: 'red' | 'blue' | (string & {})\n")
  expect(text).toContain("  colour?: 'red' | 'blue' | undefined\n")
})

test('says what a field may be, what it is when absent, and that it is on its way out', () => {
  expect(text).toContain('  /** How long to think. 1 to 500 milliseconds. */\n')
  expect(text).toContain('  /**\n   * How it looks.\n   * @default "red"\n   */\n')
  expect(text).toContain('  /**\n   * Use `colour`.\n   * @deprecated\n   */\n')
})

test('says of an operation what it takes, raises and looks like', () => {
  expect(text).toContain(`  /**
   * Create a thing.
   *
   * It stays.
   *
   * @param body What to create.
   * @param options For this call.
   * @throws {NarrowApiError} with a code of {@link Operations}
   * @deprecated
`)
  expect(text).toContain(`
   * @deprecated
   * @example
   * \`\`\`ts
   * await narrow.things.create({ colour: 'blue' })
   * \`\`\`
   */
  create(body?: CreateThing, options?: RequestOptions): Call<Thing>
`)
  expect(text).toContain('@throws {NarrowApiError} with `invalid_cursor` or a code of {@link Operations}')
})

test('says once which codes any operation may raise', () => {
  const [all = ''] = /\/\*\*\n \* Every operation of the API[^/]+\//.exec(text) ?? []
  for (const code of ['`unauthorized`', '`rate_limited`', '`idempotency_in_progress`'])
    expect(all).toContain(code)
  expect(text.split('`rate_limited`')).toHaveLength(2)
})

test('gives of a thing what `fields` names', () => {
  expect(text).toContain(`  list<const F extends Fields<Thing> = undefined>(
    query?: ListThingsQuery<F>,
    options?: RequestOptions,
  ): PageCall<Selection<Thing, F>>
`)
  expect(text).toContain('export interface ListThingsQuery<F extends Fields<Thing> = undefined> {')
  expect(text).toContain('  fields?: F | undefined\n')
})

test('names a body that says nothing of itself after its operation', () => {
  expect(text).toContain('/** The body of `things.create`. */\nexport interface CreateThing {')
})

test('writes functions with the types of the methods', () => {
  const functions = printFunctions(document, routes)
  expect(functions).toContain(`export const thingsList: <const F extends Fields<Thing> = undefined>(
  client: Client,
  query?: ListThingsQuery<F>,
  options?: RequestOptions,
) => PageCall<Selection<Thing, F>> = `)
})
