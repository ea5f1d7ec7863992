//! Three profiles for parts of three sizes, and what a store of each takes, checked at compile time: a budget of RAM in the user's own code.
//!
//! `cargo run --example profiles` prints the sizes on this machine; on a 32-bit part they are a little less, and
//! `cargo check --example profiles --no-default-features --target thumbv7em-none-eabihf` checks those.
#![cfg_attr(target_os = "none", no_std, no_main)]

use canon_async::{Store, bounded};

bounded! {
    /// 16 KB of RAM: one component that answers the host, with a call or two under way.
    pub Sensor {
        instances: 2, handles: 8, thread_indices: 2, tasks: 2, threads: 2, waitables: 4, sets: 1,
        streams: 2, error_contexts: 1, message_bytes: 32, queued: 1, lends: 1, types: 16, type_items: 24,
        resources: 1, functions: 8, depth: 4,
    }
}

bounded! {
    /// 64 KB of RAM: a few components that call each other.
    pub Gateway {
        instances: 4, handles: 16, thread_indices: 4, tasks: 8, threads: 10, waitables: 16, sets: 4,
        streams: 8, error_contexts: 2, message_bytes: 64, queued: 4, lends: 4, types: 48, type_items: 96,
        resources: 4, functions: 32, depth: 8,
    }
}

bounded! {
    /// 256 KB of RAM: tens of components, and tens of calls under way.
    pub Hub {
        instances: 16, handles: 64, thread_indices: 16, tasks: 32, threads: 48, waitables: 96, sets: 16,
        streams: 32, error_contexts: 8, message_bytes: 128, queued: 16, lends: 16, types: 192, type_items: 512,
        resources: 16, functions: 192, depth: 16,
    }
}

// Without a heap, where ids are shorter.
#[cfg(all(target_pointer_width = "32", not(feature = "alloc")))]
const _: () = {
    assert!(size_of::<Store<Sensor>>() <= 4 * 1024);
    assert!(size_of::<Store<Gateway>>() <= 12 * 1024 + 512);
    assert!(size_of::<Store<Hub>>() <= 75 * 1024);
};
#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(size_of::<Store<Sensor>>() <= 5 * 1024);
    assert!(size_of::<Store<Gateway>>() <= 14 * 1024);
    assert!(size_of::<Store<Hub>>() <= 84 * 1024);
};

#[cfg(not(target_os = "none"))]
fn main() {
    // A store is empty when it begins, so it can be a `static`.
    static SENSOR: Store<Sensor> = Store::new();
    assert!(SENSOR.is_idle());
    println!("Sensor   {:6} bytes", size_of::<Store<Sensor>>());
    println!("Gateway  {:6} bytes", size_of::<Store<Gateway>>());
    println!("Hub      {:6} bytes", size_of::<Store<Hub>>());
}

/// Nothing is left to run where there is nothing to print on.
#[cfg(target_os = "none")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
