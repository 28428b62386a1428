import { STATUS_CODES } from 'node:http'
import type { errorCodes } from '@narrowapi/contract'

type ErrorTable = Readonly<Record<string, (typeof errorCodes)[keyof typeof errorCodes]>>

/** A class for each status of the registry, so that `error instanceof NotFoundError` holds and narrows. */
export const printStatusErrors = (table: ErrorTable): string => {
  const statuses = [...new Set(Object.values(table).map(({ status }) => status))].sort()
  const classes = statuses.map((status) => {
    const codes = Object.keys(table).filter((code) => table[code]?.status === status)
    return `/** Status ${status}. */
export class ${nameOf(status)} extends NarrowApiError {
  static override is(error: NarrowError): boolean {
    return super.is(error) && (error as NarrowApiError).status === ${status}
  }

  declare readonly status: ${status}
  declare readonly code: ${codes.map((code) => `'${code}'`).join(' | ')} | (string & {})
}
`
  })
  return `import { NarrowApiError, type NarrowError } from '../errors.ts'

${classes.join('\n')}`
}

/** 404 is `NotFoundError`, 500 `InternalServerError`. */
const nameOf = (status: number): string =>
  `${(STATUS_CODES[status] ?? '').replaceAll(/[^A-Za-z]|Error$/g, '')}Error`
