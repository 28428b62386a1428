import { type ApiKey, defaultScopes, expandScopes, type GrantedScope } from '@narrowapi/contract'
import { isWithin } from '../../addresses.ts'
import { ApiError } from '../../errors.ts'

/**
 * The scopes of a new key: nothing its maker lacks. Without a wish it gets the default, narrowed to what the
 * maker has, so that a narrow key can still make keys.
 */
export const grantedScopes = (
  own: readonly GrantedScope[],
  wanted: readonly GrantedScope[] | undefined,
): GrantedScope[] => {
  const mine = new Set<GrantedScope>([...own, ...expandScopes(own)])
  // A shorthand also stands for what is added one day, so holding all that it means today is not enough.
  const isMine = (scope: GrantedScope) => mine.has('*') || mine.has(scope)
  if (wanted === undefined) {
    return defaultScopes.every(isMine)
      ? [...defaultScopes]
      : [...expandScopes(defaultScopes)].filter((scope) => mine.has(scope))
  }
  const excess = wanted.find((scope) => !isMine(scope))
  if (excess !== undefined) {
    throw new ApiError(
      'forbidden',
      `A key cannot be wider than the key that makes it: yours lacks ${excess}`,
      {
        required_scope: excess,
      },
    )
  }
  return [...new Set(wanted)]
}

/** A key never outlives the key that made it; without a wish it lives as long. */
export const grantedExpiry = (maker: Pick<ApiKey, 'expires_at'>, wanted: string | null): string | null => {
  if (maker.expires_at !== null && wanted !== null && wanted > maker.expires_at) {
    throw new ApiError(
      'forbidden',
      `A key cannot outlive the key that makes it: yours ends at ${maker.expires_at}`,
    )
  }
  return wanted ?? maker.expires_at
}

/** A key opens nothing from where the key that made it does not; without a wish it is bound as that one is. */
export const grantedAddresses = (
  maker: Pick<ApiKey, 'allowed_ips'>,
  wanted: string[] | null,
): string[] | null => {
  const own = maker.allowed_ips
  const outside = own && wanted?.find((entry) => !isWithin(entry, own))
  if (outside) {
    throw new ApiError(
      'forbidden',
      `A key cannot be used from more addresses than the key that makes it: yours lacks ${outside}`,
    )
  }
  return wanted ?? own
}

/** Whether a key can make another: who has lost the last of these is locked out for good. */
export const makesKeys = ({ scopes, status, allowed_ips }: Omit<KeyMaker, 'id' | 'expires_at'>): boolean =>
  status === 'active' && expandScopes(scopes).has('api-keys:write') && allowed_ips?.length !== 0

export type KeyMaker = Pick<ApiKey, 'id' | 'scopes' | 'status' | 'allowed_ips' | 'expires_at'>

/** A key that ends earlier is no replacement: it can make none that lasts longer. */
export const checkNotLastKeyMaker = (key: KeyMaker, keyMakers: readonly KeyMaker[]): void => {
  const others = keyMakers.filter(({ id }) => id !== key.id)
  const lastsAsLong = ({ expires_at }: KeyMaker) =>
    expires_at === null || (key.expires_at !== null && expires_at >= key.expires_at)
  if (!makesKeys(key) || others.some(lastsAsLong)) return
  throw new ApiError(
    'in_use',
    others.length === 0
      ? 'This is the last key that can create keys: create another one first'
      : 'Other keys that can create keys end before this one: create one first that lasts as long',
  )
}
