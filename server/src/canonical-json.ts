/**
 * One text for every JSON value: equal values, whatever the order of their keys, have equal texts. Serves as a
 * cache key and to compare values without comparing each with each. The caller has bounded the depth.
 */
export const canonicalText = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  if (value !== null && typeof value === 'object') {
    const members = Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => `${JSON.stringify(key)}:${canonicalText(member)}`)
    return `{${members.join(',')}}`
  }
  // JSON has one zero; JSON.stringify writes it as 0 with either sign.
  return JSON.stringify(value) ?? 'null'
}
