import { redacted } from './redact.ts'
import {
  applicableSchemas,
  isRecord,
  itemSchemas,
  ownValue,
  propertySchemas,
  type Schema,
} from './template-schema.ts'

/**
 * Replaces what `x-sensitive` marks, before an input is recorded. A marked object or array is replaced as a
 * whole, at any depth, through references and in every branch of a composition, also those that did not match.
 */
export const redactInput = (input: unknown, schema: Schema): unknown => createInputRedactor(schema)(input)

/** The same, made once per action version: a schema that marks nothing then costs nothing per call. */
export const createInputRedactor = (schema: Schema): ((input: unknown) => unknown) => {
  if (!marksAnything(schema)) return (input) => input
  const redactValue = (value: unknown, subschemas: readonly unknown[]): unknown => {
    const schemas = applicableSchemas(subschemas, schema)
    if (schemas.some((applicable) => applicable['x-sensitive'] === true)) return redacted
    if (schemas.length === 0) return value
    if (Array.isArray(value))
      return value.map((item, index) => redactValue(item, itemSchemas(schemas, index)))
    if (!isRecord(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([key, member]) => [key, redactValue(member, propertySchemas(schemas, key))]),
    )
  }
  return (input) => redactValue(input, [schema])
}

/** What a value looks like with every scalar hidden: its members can still be found, by templates above all. */
export const masked = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(masked)
  if (!isRecord(value)) return redacted
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, masked(member)]))
}

/** `value` where `shown`, which is the same after redaction, shows it, and masked where it does not. */
export const maskedLike = (value: unknown, shown: unknown): unknown => {
  if (shown === redacted) return masked(value)
  if (Array.isArray(value)) return value.map((item, index) => maskedLike(item, at(shown, index)))
  if (!isRecord(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => [key, maskedLike(member, at(shown, key))]),
  )
}

const at = (value: unknown, key: string | number): unknown =>
  Array.isArray(value) ? value[Number(key)] : ownValue(value, String(key))

const marksAnything = (schema: unknown): boolean => {
  if (Array.isArray(schema)) return schema.some(marksAnything)
  if (!isRecord(schema)) return false
  return schema['x-sensitive'] === true || Object.values(schema).some(marksAnything)
}
