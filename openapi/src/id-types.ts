import { idPrefixes } from '@narrowapi/contract'
import type { Schema } from './openapi.ts'

const ids = Object.entries(idPrefixes).map(([noun, prefix]) => ({
  type: `${noun.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase())}Id`,
  prefix,
  /** How the schema of such an id says so, by its pattern or by its example. */
  form: new RegExp(`^\\^?${prefix}_(?:[0-9A-Za-z]{22}|\\[0-9A-Za-z\\]\\{22\\})\\$?$`),
  /** What fields with such an id are called, as `action_id` and `revoked_token_ids`. */
  field: new RegExp(`^(?:\\w+_)?${noun}_ids?$`),
}))

/** The type of this text when it is an id of ours: by its form, or else by the name of its field. */
export const idTypeOf = ({ pattern, examples, maxLength }: Schema, name = ''): string | undefined => {
  const form = pattern ?? examples?.[0]
  // What has a form of its own is no id, whatever it is called: `action_id` of `/x/{action_id}` may be a slug.
  const hasForm = form !== undefined || maxLength !== undefined
  return ids.find((id) => (hasForm ? id.form.test(String(form)) : id.field.test(name)))?.type
}

/** Told apart by the compiler only: at run time an id is text. */
export const printIdTypes = (): string =>
  [
    'declare const kind: unique symbol\n',
    ...ids.map(
      ({ type, prefix }) =>
        `/** An id such as \`${prefix}_06Wz1Xb4mJq0YcT7eKs2hU\`. Takes any text, but no id of another thing. */\n` +
        `export type ${type} = string & { readonly [kind]?: '${prefix}' }\n`,
    ),
  ].join('\n')
