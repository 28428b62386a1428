import { table } from '../report.ts'
import { behaviours, type Verdict } from './behaviours.ts'
import type { CallFigures } from './calls.ts'
import type { Installed } from './install.ts'
import { narrow, narrowClass, narrowFunctions, narrowNode, openapiFetch, type Peer } from './peers.ts'
import type { Sizes } from './sizes.ts'
import type { Checked } from './type-check.ts'

/** A figure that a peer of ours is to reach. */
type Goal = { what: string; figure: number | undefined; atMost?: number; atLeast?: number }

export const callTable = (figures: ReadonlyMap<Peer, CallFigures>): string =>
  section(
    'A list call to a server in another process on loopback; × are to raw fetch',
    ['× CPU', '× latency', '× calls/s at 64', '× CPU at 64', 'own µs', 'µs', 'calls/s at 64'],
    [...figures].map(([peer, call]) => ({
      peer,
      cells: [
        call.cpuRatio.toFixed(2),
        call.latencyRatio.toFixed(2),
        call.throughputRatio.toFixed(2),
        call.cpuRatioInFlight.toFixed(2),
        call.ownMicroseconds?.toFixed(1) ?? '',
        call.latencyMicroseconds.toFixed(0),
        call.callsPerSecond.toFixed(0),
      ],
      goals: callGoals(peer, call),
    })),
  )

const callGoals = (peer: Peer, { cpuRatio, latencyRatio, throughputRatio, ownMicroseconds }: CallFigures) => {
  if (peer === narrowNode) {
    return [
      { what: 'CPU', figure: cpuRatio, atMost: 0.8 },
      { what: 'latency', figure: latencyRatio, atMost: 0.7 },
      { what: 'calls/s', figure: throughputRatio, atLeast: 1.4 },
    ]
  }
  if (!narrow.includes(peer)) return []
  return [
    { what: 'CPU', figure: cpuRatio, atMost: 1.1 },
    { what: 'latency', figure: latencyRatio, atMost: 1.05 },
    { what: 'own µs', figure: ownMicroseconds, atMost: 10 },
  ]
}

export const sizeTable = (sizes: ReadonlyMap<Peer, Sizes>, installs: ReadonlyMap<Peer, Installed>): string =>
  section(
    'Bundle for a browser, minified, KiB in gzip: a client with a list and a create; everything. And what npm installs',
    ['two calls', 'everything', 'B per operation', 'install MiB', 'packages'],
    [...sizes].map(([peer, { twoCalls, whole }]) => {
      const { bytes = 0, packages = [] } = installs.get(peer) ?? {}
      return {
        peer,
        cells: [
          kibibytes(twoCalls).toFixed(2),
          whole ? kibibytes(whole.size).toFixed(2) : '',
          whole?.perOperation.toFixed(0) ?? '',
          (bytes / 2 ** 20).toFixed(2),
          String(packages.length),
        ],
        goals: [
          ...(peer === narrowFunctions
            ? [{ what: 'two calls', figure: kibibytes(twoCalls), atMost: 3 }]
            : []),
          ...(peer === narrowClass
            ? [
                { what: 'MiB', figure: bytes / 2 ** 20, atMost: 0.3 },
                { what: 'packages', figure: packages.length, atMost: 1 },
              ]
            : []),
          ...(whole
            ? [
                { what: 'everything', figure: kibibytes(whole.size), atMost: 8 },
                { what: 'B per operation', figure: whole.perOperation, atMost: 40 },
              ]
            : []),
        ],
      }
    }),
  )

const kibibytes = (bytes: number): number => bytes / 1024

export const importAndTypeTable = (
  imports: ReadonlyMap<Peer, number>,
  types: Readonly<Record<'javascript' | 'native', ReadonlyMap<Peer, Checked>>>,
): string => {
  const milliseconds = imports.get(openapiFetch) ?? Number.NaN
  const yardstick = milliseconds > 0 ? milliseconds : Number.NaN
  return section(
    'Import over an empty module, × is to openapi-fetch; type-check of five calls over those of raw fetch',
    ['× import', 'import ms', 'TypeScript 5.9 s', 'instantiations', 'TypeScript 7 s', 'instantiations'],
    [...imports].map(([peer, ms]) => {
      const [javascript, native] = [types.javascript.get(peer), types.native.get(peer)]
      return {
        peer,
        cells: [
          (ms / yardstick).toFixed(2),
          ms.toFixed(1),
          ...[javascript, native].flatMap((checked) => [
            checked ? signed(checked.seconds, 2) : '',
            checked ? signed(checked.instantiations, 0) : '',
          ]),
        ],
        goals: narrow.includes(peer)
          ? [
              ...(peer === narrowNode ? [] : importGoals(ms, yardstick)),
              { what: '5.9 s', figure: javascript?.seconds, atMost: 0.1 },
              { what: '7 s', figure: native?.seconds, atMost: 0.03 },
            ]
          : [],
      }
    }),
  )
}

/** The transport of Node imports what Node makes it of, which the goal is not about. */
const importGoals = (ms: number, yardstick: number): Goal[] => [
  { what: '× import', figure: ms / yardstick, atMost: 0.5 },
  { what: 'import ms', figure: ms, atMost: 2 },
]

const signed = (value: number, digits: number): string =>
  `${value < 0 ? '-' : '+'}${Math.abs(value).toFixed(digits)}`

export const behaviourTable = (verdicts: ReadonlyMap<Peer, readonly Verdict[]>): string => {
  const numbers = behaviours.map((_, index) => String(index + 1))
  const rows = [...verdicts].map(([peer, each]) => {
    const right = each.filter(({ instead }) => instead === undefined).length
    return {
      peer,
      cells: [String(right), ...each.map(({ instead }) => (instead === undefined ? 'yes' : '-'))],
      goals: narrow.includes(peer) ? [{ what: 'right', figure: right, atLeast: behaviours.length }] : [],
    }
  })
  const titles = behaviours.map(({ title }, index) => `${index + 1}. ${title}`)
  const wrongs = [...verdicts]
    .map(([{ name }, each]) => [name, insteadText(each)])
    .filter(([, text]) => text !== '')
  const title = 'Behaviour with default settings over real sockets'
  const legend = `${titles.join('\n')}\n\nInstead:\n\n${table(wrongs)}`
  return `${section(title, ['right', ...numbers], rows)}\n${legend}\n`
}

/** `1 2 4: fails with Error; 9: takes no signal` */
const insteadText = (verdicts: readonly Verdict[]): string => {
  const numbers = new Map<string, number[]>()
  for (const [index, { instead }] of verdicts.entries()) {
    if (instead !== undefined) numbers.set(instead, [...(numbers.get(instead) ?? []), index + 1])
  }
  return [...numbers].map(([instead, found]) => `${found.join(' ')}: ${instead}`).join('; ')
}

type Row = { peer: Peer; cells: readonly string[]; goals: readonly Goal[] }

const section = (title: string, head: readonly string[], rows: readonly Row[]): string => {
  const lines = rows.map(({ peer, cells, goals }) => [
    peer.name,
    ...cells,
    goals.flatMap(goalText).join(', '),
  ])
  return `\n${title}\n\n${table([['', ...head, 'goal'], ...lines])}\n`
}

/** Nothing about a figure that was not taken, or that a slow moment has made senseless. */
const goalText = ({ what, figure, atMost, atLeast }: Goal): string[] => {
  if (figure === undefined || Number.isNaN(figure)) return []
  const isMet =
    figure <= (atMost ?? Number.POSITIVE_INFINITY) && figure >= (atLeast ?? Number.NEGATIVE_INFINITY)
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`
  return [`${what} ${bound} ${isMet ? 'met' : 'MISSED'}`]
}
