import { defineConfig } from 'vitest/config'

const faults = 'test/faults/**/*.test.ts'

export default defineConfig({
  test: {
    globalSetup: ['test/support/postgres.ts', 'test/support/run-folder.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    restoreMocks: true,
    projects: [
      {
        extends: true,
        test: {
          name: 'suite',
          include: ['{contract,server,sdk,openapi}/src/**/*.test.ts', 'test/**/*.test.ts'],
          exclude: ['**/node_modules/**', faults],
          sequence: { groupOrder: 0 },
        },
      },
      {
        // They mostly wait, for limits that are theirs to wait for, so more of them than cores run at once. Each
        // starts several processes, which takes as long as the machine is busy.
        extends: true,
        test: {
          name: 'faults',
          include: [faults],
          maxWorkers: 4,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
})
