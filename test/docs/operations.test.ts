import { readFileSync } from 'node:fs'
import { limits } from '@narrowapi/contract'
import { parser } from '@prometheus-io/lezer-promql'
import { beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { z } from 'zod'
import { readConfig, variables } from '../../server/src/config.ts'
import { maxHeaderSize, patience } from '../../server/src/http/server.ts'
import { actionIdleMs, maxActions } from '../../server/src/metrics/calls.ts'
import { call, callable } from '../proxy/calls.ts'
import { type Exposed, parseExposition } from '../support/exposition.ts'
import { ask } from '../support/send.ts'
import { serverAndUpstream } from '../support/server-and-upstream.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const operations = read('docs/operations.md')

/** The first two cells of each row of the table under a heading that begins so. */
const table = (text: string, header: string): [first: string, second: string][] => {
  const [, rows = ''] = text.split(`\n| ${header} |`)
  const [body = ''] = rows.split('\n\n')
  return body
    .split('\n')
    .slice(2)
    .map((row) => {
      const [, first = '', second = ''] = row.split(/(?<!\\)\|/).map((cell) => cell.trim())
      return [first, second]
    })
}

const { server, upstream } = await serverAndUpstream({ environment: { METRICS_PORT: '0' } })
let served: Map<string, Exposed>

/** The server meets one of everything that makes labels. */
beforeAll(async () => {
  const { action, token } = await callable(server.owner, {
    target_url: upstream.url,
    method: 'POST',
    rate_limit_rpm: 1,
  })
  await call(server, token, action.id, {})
  await call(server, token, action.id, {})
  await ask(server.url, 'GET /healthz')
  served = parseExposition(await (await fetch(server.metricsUrl ?? '')).text())
})

/** Names of the labels that Prometheus sees, without the bucket's own. */
const labelsOf = ({ samples }: Exposed): string[] =>
  [...new Set(samples.flatMap(({ labels }) => Object.keys(labels)))].filter((label) => label !== 'le').sort()

const documented = new Map(
  table(operations, 'figure | what it says | healthy').map(([cell]) => {
    const [, name = '', labels = ''] = /^`(\w+)(?:\{(.*)\})?`$/.exec(cell) ?? []
    return [name, labels === '' ? [] : labels.split(',').sort()]
  }),
)

test('documents every figure of ours, with its labels, and none that is not served', () => {
  const ours = [...served.keys()].filter((name) => name.startsWith('narrowapi_'))
  expect(ours.length).toBeGreaterThan(15)
  expect([...documented.keys()].filter((name) => name.startsWith('narrowapi_')).sort()).toEqual(ours.sort())
  for (const [name, labels] of documented) {
    const figure = served.get(name)
    if (!figure) throw new Error(`${name} is documented and not served`)
    // The others are prom-client's, and some of them have labels once there was a collection of garbage.
    if (ours.includes(name)) expect({ name, labels: labelsOf(figure) }).toEqual({ name, labels })
  }
})

test('names only figures that are served wherever it speaks of them', () => {
  const named = operations.match(/\b(?:narrowapi_(?!app\b|system\b)|process_|nodejs_)\w+/g) ?? []
  const unknown = named.filter(
    (name) => !name.endsWith('_') && !served.has(name.replace(/_(bucket|sum|count)$/, '')),
  )
  expect(unknown).toEqual([])
})

const Rules = z.strictObject({
  groups: z.array(
    z.strictObject({
      name: z.string(),
      rules: z.array(
        z.strictObject({
          alert: z.string().regex(/^[A-Z][A-Za-z]+$/),
          expr: z.string(),
          for: z
            .string()
            .regex(/^\d+[smh]$/)
            .optional(),
          labels: z.strictObject({ severity: z.enum(['page', 'ticket']) }),
          annotations: z.strictObject({ summary: z.string().min(10), action: z.string().min(10) }),
        }),
      ),
    }),
  ),
})

const yaml = /```yaml\n(.*?)```/s.exec(operations)?.[1] ?? ''
const rules = Rules.parse(parse(yaml)).groups.flatMap((group) => group.rules)

/** The nodes of a kind in an expression, as text. */
const nodes = (expression: string, kinds: readonly string[]): string[] => {
  const found: string[] = []
  parser.parse(expression).iterate({
    enter({ name, type, from, to }) {
      if (type.isError) throw new Error(`Not PromQL at ${from}: ${expression}`)
      if (kinds.includes(name)) found.push(expression.slice(from, to))
    },
  })
  return found
}

test('has a check of expressions that finds what is none', () => {
  expect(() => nodes('sum by (le) (rate(up[5m])', ['Identifier'])).toThrow('Not PromQL')
})

test.each(rules.map((rule) => [rule.alert, rule.expr]))(
  'the rule %s asks figures and labels that are served',
  (_alert, expression) => {
    const selectors = nodes(expression, ['VectorSelector'])
    expect(selectors.length).toBeGreaterThan(0)
    for (const selector of selectors) {
      const [name = ''] = nodes(selector, ['Identifier'])
      const figure = served.get(name.replace(/_(bucket|sum|count)$/, ''))
      if (!figure) throw new Error(`${name} is not served`)
      const labels = labelsOf(figure)
      for (const matcher of nodes(selector, ['UnquotedLabelMatcher'])) {
        const [, label = '', values = ''] = /^(\w+)=~?"(.*)"$/.exec(matcher) ?? []
        const known = figure.samples.map((sample) => sample.labels[label])
        for (const value of values.split('|')) expect(known).toContain(value)
      }
      const grouped = nodes(expression, ['GroupingLabels']).flatMap((text) => text.match(/\w+/g) ?? [])
      // Prometheus adds the instance; buckets have their bound.
      for (const label of grouped) expect([...labels, 'instance', 'le']).toContain(label)
    }
  },
)

test('says the limits and timeouts that hold', () => {
  const rows = table(operations, 'limit | value | beyond it')
  const { bodyBytes, executeBodyBytes } = limits
  const held = { ...patience, maxHeaderSize, bodyBytes, executeBodyBytes, drainMs: readConfig({}).drainMs }
  const said = Object.fromEntries(rows.map(([name, value]) => [name.replaceAll('`', ''), Number(value)]))
  expect(said).toEqual(held)
  expect(operations).toContain(`the first ${maxActions} have figures of their own`)
  expect(operations).toContain(`not called for ${actionIdleMs / 60_000}\nminutes`)
})

test('documents every variable that the server reads', () => {
  const names = table(operations, 'variable | default |').map(([cell]) => cell.replaceAll('`', ''))
  expect(names.toSorted()).toEqual(variables.toSorted())
  const readme = read('README.md')
  for (const name of variables.filter((variable) => !/^(OTEL|NODE_ENV|NARROWAPI_WORKER$)/.test(variable))) {
    expect(readme).toContain(`\`${name}\``)
  }
})
