/** One metric as Prometheus reads it. */
export type Exposed = { help: string; type: string; samples: Sample[] }
export type Sample = { name: string; labels: Record<string, string>; value: number }

const sampleLine = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const labelPair = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy

/** The text format 0.0.4. Throws at a line that is none, a sample before its type, a name or a series said twice. */
export const parseExposition = (text: string): Map<string, Exposed> => {
  const metrics = new Map<string, Exposed>()
  const series = new Set<string>()
  let current: { name: string; metric: Exposed } | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line) ?? []
    if (keyword === 'HELP') {
      if (metrics.has(name)) throw new Error(`${name} is described twice`)
      current = { name, metric: { help: rest, type: '', samples: [] } }
      metrics.set(name, current.metric)
    } else if (keyword === 'TYPE') {
      if (current?.name !== name) throw new Error(`${name} has a type and no help`)
      current.metric.type = rest
    } else {
      const sample = parseSample(line)
      if (!current || sample.name.replace(/_(bucket|sum|count)$/, '') !== current.name) {
        if (sample.name !== current?.name) throw new Error(`A sample under the wrong metric: ${line}`)
      }
      const key = line.slice(0, line.lastIndexOf(' '))
      if (series.has(key)) throw new Error(`A series is said twice: ${key}`)
      series.add(key)
      current.metric.samples.push(sample)
    }
  }
  return metrics
}

const parseSample = (line: string): Sample => {
  const [, name, labelText = '', figure] = sampleLine.exec(line) ?? []
  if (name === undefined || figure === undefined) throw new Error(`Not a line of the format: ${line}`)
  const labels: Record<string, string> = {}
  let read = 0
  for (const [pair, label = '', value = ''] of labelText.matchAll(labelPair)) {
    labels[label] = value.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    read += pair.length
  }
  if (read !== labelText.length) throw new Error(`Not labels: ${line}`)
  const value = figure === '+Inf' ? Number.POSITIVE_INFINITY : figure === 'Nan' ? Number.NaN : Number(figure)
  return { name, labels, value }
}

/** The one sample of that name whose labels include these; 0 when there is none yet. */
export const figure = (
  metrics: ReadonlyMap<string, Exposed>,
  name: string,
  labels: Record<string, string> = {},
): number => {
  const fits = [...metrics.values()]
    .flatMap(({ samples }) => samples)
    .filter(
      (sample) =>
        sample.name === name &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )
  if (fits.length > 1) throw new Error(`${name} ${JSON.stringify(labels)} names ${fits.length} series`)
  return fits[0]?.value ?? 0
}
