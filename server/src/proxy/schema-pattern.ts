import { RE2JS } from 're2js'

/**
 * Regular expressions written by users run on RE2, which takes time linear in the text for every pattern.
 * A pattern must also be valid JavaScript, because RE2 gives some texts that JSON Schema forbids a meaning of
 * their own. Where both accept a pattern RE2's meaning holds: `\s` is ASCII white space, and `.` is any
 * character but a line feed.
 */
export type Pattern = {
  readonly source: string
  /** Instructions in the compiled program: a match costs at most this many steps for every character. */
  readonly size: number
  readonly test: (text: string) => boolean
}

const maxSize = 500

/** Says in `reason` why a pattern cannot be used, in words fit for its author. */
export class PatternError extends Error {
  readonly reason: string

  constructor(reason: string, cause?: unknown) {
    super(reason, { cause })
    this.name = 'PatternError'
    this.reason = reason
  }
}

export const compilePattern = (source: string): Pattern => {
  try {
    new RegExp(source, 'u')
  } catch (cause) {
    throw new PatternError('is not a valid regular expression', cause)
  }
  // RE2 takes these for plain characters instead of refusing them.
  if (/\\(?:\\\\)*k</.test(source)) throw new PatternError('must not use back-references')
  if (/\\u[dD][89abAB][0-9a-fA-F]{2}/.test(source)) {
    throw new PatternError('must write characters beyond U+FFFF as \\u{…}, not as two halves')
  }
  const program = compile(source)
  const size = program.programSize()
  if (size > maxSize) {
    throw new PatternError('is too large; shorten its repetitions or use min and max lengths instead')
  }
  return { source, size, test: (text) => program.test(text) }
}

const compile = (source: string): RE2JS => {
  try {
    return RE2JS.compile(RE2JS.translateRegExp(source))
  } catch (cause) {
    throw new PatternError(
      'uses something a linear-time engine (RE2) cannot do, such as look-around, a back-reference or a ' +
        'repetition above 1000',
      cause,
    )
  }
}
