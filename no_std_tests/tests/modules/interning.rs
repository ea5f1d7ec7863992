//! Interning: equal entries are found again, and those that are not are told apart whatever their hash.

use canon_async::storage::{Fixed, Hashed, Limit, Unique};

tests! {
    unique_equal_hashes_are_told_apart_and_full_tables_say_so,
}

fn unique_equal_hashes_are_told_apart_and_full_tables_say_so() {
    let mut table: Unique<u32, Fixed<Hashed<u32>, 100>> = Unique::EMPTY;
    for value in 0..99 {
        assert_eq!(table.add(7, value, Limit::new(99)), Some(value));
    }
    assert_eq!(table.add(7, 99, Limit::new(99)), None);
    assert_eq!(table.add(7, 99, Limit::NONE), Some(99));
    // The storage's own capacity.
    assert_eq!(table.add(7, 100, Limit::NONE), None);
    for value in 0..100 {
        assert_eq!(table.find(7, |found| *found == value), Some(value));
    }
    assert_eq!(table.find(7, |found| *found == 100), None);
    assert_eq!(table.find(8, |_| true), None);
}
