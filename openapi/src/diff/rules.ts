import { errorCodesOf } from '../error-schemas.ts'
import type { Schema } from '../openapi.ts'

/** The part of a change that Redocly hands to its rules which ours look at. */
type Change = {
  kind: 'added' | 'removed' | 'modified'
  /** What was modified; `key` when it is the name. */
  property?: string
  node: { base?: { key?: unknown; value?: unknown } }
  base?: { value?: unknown }
  revision?: { value?: unknown }
}
type Context = {
  report(problem: { message: string }): void
  /** Whether the place is sent, answered or both. */
  getDirections(): ('request' | 'response')[]
}
type Visit = (change: Change, context: Context) => void

/** What breaks callers of this API beyond what Redocly knows to break callers of any. */
const rules: Record<string, () => Record<string, Visit | Record<string, Visit>>> = {
  /** Whoever left the field out meant the old default. */
  'default-changed': () => ({
    Schema({ kind, property, base, revision }, { report, getDirections }) {
      if (kind !== 'modified' || property !== 'default' || base?.value === undefined) return
      if (!getDirections().includes('request')) return
      report({ message: `The default changed from ${shown(base.value)} to ${shown(revision?.value)}.` })
    },
  }),
  /** Keys that were allowed are refused. */
  'required-scope-changed': () => ({
    Operation({ kind, property, base, revision }, { report }) {
      if (kind !== 'modified' || property !== 'x-required-scope' || revision?.value === undefined) return
      report({
        message: `The scope it needs changed from ${shown(base?.value)} to ${shown(revision.value)}.`,
      })
    },
  }),
  /** The wire stays the same, and the types, where parameters go by name, do not. */
  'path-parameter-renamed': () => ({
    Parameter({ kind, property, node, base, revision }, { report }) {
      const place = (node.base?.value as { in?: unknown } | undefined)?.in
      if (kind !== 'modified' || property !== 'name' || place !== 'path') return
      report({
        message: `The path parameter ${shown(base?.value)} was renamed to ${shown(revision?.value)}.`,
      })
    },
  }),
  /** Types are imported by these names. Those of errors are made of their codes, and nobody names them. */
  'schema-name-removed': () => ({
    NamedSchemas: {
      Schema({ kind, property, node }, { report }) {
        const isGone = kind === 'removed' || (kind === 'modified' && property === 'key')
        // What is named by the document's schemas is a schema.
        if (!isGone || errorCodesOf(node.base?.value as Schema)) return
        report({ message: `No schema is called \`${node.base?.key}\` any more.` })
      },
    },
  }),
}

const shown = (value: unknown): string => (value === undefined ? 'none' : `\`${value}\``)

/** A plugin of Redocly's, which wants a default export. */
export default () => ({ id: 'narrowapi', diff: { oas3: rules } })
