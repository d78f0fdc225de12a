/** Public API, for embedding the gateway in another program. */
export { createGateway, type Gateway, type GatewayOptions } from './gateway/gateway.ts'
export type { ServerStatus } from './gateway/status.ts'
export { configFrom, loadConfig, type LoadOptions } from './config/load/load.ts'
export type { Config } from './config/types.ts'
export { GatewayError, type ErrorCode } from './core/errors.ts'
export { SILENT, type Logger } from './core/logger.ts'
export type { Store } from './state/store.ts'
