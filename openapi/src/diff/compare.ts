import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type Document, operationsOf, type Response, resolve } from '../openapi.ts'

/** What a change means to callers: it may break them, gives them more, or only tells them more. */
export type Level = 'breaking' | 'additive' | 'docs'

export type Change = {
  level: Level
  /** `POST /api/v1/actions`, `Action` for a shared component, or `document`. */
  place: string
  message: string
}

/**
 * Every difference between two documents, in the order of the document. Redocly finds them, knows which are
 * sent and which answered, and judges by the rules of `redocly.yaml`; what it leaves open is decided here.
 */
export const compare = async (base: Document, revision: Document): Promise<Change[]> => {
  const changes = await findChanges(base, revision)
  const found = [...changes.flatMap(toChange), ...findMovedErrors(base, revision)]
  const isSame = JSON.stringify(comparable(base)) === JSON.stringify(comparable(revision))
  if (found.length > 0 || isSame) return found
  return [{ level: 'docs', place: 'document', message: 'Examples or the order of things changed.' }]
}

/** A change as Redocly reports it. */
type Reported = {
  /** Where in the document, with references followed. */
  path: string
  typeName: string
  kind: 'added' | 'removed' | 'modified'
  impact: 'major' | 'minor' | 'patch'
  /** What a rule said about it. */
  verdicts: { ruleId: string; message: string; impact: 'major' | 'minor' | 'patch' }[]
  /** What was modified; `key` when it is the name. */
  property?: string
  base?: Side
  revision?: Side
}
/** `pointer` names the component a change is in. */
type Side = { pointer: string; value?: unknown }

const findChanges = async (base: Document, revision: Document): Promise<Reported[]> => {
  const folder = await mkdtemp(join(tmpdir(), 'api-diff-'))
  try {
    const files = [join(folder, 'base.json'), join(folder, 'revision.json')] as const
    await writeFile(files[0], JSON.stringify(comparable(base)))
    await writeFile(files[1], JSON.stringify(comparable(revision)))
    const redocly = fileURLToPath(import.meta.resolve('@redocly/cli/bin/cli.js'))
    const config = fileURLToPath(new URL('redocly.yaml', import.meta.url))
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [redocly, 'diff', ...files, '--format=json', '--fail-on=none', `--config=${config}`],
      { env: { ...process.env, ...quiet }, maxBuffer: 1 << 28 },
    )
    return JSON.parse(stdout).changes
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** It calls home otherwise, and has news to tell. */
const quiet = {
  REDOCLY_TELEMETRY: 'off',
  REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true',
  REDOCLY_SUPPRESS_NOTIFICATIONS: 'true',
}

/** A document with one version for all, and with defaults as text: Redocly does not look into objects there. */
const comparable = (document: Document): Document => ({
  ...withTextualDefaults(document),
  info: { ...document.info, version: '1.0.0' },
})

const withTextualDefaults = <T>(value: T, key = ''): T => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item) => withTextualDefaults(item)) as T
  const entries = Object.entries(value).map(([name, part]) => {
    // Members and answers may be called "default" too.
    const isDefault = name === 'default' && key !== 'properties' && key !== 'responses'
    return [name, isDefault ? JSON.stringify(part) : withTextualDefaults(part, name)]
  })
  return Object.fromEntries(entries)
}

const toChange = (reported: Reported): Change[] => {
  const breaking = reported.verdicts.filter(({ impact, ruleId }) => {
    return impact === 'major' && !(ruleId === 'response-removed' && isErrorStatus(reported))
  })
  const { place, rest } = locate(reported)
  const inside = rest ? `${rest}: ` : ''
  const toText = (message: string): string => `${inside}${message}`
  if (breaking.length > 0) {
    return breaking.map(({ message }) => ({ level: 'breaking', place, message: toText(message) }))
  }
  const level = isDocs(reported) ? 'docs' : 'additive'
  const [verdict] = reported.verdicts
  return [{ level, place, message: toText(verdict?.message ?? describe(reported)) }]
}

/** A refusal that can no longer come breaks nobody; one that comes with another status is found below. */
const isErrorStatus = ({ path, property, base }: Reported): boolean =>
  Number(property === 'key' ? base?.value : path.split('/').at(-1)) >= 400

const describe = ({ kind, property, base, revision }: Reported): string => {
  if (kind !== 'modified' || !property) return `${kind}.`
  if (property === 'key') return `renamed from \`${base?.value}\`.`
  const [from, to] = [JSON.stringify(base?.value), JSON.stringify(revision?.value)]
  // Texts that people read are too long to be told.
  if (docsProperties.has(property)) return `\`${property}\` changed.`
  return `\`${property}\` changed from ${from ?? 'none'} to ${to ?? 'none'}.`
}

const isDocs = ({ path, typeName, property }: Reported): boolean =>
  docsTypes.has(typeName) ||
  (property !== undefined && docsProperties.has(property)) ||
  // A component matters where it is used, and is compared there.
  /^#\/components\/\w+\/[^/]+$/.test(path)

const docsTypes = new Set([
  'Info',
  'Contact',
  'License',
  'Tag',
  'TagList',
  'Example',
  'ExamplesMap',
  'XCodeSample',
  'XCodeSampleList',
])
const docsProperties = new Set([
  'description',
  'summary',
  'title',
  'example',
  'examples',
  'tags',
  'x-codeSamples',
  'x-displayName',
])

/** Where a change is, in the words of the API: a shared component by its name, else an operation. */
const locate = ({ path, property, base, revision }: Reported): { place: string; rest: string } => {
  const pointer = split((revision ?? base)?.pointer ?? path)
  if (pointer.at(-1) === property) pointer.pop()
  const [kind, , name, ...inside] = pointer
  if (kind === 'components' && name) return { place: name, rest: words(inside) }
  const [root, url = '', method, ...within] = split(path)
  if (root !== 'paths') return { place: 'document', rest: words(split(path)) }
  return { place: method ? `${method.toUpperCase()} ${url}` : url, rest: words(within) }
}

const split = (pointer: string): string[] =>
  pointer
    .replace(/^#\//, '')
    .split('/')
    .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~'))

const words = (parts: string[]): string =>
  parts.filter((part) => !['content', 'application/json', 'schema', 'properties'].includes(part)).join('.')

/** Codes that an operation answers in both documents, each time with another status. */
const findMovedErrors = (base: Document, revision: Document): Change[] => {
  const before = errorStatusesOf(base)
  return [...errorStatusesOf(revision)].flatMap(([key, { place, code, status }]): Change[] => {
    const from = before.get(key)?.status
    if (from === undefined || from === status) return []
    const message = `The error \`${code}\` came with the status ${from} and comes with ${status}.`
    return [{ level: 'breaking', place, message }]
  })
}

/** Every error of every operation; each code has an example of that name. */
const errorStatusesOf = (document: Document) =>
  new Map(
    operationsOf(document).flatMap(({ path, method, operation }) =>
      Object.entries(operation.responses)
        .filter(([status]) => Number(status) >= 400)
        .flatMap(([status, response]) => {
          const { content } = resolve<Response>(document, response)
          const place = `${method} ${path}`
          return Object.keys(content?.['application/json'].examples ?? {}).map(
            (code) => [`${place} ${code}`, { place, code, status }] as const,
          )
        }),
    ),
  )
