/** Something the person at the terminal can do something about: its text is shown and nothing else. */
export class Problem extends Error {
  /** 1 when the pull failed, 2 when it was asked for wrongly. */
  readonly exitCode: 1 | 2

  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.name = 'Problem'
    this.exitCode = exitCode
  }
}
