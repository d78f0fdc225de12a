/** A warning that Node gives about this process, such as listeners that pile up, is a bug of ours: it fails the run. */

/** What dependencies may use at their own risk. */
const OTHERS = new Set(['DeprecationWarning', 'ExperimentalWarning'])

process.on('warning', warning => {
  if (!OTHERS.has(warning.name)) throw warning
})
