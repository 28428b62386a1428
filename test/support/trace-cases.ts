/** What a caller sends about its trace, header by header, and whether its trace is then continued. */
export type TraceCase = { name: string; headers: readonly string[]; continued: boolean }

export const callerTrace = '12345678901234567890123456789012'
export const callerSpan = '1234567890123456'
const valid = `traceparent: 00-${callerTrace}-${callerSpan}-01`

const traceparents = (name: string, continued: boolean, ...values: string[]): TraceCase[] =>
  values.map((value) => ({ name: `${name}: ${value}`, headers: [`traceparent: ${value}`], continued }))

const tracestates = (name: string, ...headers: (string | readonly string[])[]): TraceCase[] =>
  headers.map((lines) => ({
    name: `${name}: ${String(lines).slice(0, 60)}`,
    headers: [valid, ...[lines].flat()],
    continued: true,
  }))

const members = (count: number, from = 0): string =>
  Array.from(
    { length: count },
    (_, index) => `bar${String(from + index).padStart(2, '0')}=${from + index}`,
  ).join(',')

/** The cases that W3C's own suite for Trace Context has for one request, as what must come of each here. */
export const traceCases: readonly TraceCase[] = [
  { name: 'neither header', headers: [], continued: false },
  { name: 'traceparent alone', headers: [valid], continued: true },
  {
    name: 'traceparent twice',
    headers: [`traceparent: 00-${callerTrace.replace('1', '2')}-${callerSpan}-01`, valid],
    continued: false,
  },
  {
    name: 'another name, with a hyphen',
    headers: [valid.replace('traceparent', 'trace-parent')],
    continued: false,
  },
  {
    name: 'another name, with a dot',
    headers: [valid.replace('traceparent', 'trace.parent')],
    continued: false,
  },
  ...['TraceParent', 'TrAcEpArEnT', 'TRACEPARENT'].map((name) => ({
    name: `the name in any case: ${name}`,
    headers: [valid.replace('traceparent', name)],
    continued: true,
  })),
  ...traceparents(
    'version 00 that goes on',
    false,
    `00-${callerTrace}-${callerSpan}-01.`,
    `00-${callerTrace}-${callerSpan}-01-what-the-future-will-be-like`,
  ),
  ...traceparents(
    'a later version',
    true,
    `cc-${callerTrace}-${callerSpan}-01`,
    `cc-${callerTrace}-${callerSpan}-01-what-the-future-will-be-like`,
  ),
  ...traceparents(
    'a later version that breaks the common part',
    false,
    `cc-${callerTrace}-${callerSpan}-01.what-the-future-will-not-be-like`,
  ),
  ...traceparents('version ff', false, `ff-${callerTrace}-${callerSpan}-01`),
  ...traceparents(
    'a version that is none',
    false,
    ...['.0', '0.', '000', '0000', '0', 'CC'].map((version) => `${version}-${callerTrace}-${callerSpan}-01`),
  ),
  ...traceparents(
    'a trace id that is none',
    false,
    ...[
      '0'.repeat(32),
      `.${callerTrace.slice(1)}`,
      `${callerTrace.slice(0, -1)}.`,
      `${callerTrace}3`,
      callerTrace.slice(1),
      `${callerTrace.slice(0, -1)}A`,
    ].map((traceId) => `00-${traceId}-${callerSpan}-01`),
  ),
  ...traceparents(
    'a parent id that is none',
    false,
    ...[
      '0'.repeat(16),
      `.${callerSpan.slice(1)}`,
      `${callerSpan.slice(0, -1)}.`,
      `${callerSpan}7`,
      callerSpan.slice(1),
    ].map((parentId) => `00-${callerTrace}-${parentId}-01`),
  ),
  ...traceparents(
    'flags that are none',
    false,
    ...['.0', '0.', '001', '1', ''].map((flags) => `00-${callerTrace}-${callerSpan}-${flags}`),
  ),
  ...[` 00-`, '\t00-', ' \t 00-'].map((start) => ({
    name: `space around the value: ${JSON.stringify(start)}`,
    headers: [`${valid.replace(' 00-', start)} \t`],
    continued: true,
  })),
  { name: 'tracestate alone', headers: ['tracestate: foo=1'], continued: false },
  ...tracestates('tracestate', 'tracestate: foo=1,bar=2'),
  ...tracestates('another name than tracestate', 'trace-state: foo=1', 'trace.state: foo=1'),
  ...tracestates('tracestate in any case', 'TraceState: foo=1', 'TRACESTATE: foo=1'),
  ...tracestates(
    'an empty tracestate',
    'tracestate:',
    ['tracestate: foo=1', 'tracestate:'],
    ['tracestate:', 'tracestate: foo=1'],
  ),
  ...tracestates('several tracestates', [
    'tracestate: foo=1,bar=2',
    'tracestate: rojo=1,congo=2',
    'tracestate: baz=3',
  ]),
  ...tracestates(
    'a key twice',
    'tracestate: foo=1,foo=1',
    'tracestate: foo=1,foo=2',
    ['tracestate: foo=1', 'tracestate: foo=1'],
    ['tracestate: foo=1', 'tracestate: foo=2'],
  ),
  ...tracestates('every allowed character', `tracestate: ${allowedKey()}=${allowedValue()}`),
  ...tracestates(
    'space around members',
    'tracestate: foo=1 \t , \t bar=2, \t baz=3',
    'tracestate: foo=1 \t \t ',
  ),
  ...tracestates('a key that is none', 'tracestate: foo =1', 'tracestate: FOO=1', 'tracestate: foo.bar=1'),
  ...tracestates(
    'a vendor that is none',
    'tracestate: foo@=1,bar=2',
    'tracestate: @foo=1,bar=2',
    'tracestate: foo@@bar=1,bar=2',
    'tracestate: foo@bar@baz=1,bar=2',
  ),
  ...tracestates('32 and 33 members', `tracestate: ${members(32)}`, `tracestate: ${members(33)}`),
  ...tracestates(
    'keys at their longest and beyond',
    `tracestate: ${'z'.repeat(256)}=1`,
    `tracestate: ${'z'.repeat(257)}=1`,
    `tracestate: ${'t'.repeat(241)}@${'v'.repeat(14)}=1`,
    `tracestate: ${'t'.repeat(242)}@v=1`,
    `tracestate: t@${'v'.repeat(15)}=1`,
  ),
  ...tracestates('a value that is none', 'tracestate: foo=bar=baz', 'tracestate: foo=,bar=3'),
]

function allowedKey(): string {
  return 'abcdefghijklmnopqrstuvwxyz0123456789_-*/'
}

function allowedValue(): string {
  return Array.from({ length: 0x7e - 0x20 + 1 }, (_, index) => String.fromCharCode(0x20 + index))
    .filter((character) => !',='.includes(character))
    .join('')
    .concat('~')
}
