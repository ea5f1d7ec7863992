canon_async::bounded! {
    /// What pipeline needs of a store.
    ///
    /// instances, types, type_items, resources and functions: what linking takes, at most.
    /// The others: an estimate for 1 call of the host at a time, in which each use of a built-in
    /// is under way once. The error of a capacity that is too small names it.
    /// For one component alone, give it everything: `store.set_root_limits(Limits::STORAGE)`.
    pub Profile {
        instances: 5,
        handles: 5,
        thread_indices: 1,
        tasks: 3,
        threads: 3,
        waitables: 6,
        sets: 3,
        streams: 2,
        error_contexts: 0,
        message_bytes: 0,
        queued: 3,
        lends: 0,
        types: 3,
        type_items: 3,
        resources: 0,
        functions: 10,
        depth: 4,
    }
}
