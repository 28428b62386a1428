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
 * The log of one of several processes that write to one place. Not more than a pipe takes at once (4096 bytes on
 * Linux), in whole lines, so that lines of different processes do not run into each other.
 */
export const createWorkerLog = (level: string, worker: number): Log =>
  createLog(level, standardOutput(4_096)).child({ worker })

/**
 * Fails open: a full disk or a reader that is gone costs lines, never answers. What cannot be written waits for the
 * next line, up to a bound; what is more is lost.
 */
const standardOutput = (maxWrite?: number): DestinationStream => {
  const output = pino.destination({
    dest: 1,
    sync: false,
    maxLength: maxWaitingBytes,
    ...(maxWrite === undefined ? {} : { maxWrite }),
  })
  output.on('error', () => {})
  return output
}

const maxWaitingBytes = 4_194_304
