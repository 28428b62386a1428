import type { MockApiError } from './api-error.ts'
import { type OperationShapes, operations } from './generated/operations.ts'
import type { OperationRow, PageData } from './schema.ts'

export type { PageData }

/** For example `actions.create`. */
export type OperationName = keyof OperationShapes

/** The path parameters of an operation, by name. */
export type ParamsOf<Name extends OperationName> = {
  readonly [Param in ParamIn<OperationShapes[Name]>]: string
}

type ParamIn<Shape> = Shape extends { params: infer Param extends string } ? Param : never

/** The parsed query; undefined for operations that take none. */
export type QueryOf<Name extends OperationName> = OperationShapes[Name] extends { query: infer Query }
  ? Query
  : undefined

/** The parsed body with its defaults; undefined for operations that take none. */
export type BodyOf<Name extends OperationName> = OperationShapes[Name] extends { body: infer Body }
  ? Body
  : undefined

/** What a success of the operation holds; of a list, a page without the methods a client adds. */
export type DataOf<Name extends OperationName> = OperationShapes[Name]['data']

/** What a mocked operation may answer with. Members that are left out are filled in. */
export type MockAnswer<Name extends OperationName> = Completable<DataOf<Name>> | MockApiError | Response

type Completable<Data> =
  Data extends PageData<infer Item> ? PageData<Partial<Item>> : Data extends object ? Partial<Data> : Data

/** A page of a list, the last one unless given the cursor of the next. */
export const list = <Item>(data: readonly Item[], nextCursor: string | null = null): PageData<Item> => ({
  object: 'list',
  data,
  has_more: nextCursor !== null,
  next_cursor: nextCursor,
})

export const rowOf = (name: string): OperationRow => {
  const row = (operations as { readonly [name: string]: OperationRow })[name]
  if (!row) throw new Error(`There is no operation ${name}`)
  return row
}

export interface FoundOperation {
  readonly name: OperationName
  readonly params: Readonly<Record<string, string>>
}

/** What a method and path mean; the methods that a path takes instead, none for an unknown path. */
export const findOperation = (method: string, path: string): FoundOperation | string[] => {
  const methods: string[] = []
  for (const { name, row, pattern, params } of patterns) {
    const match = pattern.exec(path)
    if (!match) continue
    methods.push(row.method)
    if (row.method !== (method === 'HEAD' ? 'GET' : method)) continue
    try {
      return { name, params: Object.fromEntries(params.map((param, i) => [param, decode(match[i + 1])])) }
    } catch {
      return []
    }
  }
  return methods
}

const decode = (segment = ''): string => decodeURIComponent(segment)

/** Fixed segments before parameters: `/x/executions/{id}` is not an action called `executions`. */
const patterns = (Object.keys(operations) as OperationName[])
  .map((name) => {
    const row = rowOf(name)
    return {
      name,
      row,
      pattern: new RegExp(`^${row.path.replaceAll(/\{\w+\}/g, '([^/]+)')}$`),
      params: [...row.path.matchAll(/\{(\w+)\}/g)].map(([, param = '']) => param),
    }
  })
  .sort((a, b) => (a.row.path < b.row.path ? -1 : 1))
