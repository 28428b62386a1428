import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { isFunctionName, quoted } from './names.ts'
import { Problem } from './problem.ts'
import { type PullOptions, pull } from './pull.ts'
import { visible } from './text.ts'

export interface Result {
  readonly exitCode: 0 | 1 | 2
  readonly stdout: string
  readonly stderr: string
}

type Environment = { readonly [name: string]: string | undefined }

/** The whole command: what to print, and how to exit. */
export const run = async (args: readonly string[], environment: Environment): Promise<Result> => {
  const secrets: string[] = []
  try {
    return await execute(args, environment, secrets)
  } catch (error) {
    const problem = error instanceof RangeError ? tooDeep : error
    if (!(problem instanceof Problem)) throw error
    // It may repeat what a server said, which is no command to a terminal.
    const text = `narrowapi: ${visible(problem.message)}\n`
    return { exitCode: problem.exitCode, stdout: '', stderr: secrets.reduce(withoutSecret, text) }
  }
}

const execute = async (
  args: readonly string[],
  environment: Environment,
  secrets: string[],
): Promise<Result> => {
  const { values, positionals } = parse(args)
  const token = (values.token ?? environment.NARROWAPI_API_KEY ?? '').trim()
  if (token !== '') secrets.push(token)
  if (values.version) return printed(`${await ownVersion()}\n`)
  const [command, ...rest] = positionals
  if (values.help || command === undefined || command === 'help') {
    return command === undefined && !values.help ? { exitCode: 2, stdout: '', stderr: HELP } : printed(HELP)
  }
  if (command !== 'pull') throw usage(`There is no command ${quoted(command)}`)
  if (rest.length > 0) throw usage('pull takes options only')
  const { out, check: isCheck } = values
  if (out === '-' && isCheck) throw usage('--check compares a file, so it does not go with --out -')
  if (out === '') throw usage('--out is empty')
  const names = readNames(values.name ?? [])
  const baseUrl =
    readBaseUrl('--base-url', values['base-url']) ??
    readBaseUrl('NARROWAPI_BASE_URL', environment.NARROWAPI_BASE_URL)
  const options: PullOptions = { token, baseUrl, out, isCheck, names }
  const { exitCode, output } = await pull(options)
  return exitCode === 0 ? printed(output) : { exitCode, stdout: '', stderr: `narrowapi: ${output}` }
}

const parse = (args: readonly string[]) => {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        token: { type: 'string' },
        out: { type: 'string', short: 'o', default: 'narrow.gen.ts' },
        'base-url': { type: 'string' },
        name: { type: 'string', multiple: true },
        check: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
        version: { type: 'boolean', short: 'v', default: false },
      },
    })
  } catch (error) {
    // What was typed may be a token in the wrong place, so it is not repeated.
    const code = (error as { code?: string }).code
    throw usage(
      code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION'
        ? 'There is an option that is not known'
        : 'An option needs a value, or has one too many',
    )
  }
}

const readNames = (given: readonly string[]): Map<string, string> =>
  new Map(
    given.map((pair) => {
      const [slug = '', name = '', ...rest] = pair.split('=')
      if (slug === '' || rest.length > 0 || !isFunctionName(name)) {
        throw usage(`--name wants slug=functionName, and not ${quoted(pair)}`)
      }
      return [slug, name] as const
    }),
  )

/** As strict as the client, whose errors speak to whoever writes a program. */
const readBaseUrl = (name: string, text: string | undefined): string | undefined => {
  if (text === undefined || text === '') return undefined
  if (!/^https?:\/\/[^\s?#]+$/.test(text) || !URL.canParse(text)) {
    throw usage(`${name} must be a URL such as https://api.example.com, without a query`)
  }
  if (text.includes('@')) throw usage(`${name} must not hold a user or password`)
  return text
}

const printed = (stdout: string): Result => ({ exitCode: 0, stdout, stderr: '' })

const usage = (message: string) => new Problem(`${message}. See narrowapi --help`, 2)

/** The only part of this that grows with what a server sends is the call stack. */
const tooDeep = new Problem('The manifest is nested too deep to be read')

const withoutSecret = (text: string, secret: string): string => text.replaceAll(secret, '[token]')

/** Published, the package is one file beside its package.json; in the repository the sources are a level below. */
const ownVersion = async (): Promise<string> => {
  const read = (path: string) => readFile(new URL(path, import.meta.url), 'utf8')
  const text = await read('./package.json').catch(() => read('../package.json'))
  return (JSON.parse(text) as { version: string }).version
}

const HELP = `Writes a typed client for the actions that a NarrowAPI execution token may run.

Usage: narrowapi pull [options]

  --token <sxt_…>          The execution token. Default: NARROWAPI_API_KEY, which other users of this
                           machine cannot see, unlike an option.
  -o, --out <file>         Where to write; - for the standard output. Default: narrow.gen.ts
  --base-url <url>         The server. Default: NARROWAPI_BASE_URL, else http://127.0.0.1:3000
  --check                  Write nothing; exit with 1 when the file is not what pull would write.
  --name <slug>=<function> Another name for the function of an action. May be given several times.
  -h, --help
  -v, --version

Exit codes: 0 done, 1 failed or out of date, 2 asked for wrongly.
`
