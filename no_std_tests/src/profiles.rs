//! The bounded profiles that the cases run on.

use canon_async::bounded;

bounded! {
    /// As little as most cases can do with: those that need more say so in their table.
    pub Tight {
        instances: 4, handles: 6, thread_indices: 3, tasks: 3, threads: 4, waitables: 4, sets: 2, streams: 2,
        error_contexts: 2, message_bytes: 16, queued: 1, lends: 1, types: 26, type_items: 20, resources: 1, functions: 24, depth: 6,
    }
}

bounded! {
    /// Enough for every case.
    pub Roomy {
        instances: 6, handles: 24, thread_indices: 12, tasks: 12, threads: 20, waitables: 20, sets: 8,
        streams: 10, error_contexts: 6, message_bytes: 64, queued: 8, lends: 8, types: 32, type_items: 32,
        resources: 4, functions: 48, depth: 12,
    }
}

// What a store of each takes, so that a change of the core's shape is seen.
const _: () = assert!(size_of::<canon_async::Store<Tight>>() <= 8 * 1024);
const _: () = assert!(size_of::<canon_async::Store<Roomy>>() <= 24 * 1024);
