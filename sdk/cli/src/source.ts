import type { Callable } from '@narrowapi/sdk'
import { IMPORTED, nameFunctions, typeNameOf, uniqueNames } from './names.ts'
import { code, comment, literal, sentence, type Tag, valueText } from './text.ts'
import { type Declared, declareTypes } from './types.ts'

const HEADER = '// Written by `narrowapi pull`.'

/**
 * Whether a text is a file of `pull`'s; no other is ever overwritten. Others may have put a few lines above, such as
 * those of a licence.
 */
export const isWritten = (text: string): boolean =>
  text.split('\n', 20).some((line) => line.startsWith(HEADER))

/**
 * The text of a client: one function and its types for each callable. It depends on what may be called and how,
 * and on nothing that changes by calling, such as the uses that are left.
 */
export const toSource = (
  callables: readonly Callable[],
  names: ReadonlyMap<string, string> = new Map(),
): string => {
  const sorted = [...callables].sort((a, b) => (a.slug < b.slug ? -1 : 1))
  const functions = nameFunctions(
    sorted.map(({ slug }) => slug),
    names,
  )
  const typeNames = [...functions.values()].flatMap((name) => [
    `${typeNameOf(name)}Input`,
    `${typeNameOf(name)}Output`,
  ])
  const uniqueName = uniqueNames([...IMPORTED, CLIENT, ...functions.values(), ...typeNames])
  const parts = sorted.map((callable) => toFunction(callable, functions.get(callable.slug) ?? '', uniqueName))
  return [ABOUT, ...(parts.length === 0 ? ['export {}\n'] : [IMPORTS, ...parts])].join('\n')
}

/** The functions that a file written by `pull` exports. */
export const functionsIn = (source: string): string[] =>
  [...source.matchAll(/^export const ([^\s=]+) = \($/gmu)].map(([, name = '']) => name)

const toFunction = (callable: Callable, name: string, uniqueName: (wish: string) => string): string => {
  const { id, slug, input_schema, output_schema, constraints } = callable
  const [inputName, outputName] = [`${typeNameOf(name)}Input`, `${typeNameOf(name)}Output`]
  const input = declareTypes({
    name: inputName,
    schema: input_schema,
    io: 'input',
    constraints,
    about: `What ${code(slug)} takes.`,
    uniqueName,
  })
  const output: Declared = output_schema
    ? declareTypes({
        name: outputName,
        schema: output_schema,
        io: 'output',
        constraints: [],
        about: `What ${code(slug)} answers.`,
        uniqueName,
      })
    : {
        text: `${comment([`What ${code(slug)} answers; its action does not say more.`], [], '')}export type ${outputName} = unknown\n`,
        isOptional: false,
      }
  const signature = [
    `  client: ${CLIENT},`,
    `  input: ${inputName}${input.isOptional ? ' = {}' : ''},`,
    '  options?: RequestOptions,',
  ]
  const body = `client.execute<${outputName}>(${literal(id)}, input, options)`
  return [
    input.text,
    output.text,
    `${aboutFunction(callable, name)}export const ${name} = (\n${signature.join('\n')}\n): Call<${outputName}> => ${body}\n`,
  ].join('\n')
}

const aboutFunction = (
  { name, slug, description, limits, annotations, examples }: Callable,
  own: string,
): string => {
  const { rate_limit_rpm: minute, rate_limit_rph: hour, concurrency_limit: atOnce, uses_left: uses } = limits
  const rates = [
    minute === null ? [] : [`${minute} calls a minute`],
    hour === null ? [] : [`${hour} calls an hour`],
    atOnce === null ? [] : [`${atOnce} at once`],
  ].flat()
  const facts = [
    `Action ${code(slug)}.`,
    rates.length > 0 ? `At most ${rates.join(' and ')}.` : '',
    uses === null ? '' : 'May run a limited number of times.',
    annotations.read_only ? 'Changes nothing.' : '',
    annotations.destructive ? 'May destroy something.' : '',
    annotations.idempotent ? 'Running it twice is the same as running it once.' : '',
  ].filter((fact) => fact !== '')
  const about = description.trim() === name.trim() ? [] : [sentence(description)]
  const paragraphs = [sentence(name), ...about, facts.join(' ')].filter((paragraph) => paragraph !== '')
  const shown = examples
    .slice(0, 3)
    .map((example): Tag => ['example', `${own}(client, ${valueText(example)})`])
  return comment(
    paragraphs.flatMap((paragraph, index) => (index === 0 ? [paragraph] : ['', paragraph])),
    shown,
    '',
  )
}

const CLIENT = 'ActionClient'

const ABOUT = `/* eslint-disable */
${HEADER} Do not edit it: pull again when the grants of the token change.
`

const IMPORTS = `import type { ${IMPORTED.join(', ')} } from '@narrowapi/sdk'

/** What runs an action: a \`NarrowAPI\` that was made with an execution token (\`sxt_…\`). */
export type ${CLIENT} = Pick<NarrowAPI, 'execute'>
`
