/** Browsers and some workers have no environment; Deno throws when the program may not read it. */
export const environment = (name: string): string | undefined => {
  try {
    return globalThis.process?.env?.[`NARROWAPI_${name}`] || undefined
  } catch {
    return undefined
  }
}
