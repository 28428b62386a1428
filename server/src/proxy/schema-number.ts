/**
 * Whether `value` is a multiple of `step`, reckoned on the decimal text both numbers are written with, so that
 * 0.3 is a multiple of 0.1. Binary division would say that it is not.
 */
export const isMultipleOf = (value: number, step: number): boolean => {
  if (Number.isSafeInteger(value) && Number.isSafeInteger(step)) return value % step === 0
  if (!Number.isFinite(value)) return false
  const a = decimalOf(value)
  const b = decimalOf(step)
  const exponent = Math.min(a.exponent, b.exponent)
  return scaled(a, exponent) % scaled(b, exponent) === 0n
}

type Decimal = { digits: bigint; exponent: number }

const decimalOf = (value: number): Decimal => {
  const [mantissa = '', exponent = '0'] = String(value).split('e')
  const [whole = '', fraction = ''] = mantissa.split('.')
  return { digits: BigInt(whole + fraction), exponent: Number(exponent) - fraction.length }
}

// A double spans 10^-324 to 10^308, so the power never has more than some 650 digits.
const scaled = ({ digits, exponent }: Decimal, to: number): bigint => digits * 10n ** BigInt(exponent - to)
