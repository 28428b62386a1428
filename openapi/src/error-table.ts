import type { errorCodes } from '@narrowapi/contract'

type ErrorTable = Readonly<Record<string, (typeof errorCodes)[keyof typeof errorCodes]>>

/** The error registry as the SDK needs it. */
export const printErrorTable = (table: ErrorTable): string => {
  const rows = Object.entries(table)
  const codes = rows.map(([code, { title }]) => `  /** ${title}. */\n  | '${code}'`)
  const retryable = rows.filter(([, row]) => row.retryable).map(([code]) => `  '${code}',\n`)
  const statuses = rows.map(([code, { status }]) => `  ${code}: ${status},\n`)
  return `/** Every error code that the API had when this version was made. A newer server may answer others. */
export type ErrorCode =
${codes.join('\n')}

/** The codes after which the same request may succeed later without being changed. */
export const retryableCodes: readonly ErrorCode[] = [
${retryable.join('')}]

/** The HTTP status each code comes with. */
export const errorStatuses: { readonly [code in ErrorCode]: number } = {
${statuses.join('')}}
`
}
