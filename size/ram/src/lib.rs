//! A static for the store of each profile, and for those that have one more of a role: the difference is what one costs.
#![no_std]

use canon_async::{Store, bounded};

#[path = "../../../examples/profiles.rs"]
#[allow(unused_attributes, dead_code, reason = "it is a crate of its own, too")]
mod profiles;

#[used]
static SENSOR: Store<profiles::Sensor> = Store::new();
#[used]
static GATEWAY: Store<profiles::Gateway> = Store::new();
#[used]
static HUB: Store<profiles::Hub> = Store::new();

/// A store of so many of each role that comes and goes at run time.
macro_rules! store {
    ($static:ident $profile:ident $handles:literal $indices:literal $tasks:literal $threads:literal $waitables:literal
        $sets:literal $streams:literal $errors:literal $queued:literal $lends:literal) => {
        bounded! {
            /// One of the profiles that are compared.
            pub $profile {
                instances: 2, handles: $handles, thread_indices: $indices, tasks: $tasks, threads: $threads,
                waitables: $waitables, sets: $sets, streams: $streams, error_contexts: $errors, message_bytes: 64,
                queued: $queued, lends: $lends, types: 8, type_items: 8, resources: 1, functions: 8, depth: 4,
            }
        }
        #[used]
        static $static: Store<$profile> = Store::new();
    };
}

// Sixteen more of each, so that no padding hides.
store!(BASE Base 8 8 8 8 8 8 8 8 8 8);
store!(HANDLES Handles 24 8 8 8 8 8 8 8 8 8);
store!(THREAD_INDICES Indices 8 24 8 8 8 8 8 8 8 8);
store!(TASKS Tasks 8 8 24 8 8 8 8 8 8 8);
store!(THREADS Threads 8 8 8 24 8 8 8 8 8 8);
store!(WAITABLES Waitables 8 8 8 8 24 8 8 8 8 8);
store!(SETS Sets 8 8 8 8 8 24 8 8 8 8);
store!(STREAMS Streams 8 8 8 8 8 8 24 8 8 8);
store!(ERROR_CONTEXTS Errors 8 8 8 8 8 8 8 24 8 8);
store!(QUEUED Queued 8 8 8 8 8 8 8 8 24 8);
store!(LENDS Lends 8 8 8 8 8 8 8 8 8 24);
