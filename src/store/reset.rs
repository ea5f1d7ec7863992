//! A store that starts over, where it is.

use super::{Choose, Current, Store};
use crate::raise::Raiser;
use crate::state::Priority;
use crate::storage::{List, Profile, Slots as _};

impl<P: Profile> Store<P> {
    /// Forgets everything where it lies, the limits and the choices, too: the store is as [`Store::new`] makes it, but that ids with generations go on
    /// counting, so that one of what was there is not soon one of what comes ([`crate::id`]). The engine forgets its threads itself. For firmware that starts
    /// over. O(what is there).
    pub fn reset(&mut self) {
        let Self {
            raiser,
            ready_head,
            ready_tail,
            spawned,
            spawned_last,
            turns,
            current,
            leaf_storage,
            depth,
            switch_to,
            blamed,
            to_purge,
            host,
            choose,
            strict,
            unanswered,
            limits,
            root_quota,
            instances,
            tasks,
            threads,
            waitables,
            sets,
            streams,
            error_contexts,
            queued,
            lends,
            types,
            options,
            lifts,
            lowers,
        } = self;
        instances.clear();
        tasks.reset();
        threads.reset();
        waitables.reset();
        sets.reset();
        streams.reset();
        error_contexts.reset();
        queued.reset();
        lends.reset();
        types.reset();
        options.clear();
        lifts.clear();
        lowers.clear();
        *raiser = Raiser::EMPTY;
        (*ready_head, *ready_tail, *unanswered, *depth) = (0, 0, 0, 0);
        *spawned = [const { List::EMPTY }; Priority::COUNT];
        *spawned_last = false;
        *turns = 0;
        (*current, *leaf_storage, *switch_to) = (Current::None, [0; 2], None);
        (*blamed, *to_purge, *host) = (None, false, None);
        (*choose, *strict) = (Choose::Eager, false);
        (*limits, *root_quota) = (None, None);
    }
}
