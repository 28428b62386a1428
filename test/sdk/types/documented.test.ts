import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { printEntry } from '../../../sdk/release/reference/markdown.ts'
import { type Entry, type Item, readEntries } from '../../../sdk/release/reference/read.ts'
import { stage } from '../../../sdk/release/stage.ts'

let folder: string
let entries: Entry[]

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'narrowapi-documented-'))
  await stage('sdk', join(folder, 'sdk'))
  entries = await readEntries(join(folder, 'sdk'))
})

afterAll(() => rm(folder, { recursive: true, force: true }))

test('everything that can be imported says what it is, down to the last field and parameter', () => {
  expect(entries.map(({ specifier }) => specifier)).toContain('@narrowapi/sdk')
  const all = entries.flatMap(({ items }) => items).flatMap(withMembers)
  expect(all.length).toBeGreaterThan(800)
  expect(all.map(({ name }) => name)).toEqual(
    expect.arrayContaining([
      'ActionsOperations.create',
      'Action.status',
      'ClientOptions.apiKey',
      'NarrowError.code',
    ]),
  )
  expect(undocumented(entries)).toEqual([])
})

test('the reference tells of it all', () => {
  for (const entry of entries) {
    const page = printEntry(entry)
    for (const { name, text } of entry.items) {
      expect(page).toContain(`\n### ${name}\n`)
      expect(page).toContain(text)
    }
  }
  const [first] = entries
  expect(first && printEntry(first)).toContain(`#### TokensOperations.rotate

\`\`\`ts
rotate(id: TokenId, body?: RotateToken, options?: RequestOptions): Call<CreatedToken>
\`\`\`

Rotate a token.
`)
})

test('finds what says nothing', async () => {
  const package_ = join(folder, 'silent')
  await mkdir(package_)
  await writeFile(
    join(package_, 'package.json'),
    JSON.stringify({ name: 'silent', type: 'module', exports: { '.': { types: './index.d.ts' } } }),
  )
  await writeFile(
    join(package_, 'index.d.ts'),
    `/** Says. */
     export interface Spoken {
       /** Says. */
       said: string
       silent: string
       /** Says. */
       nested: {
         silent: string
         /** Says. */
         said: string
       }[]
       /**
        * Says.
        * @param first Says.
        */
       method(first: string, second: string): void
     }
     /** Says. */
     export declare class Life { private hidden: string; #secret: string; silent(): void; static still: string }
     export type Silent = { readonly type: 'a' } | {
       /** Says. */
       readonly said: 'b'
     }
     export declare const nothing: (argument: string) => void
     /** Says. */
     export declare function something(argument: string): void
    `,
  )
  expect(undocumented(await readEntries(package_)).sort()).toEqual([
    'Life.silent',
    'Life.still',
    'Silent',
    'Silent.type',
    'Spoken.method(second)',
    'Spoken.nested.silent',
    'Spoken.silent',
    'nothing',
  ])
})

const undocumented = (entries: Entry[]): string[] =>
  entries
    .flatMap(({ items }) => items)
    .flatMap(withMembers)
    .flatMap((item) => [...(item.text ? [] : [item.name]), ...undescribedParameters(item)])

/** Of operations each parameter must be described; elsewhere all or none, since a good sentence can say it too. */
const undescribedParameters = ({ name, parameters, tags }: Item): string[] => {
  const described = tags.flatMap((tag) => (tag.name === 'param' ? tag.text.split(' ', 1) : []))
  if (described.length === 0 && !/Operations\./.test(name)) return []
  return parameters
    .filter((parameter) => !described.includes(parameter))
    .map((missing) => `${name}(${missing})`)
}

const withMembers = (item: Item): Item[] => [item, ...item.members.flatMap(withMembers)]
