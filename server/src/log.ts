import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

/**
 * JSON lines. Nothing secret is logged on purpose; what looks like a credential is masked all the same, for
 * the day somebody logs an error that quotes one.
 */
export const createLog = (level: string, destination?: DestinationStream): Log =>
  pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause },
      redact: {
        paths: ['authorization', '*.authorization', 'req.headers.authorization'],
        censor: '[secret]',
      },
      hooks: {
        streamWrite: (line) => line.replaceAll(/\b(sk|sxt)_[0-9A-Za-z]{49}/g, '$1_[secret]'),
      },
    },
    destination ?? standardOutput(),
  )

/**
 * Fails open: a full disk or a reader that is gone costs lines, never answers. What cannot be written waits for the
 * next line, up to a bound; what is more is lost.
 */
const standardOutput = (): DestinationStream => {
  const output = pino.destination({ dest: 1, sync: false, maxLength: maxWaitingBytes })
  output.on('error', () => {})
  return output
}

const maxWaitingBytes = 4_194_304
