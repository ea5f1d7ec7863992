//! What ids tell apart: which slot something is in, and how often that was filled until then.

use alloc::format;
use canon_async::id::{HostTaskId, LendId};
use canon_async::storage::{Fixed, Key, Slab, Slot};

tests! {
    ids_of_the_core_are_a_word_without_a_heap,
    a_stale_id_names_nothing_until_its_slot_was_filled_a_million_times,
    generations_count_on_from_one,
}

/// How often a slot is filled before an id of the core may come again.
const GENERATIONS: u32 = if cfg!(feature = "alloc") { u32::MAX } else { (1 << 20) - 1 };

fn ids_of_the_core_are_a_word_without_a_heap() {
    let words = if cfg!(feature = "alloc") { 2 } else { 1 };
    assert_eq!(size_of::<Option<LendId>>(), words * 4);
    assert_eq!(size_of::<Option<HostTaskId>>(), 8);
}

fn a_stale_id_names_nothing_until_its_slot_was_filled_a_million_times() {
    let mut slab: Slab<LendId, u32, Fixed<Slot<u32>, 2>> = Slab::new();
    let stays = slab.insert(7).expect("room");
    let first = slab.insert(0).expect("room");
    assert_eq!((first.index(), first.as_u64()), (1, 1 << 32 | 1));
    assert_eq!(format!("{first:?}"), "LendId(1.1)");
    assert!(slab.insert(0).is_none() && slab.free(first) && !slab.free(first));
    for count in 2..=1_048_575 {
        let next = slab.insert(count).expect("room");
        assert!(next.index() == 1 && next > first && slab.get(first).is_none());
        assert_eq!((slab.get(next), next.as_u64()), (Some(&count), u64::from(count) << 32 | 1));
        assert!(slab.free(next) && slab.get(next).is_none());
    }
    let next = slab.insert(0).expect("room");
    assert_eq!(next == first, cfg!(not(feature = "alloc")));
    assert_eq!(slab.get(stays), Some(&7));
}

fn generations_count_on_from_one() {
    let last = LendId::after(5, GENERATIONS.wrapping_sub(1));
    assert_eq!((last.index(), last.generation().get()), (5, GENERATIONS));
    let next = LendId::after(5, last.stamp().get());
    assert_eq!((next.index(), next.generation().get()), (5, 1));
    let highest = LendId::after(4095, 0);
    assert_eq!((highest.index(), highest.generation().get()), (4095, 1));
}
