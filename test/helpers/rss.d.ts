/** Resident megabytes of a process; 0 where they cannot be read, or the process has ended. */
export function rssOf(pid: number | undefined): number
