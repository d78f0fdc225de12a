import type { Generation } from './generation.ts'
import { describeError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'

/**
 * Lets each part of a running gateway take over a configuration that is in effect already. The reload can no longer be
 * refused then: the failure of one part is logged, and the others take the configuration over. Never throws.
 */
export function takeOver(logger: Logger, parts: Readonly<Record<string, () => void>>): void {
  for (const [part, use] of Object.entries(parts))
    try {
      use()
    } catch (error) {
      logger.error(
        `The changed configuration is in effect, but ${part} could not take it over. Restart the gateway.`,
        { cause: describeError(error) },
      )
    }
}

/** Shows the lists that have changed since the generation was built; after a failure, later. Never rejects. */
export async function showLatest({ catalog }: Generation, logger: Logger): Promise<void> {
  try {
    await catalog.views.rebuild()
  } catch (error) {
    logger.warn('Lists that changed during the reload are shown later.', { cause: describeError(error) })
  }
}
