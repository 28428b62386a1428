import type { Constraint } from '@narrowapi/contract'

export type TimeWindow = Extract<Constraint, { op: 'time_window' }>
type Weekday = TimeWindow['days'][number]

/**
 * Whether a moment lies in a weekly window, on the clocks of the window's time zone. A window that is not over
 * by midnight belongs to the day it began on, and a repeated or skipped hour counts as the clocks show it.
 */
export const toTimeWindow = ({ days, from, to, timezone }: TimeWindow): ((now: Date) => boolean) => {
  const clock = new Intl.DateTimeFormat('en-US', {
    timeZone: timezone,
    weekday: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  })
  const start = minutesOf(from)
  const end = minutesOf(to)
  const isOn = (day: number) => days.some((name) => weekdays[(day + 7) % 7] === name)
  return (now) => {
    const parts = Object.fromEntries(clock.formatToParts(now).map(({ type, value }) => [type, value]))
    const minute = Number(parts.hour) * 60 + Number(parts.minute)
    const today = weekdays.findIndex((name) => parts.weekday?.toLowerCase().startsWith(name))
    if (start < end) return isOn(today) && minute >= start && minute < end
    return (isOn(today) && minute >= start) || (isOn(today - 1) && minute < end)
  }
}

export const isTimezone = (timezone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: timezone })
    return true
  } catch {
    return false
  }
}

const weekdays: readonly Weekday[] = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

const minutesOf = (time: string) => Number(time.slice(0, 2)) * 60 + Number(time.slice(3))
