import { styleText } from 'node:util'

type Style = Parameters<typeof styleText>[0]

export type Narrator = {
  title(text: string): void
  /** Begins the next numbered step. */
  step(text: string): void
  /** Something that went as it must. */
  done(text: string): void
  /** A refusal, which is also as it must be. */
  refused(text: string): void
  show(value: unknown): void
  ended(text: string): void
  failed(error: unknown): void
  /** Everything told so far. */
  told(): string
}

/** Tells the story to a stream: in colour on a terminal, unless NO_COLOR says otherwise, and plain elsewhere. */
export const createNarrator = (stream: NodeJS.WriteStream): Narrator => {
  let told = ''
  let steps = 0
  const paint = (style: Style, text: string): string => styleText(style, text, { stream })
  const tell = (line: string): void => {
    told += `${line}\n`
    stream.write(`${line}\n`)
  }
  return {
    title: (text) => tell(`\n${paint('bold', text)}`),
    step(text) {
      steps += 1
      tell(`\n${paint(['cyan', 'bold'], `${steps}.`.padStart(4))} ${paint('bold', text)}`)
    },
    done: (text) => tell(`     ${paint('green', '✓')} ${text}`),
    refused: (text) => tell(`     ${paint('yellow', '✗')} ${text}`),
    show: (value) => tell(paint('dim', indent(JSON.stringify(value, null, 2)))),
    ended: (text) => tell(`\n${paint(['green', 'bold'], text)}\n`),
    failed: (error) => tell(`\n${paint(['red', 'bold'], `Step ${steps} went wrong.`)} ${reasons(error)}\n`),
    told: () => told,
  }
}

const indent = (text: string): string => text.replaceAll(/^/gm, '       ')

const reasons = (error: unknown): string => {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}\n  because: ${reasons(error.cause)}`
}
