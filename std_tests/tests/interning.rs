//! Interning: equal entries are found again in a few steps, however many there are. Comparisons are counted, not time.

use canon_async::abi::types::{FuncType, NewType, Types, ValType};
use canon_async::id::{FuncTypeId, ResourceId, TypeId};
use canon_async::spec::{MAX_TYPE_DEPTH, PtrType};
use canon_async::storage::{Growable, Hashed, Limit, Limits, Unique};
use canon_async::{Error, Heap, Store};
use std::collections::BTreeSet;

const MANY: u32 = 40_000;

/// With a fixed number of buckets the mean would be in the hundreds.
#[test]
fn unique_forty_thousand_entries_are_found_in_few_steps() {
    for stride in [1, 8, 1 << 16, 0x9e37_79b1] {
        let mut table: Unique<u32, Growable<Hashed<u32>>> = Unique::EMPTY;
        let (mut steps, mut longest) = (0, 0);
        for value in 0..MANY {
            let hash = value.wrapping_mul(stride).rotate_left(u32::from(stride == 1 << 16));
            let walked = table.steps(hash);
            (steps, longest) = (steps + walked, longest.max(walked));
            assert_eq!(table.find(hash, |found| *found == value), None);
            assert_eq!(table.add(hash, value, Limit::NONE), Some(value));
            assert_eq!(table.find(hash, |found| *found == value), Some(value));
        }
        assert!(steps < 2 * MANY as usize, "stride {stride}: {steps} comparisons");
        assert!(longest <= 16, "stride {stride}: {longest} comparisons at once");
    }
}

fn roomy() -> Store<Heap> {
    Store::with_limits(Limits::HEAP.with_types(u32::MAX).with_type_items(u32::MAX))
}

/// Types that differ little are what components are full of: records of one field, of three fields, lists of them.
#[test]
fn intern_forty_thousand_types_hashes_hardly_collide() -> Result<(), Error> {
    let mut store = roomy();
    let types = store.types_mut();
    let mut last = types.intern(NewType::List(ValType::U8), 0)?;
    for index in 1..MANY / 4 {
        // Each of an own type, which nests no deeper for it.
        let own = ValType::Defined(types.intern(NewType::Record(&[Some(ValType::U8)]), index)?);
        let three = [Some(ValType::U8), Some(own), Some(ValType::String)];
        last = types.intern(NewType::Record(&[Some(own)]), 0)?;
        types.intern(NewType::Record(&three), index)?;
        types.intern(NewType::List(own), 7)?;
    }
    let hashes: BTreeSet<u32> = types.type_hashes().collect();
    let all = types.type_hashes().count();
    assert!(all > MANY as usize - 100 && hashes.len() > all - 100, "{} hashes of {all} types", hashes.len());
    let own = ValType::Defined(types.intern(NewType::Record(&[Some(ValType::U8)]), MANY / 4 - 1)?);
    assert_eq!(types.intern(NewType::Record(&[Some(own)]), 0), Ok(last));
    assert_eq!(types.type_hashes().count(), all);
    Ok(())
}

#[test]
fn intern_the_same_stream_or_future_twice_is_one_type() -> Result<(), Error> {
    let mut store = roomy();
    let types = store.types_mut();
    let elements = [None, Some(ValType::U8), Some(ValType::String)];
    let mut all = BTreeSet::new();
    for element in elements {
        for new in [NewType::Stream(element), NewType::Future(element)] {
            let id = types.intern(new, 0)?;
            assert_eq!(types.intern(new, 0), Ok(id));
            all.insert(id);
        }
    }
    assert_eq!(all.len(), 2 * elements.len());
    Ok(())
}

#[test]
fn intern_forty_thousand_function_types_hashes_hardly_collide() -> Result<(), Error> {
    let mut store = roomy();
    let types = store.types_mut();
    let func = |params: TypeId| FuncType { params, result: None, is_async: true };
    for index in 0..MANY {
        let params = types.intern(NewType::Record(&[]), index)?;
        assert_eq!(types.intern_func(func(params)), Ok(FuncTypeId::from_index(index)));
    }
    let hashes: BTreeSet<u32> = types.func_hashes().collect();
    assert!(hashes.len() > MANY as usize - 100, "{} hashes of {MANY} function types", hashes.len());
    Ok(())
}

/// The hash of a type says where it may be found, not what it is.
#[test]
fn intern_types_of_equal_hash_are_told_apart() -> Result<(), Error> {
    // As the hash is made: of the names, of the kind (6 and 7) and of the resource.
    let after = |kind: u32| ((0x811c_9dc5u32.wrapping_mul(0x0100_0193)) ^ kind).wrapping_mul(0x0100_0193);
    let (own, borrow) = (5, 5 ^ after(6) ^ after(7));
    let mut store = roomy();
    let types = store.types_mut();
    let own = types.intern(NewType::Own(ResourceId::from_index(own)), 0)?;
    let borrow = types.intern(NewType::Borrow(ResourceId::from_index(borrow)), 0)?;
    let hashes: Vec<u32> = types.type_hashes().collect();
    assert_eq!(hashes[0], hashes[1], "they no longer collide, which this test needs");
    assert_ne!(own, borrow);
    Ok(())
}

/// Types of every kind nest as deep as [`MAX_TYPE_DEPTH`] says, and no deeper.
#[test]
fn intern_nested_to_the_last_level_and_no_further() -> Result<(), Error> {
    type Wrap = fn(&mut Types<Heap>, ValType) -> Result<TypeId, Error>;
    let wraps: [Wrap; 6] = [
        |types, ty| types.intern(NewType::Record(&[Some(ValType::U8), Some(ty)]), 0),
        |types, ty| types.intern(NewType::Variant(&[None, Some(ty)]), 0),
        |types, ty| types.intern(NewType::List(ty), 0),
        |types, ty| types.intern(NewType::FixedList(ty, 1), 0),
        |types, ty| types.intern(NewType::Stream(Some(ty)), 0),
        |types, ty| types.intern(NewType::Future(Some(ty)), 0),
    ];
    for (number, wrap) in wraps.into_iter().enumerate() {
        let mut store = roomy();
        let mut ty = ValType::U8;
        for level in 1..=MAX_TYPE_DEPTH {
            ty = ValType::Defined(wrap(store.types_mut(), ty).unwrap_or_else(|error| {
                panic!("kind {number} is refused at level {level}: {error}");
            }));
        }
        let deeper = wrap(store.types_mut(), ty);
        assert!(matches!(deeper, Err(Error::Misuse(_))), "kind {number}: {deeper:?}");
    }
    Ok(())
}

/// `alignment` and `elem_size` of what holds no pointer, in memories of both widths.
#[test]
fn layouts_are_those_of_the_spec() -> Result<(), Error> {
    let mut store = roomy();
    let types = store.types_mut();
    let resource = ResourceId::from_index(0);
    for (new, size, align) in [
        (NewType::Flags(1), 1, 1),
        (NewType::Flags(8), 1, 1),
        (NewType::Flags(9), 2, 2),
        (NewType::Flags(16), 2, 2),
        (NewType::Flags(17), 4, 4),
        (NewType::Flags(32), 4, 4),
        (NewType::Own(resource), 4, 4),
        (NewType::Borrow(resource), 4, 4),
        (NewType::Stream(None), 4, 4),
        (NewType::Stream(Some(ValType::U64)), 4, 4),
        (NewType::Future(None), 4, 4),
        (NewType::Future(Some(ValType::U64)), 4, 4),
        (NewType::Variant(&[None; 2]), 1, 1),
        (NewType::Variant(&[None; 256]), 1, 1),
        (NewType::Variant(&[None; 257]), 2, 2),
        (NewType::Variant(&[None, Some(ValType::U8)]), 2, 1),
        (NewType::Variant(&[Some(ValType::U64), Some(ValType::U8)]), 16, 8),
        (NewType::Record(&[]), 0, 1),
        (NewType::Record(&[Some(ValType::U8), Some(ValType::U16), Some(ValType::U8)]), 6, 2),
        (NewType::FixedList(ValType::U16, 3), 6, 2),
    ] {
        let ty = ValType::Defined(types.intern(new, 0)?);
        let layout = types.layout(ty).expect("it was interned");
        for pointers in [PtrType::I32, PtrType::I64] {
            assert_eq!((layout.size(pointers), layout.align(pointers)), (size, align), "{new:?}");
        }
    }
    Ok(())
}
