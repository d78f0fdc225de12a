/** Says whether Ctrl+C was pressed. What is being written is finished first. */
export function stoppedByUser(): { isStopped(): boolean; done(): void } {
  let isStopped = false
  const stop = (): void => {
    isStopped = true
  }
  process.on('SIGINT', stop).on('SIGTERM', stop)
  return {
    isStopped: () => isStopped,
    done: () => {
      process.off('SIGINT', stop).off('SIGTERM', stop)
      if (isStopped) process.exitCode = 130
    },
  }
}
