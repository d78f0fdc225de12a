/** Public API, for embedding the gateway in another program. Everything else in this package is its own. */
export { createGateway, type GatewayOptions } from './embedding/create-gateway.ts'
export type { CloseOptions, Gateway, GatewayStatus, Listening, StdioOptions } from './embedding/gateway.ts'
export type { HostLogger } from './embedding/host-logger.ts'
export {
  loadConfig,
  type ConfigObject,
  type ConfigSource,
  type LoadOptions,
} from './embedding/load-config.ts'
export type { Config } from './config/types.ts'
export type { ServersFile } from './config/options/file.ts'
export { GatewayError, type ErrorCode } from './core/errors.ts'
export type { EventListener } from './core/event-bus.ts'
export type { EventOf, EventType, GatewayEvent } from './core/events.ts'
export type { RequestHandler } from './front/http/mount.ts'
export type { HandlerOptions } from './gateway/http-fronts.ts'
export type { ReloadReport } from './gateway/reload-report.ts'
export type { ReplicaStatus, ServerStatus } from './gateway/status.ts'
export { EventQueue, type EventQueueOptions } from './observe/event-queue.ts'
export type { Store } from './state/store.ts'
