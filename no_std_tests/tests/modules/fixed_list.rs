//! Fixed-length lists. The same tests on every tier.

use crate::common::fresh;
use alloc::format;
use alloc::vec::Vec;
use canon_async::abi::types::{NewType, ValType};
use canon_async::ambient::{self, Limits, capacity};
use canon_async::fixed_list::{Element, ListTypeError};
use canon_async::prelude::*;
use canon_async::spec::PtrType;
use canon_async::{Resource, Trap};

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn ty(element: ValueType, length: u32) -> FixedLengthListType {
    FixedLengthListType::new(element, length)
}

fn typed_list_is_an_array_with_a_layout() -> Result<(), Error> {
    let _one = fresh();
    let mut list = FixedList::new([1u16, 2, 3]);
    list[1] = 7;
    list.iter_mut().for_each(|item| *item += 1);
    assert_eq!(list.as_slice(), [2, 8, 4]);
    assert_eq!(list.into_array(), [2, 8, 4]);
    assert_eq!(list.into_iter().sum::<u16>(), 14);
    assert_eq!((&list).into_iter().max(), Some(&8));
    assert_eq!(FixedList::<u16, 3>::from_slice(&[2, 8, 4])?, list);
    assert!(is_misuse(FixedList::<u16, 3>::from_slice(&[2, 8])));
    assert_eq!(FixedList::<i32, 3>::range(i32::MAX - 1), [i32::MAX - 1, i32::MAX, i32::MIN].into());
    let five: FixedList<u16, 5> = list.concatenate(FixedList::<u16, 2>::from_fn(|index| index as u16));
    assert_eq!(five, [2, 8, 4, 0, 1].into());
    assert_eq!(five.slice::<2, 3>(), [4, 0, 1].into());
    assert_eq!(FixedList::<char, 2>::default(), ['\0', '\0'].into());
    Ok(())
}

/// What the compiler takes for the layout is what the Canonical ABI has, as the store works it out.
fn same_layout<T: Element, const N: usize>() -> Result<(), Error> {
    ambient::core(|core| {
        let id = FixedList::<T, N>::type_id(core.store.types_mut())?;
        let layout = core.store.types().layout(ValType::Defined(id)).expect("it was added");
        for pointers in [PtrType::I32, PtrType::I64] {
            assert_eq!(layout.size(pointers), FixedList::<T, N>::SIZE);
            assert_eq!(layout.align(pointers), FixedList::<T, N>::ALIGNMENT);
        }
        // Equal types of one store have one id.
        assert_eq!(FixedList::<T, N>::type_id(core.store.types_mut())?, id);
        Ok(())
    })?
}

fn typed_list_layout_is_the_canonical_abis() -> Result<(), Error> {
    let _one = fresh();
    same_layout::<bool, 3>()?;
    same_layout::<u8, 1>()?;
    same_layout::<i16, 5>()?;
    same_layout::<char, 2>()?;
    same_layout::<f32, 7>()?;
    same_layout::<i64, 3>()?;
    same_layout::<FixedList<u16, 3>, 4>()
}

fn typed_list_goes_through_bytes() -> Result<(), Error> {
    let nested = FixedList::new([FixedList::new([1u16, 2, 3]), FixedList::new([4, 5, 0x1234])]);
    let mut bytes = [0xaa; 13];
    nested.store(&mut bytes)?;
    assert_eq!(bytes, [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 0x34, 0x12, 0xaa]);
    assert_eq!(FixedList::<FixedList<u16, 3>, 2>::load(&bytes)?, nested);
    assert!(is_misuse(nested.store(&mut bytes[..11])));
    assert!(is_misuse(FixedList::<u64, 2>::load(&bytes)));
    // Bools are any bits, chars are not.
    assert_eq!(FixedList::<bool, 3>::load(&[0, 1, 9])?, [false, true, true].into());
    assert_eq!(FixedList::<char, 1>::load(&[0, 0xd8, 0, 0]), Err(Trap::InvalidChar(0xd800).into()));
    Ok(())
}

fn typed_and_dynamic_lists_convert() -> Result<(), Error> {
    let _one = fresh();
    let typed = FixedList::new([1.5f64, -2.0]);
    let dynamic = typed.to_dynamic()?;
    assert_eq!(dynamic.list_type(), ty(ValueType::F64, 2));
    assert_eq!(FixedList::<f64, 2>::try_from(&dynamic)?, typed);
    assert!(is_misuse(FixedList::<f64, 3>::try_from(&dynamic)));
    assert!(is_misuse(FixedList::<i64, 2>::try_from(&dynamic)));
    let missing = FixedLengthList::new(ty(ValueType::F64, 2))?;
    assert!(is_misuse(FixedList::<f64, 2>::try_from(&missing)));
    Ok(())
}

fn dynamic_list_takes_its_length_and_its_type_alone() -> Result<(), Error> {
    let _one = fresh();
    let mut list = FixedLengthList::new(ty(ValueType::U8, 2))?;
    assert!(is_misuse(list.push(ComponentValue::S8(1))));
    list.push(1u8.into())?;
    assert!(is_misuse(list.clone().freeze()));
    assert!(!list.is_complete() && list.complete().is_err());
    list.push(2u8.into())?;
    assert!(is_misuse(list.push(3u8.into())));
    assert_eq!(list.set(1, 9u8.into())?, 2u8.into());
    assert!(is_misuse(list.set(2, 9u8.into())));
    assert!(is_misuse(list.set(0, true.into())));
    assert_eq!(list.as_slice(), [1u8.into(), 9u8.into()]);
    let frozen = list.clone().freeze()?;
    assert_eq!(frozen.get(1), Some(&9u8.into()));
    assert_eq!((&*frozen).into_iter().count(), 2);
    assert_eq!(frozen.thaw(), list);
    Ok(())
}

fn dynamic_list_of_an_impossible_type_is_misuse() {
    let _one = fresh();
    assert!(is_misuse(FixedLengthList::new(ty(ValueType::U8, 0))));
    assert!(is_misuse(ty(ValueType::U64, 1 << 25).check()));
    assert!(ty(ValueType::U64, (1 << 25) - 1).check().is_ok());
    assert!(is_misuse(ty(ValueType::U64, u32::MAX).check()));
    // As wide as the wider of two memories has it.
    assert!(is_misuse(ty(ValueType::String, 1 << 24).check()));
}

fn utilities_concatenate_and_slice() -> Result<(), Error> {
    let _one = fresh();
    let (a, b) = (fixed_list_utils::from_range(0, 3)?, fixed_list_utils::from_range(-2, 0)?);
    let both = fixed_list_utils::concatenate(&a, &b)?;
    assert_eq!(both.list_type(), ty(ValueType::I32, 5));
    assert!([0, 1, 2, -2, -1].map(ComponentValue::I32).iter().eq(&both));
    assert_eq!(fixed_list_utils::slice(&both, 3..5)?, b);
    assert!(is_misuse(fixed_list_utils::slice(&both, 4..6)));
    assert!(is_misuse(fixed_list_utils::slice(&both, 2..2)));
    assert!(is_misuse(fixed_list_utils::from_range(3, 3)));
    assert!(is_misuse(fixed_list_utils::from_range(i32::MIN, i32::MAX)));
    assert!(is_misuse(fixed_list_utils::from_range(1, 0)));
    assert!(is_misuse(fixed_list_utils::concatenate(&a, &fixed_list_utils::zero_filled(ValueType::U32, 1)?)));
    let texts = fixed_list_utils::zero_filled(ValueType::String, 2)?;
    assert!(texts.iter().all(|text| text.as_str() == Some("")));
    assert!(is_misuse(fixed_list_utils::zero_filled(ValueType::ErrorContext, 2)));
    Ok(())
}

fn dynamic_list_goes_through_bytes() -> Result<(), Error> {
    let _one = fresh();
    let list = FixedLengthList::from_slice(ty(ValueType::S16, 2), &[(-2i16).into(), 3i16.into()])?;
    let mut bytes = [0xaa; 5];
    list.store(&mut bytes)?;
    assert_eq!(bytes, [0xfe, 0xff, 3, 0, 0xaa]);
    assert_eq!(FixedLengthList::load(list.list_type(), &bytes)?, list);
    assert!(is_misuse(list.store(&mut bytes[..3])));
    assert!(is_misuse(FixedLengthList::load(ty(ValueType::S16, 3), &bytes)));
    assert!(is_misuse(FixedLengthList::new(list.list_type())?.store(&mut bytes)));
    assert_eq!(list.list_type().elem_size(PtrType::I32)?, 4);
    assert_eq!(list.list_type().alignment(PtrType::I64)?, 2);
    assert_eq!(ty(ValueType::String, 3).elem_size(PtrType::I32)?, 24);
    assert_eq!(ty(ValueType::String, 3).elem_size(PtrType::I64)?, 48);
    Ok(())
}

fn dynamic_list_of_text_goes_through_the_hosts_memory() -> Result<(), Error> {
    let _one = fresh();
    let list =
        FixedLengthList::from_slice(ty(ValueType::String, 3), &["one".into(), "".into(), "zwölf".into()])?;
    ambient::core(|core| {
        let memory = &mut core.memory;
        let at = memory.alloc(list.list_type().elem_size(PtrType::I32)?)?;
        list.store_in(memory, at)?;
        assert_eq!(memory.blocks(), 3);
        assert_eq!(FixedLengthList::load_in(list.list_type(), memory, at)?, list);
        for index in 0..3 {
            ComponentValue::free_in(ValueType::String, memory, at + 8 * index)?;
        }
        assert_eq!(memory.blocks(), 1);
        assert!(is_misuse(list.store(&mut [0; 64])));
        // A block is freed once.
        memory.free(at)?;
        assert!(matches!(memory.free(at), Err(Error::Bug(_))));
        Ok(())
    })?
}

fn dynamic_list_of_text_that_does_not_fit_allocates_nothing() -> Result<(), Error> {
    let _one = fresh();
    // 24 bytes for the list, two short texts, each with 8 bytes before it: the third does not fit.
    ambient::configure(Limits::DEFAULT.with_host_bytes((8 + 32) + 2 * (8 + 16)))?;
    let items: Vec<ComponentValue> = ["a", "b", "c"].map(ComponentValue::from).into();
    let list = FixedLengthList::from_slice(ty(ValueType::String, 3), &items)?;
    ambient::core(|core| {
        let memory = &mut core.memory;
        let at = memory.alloc(24)?;
        for _ in 0..2 {
            assert_eq!(list.store_in(memory, at), Err(Error::capacity(Resource::HostBytes)));
            assert_eq!(memory.blocks(), 1);
        }
        Ok(())
    })?
}

fn values_of_the_host_go_through_its_memory_by_type() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|core| {
        let types = core.store.types_mut();
        let bytes = types.intern(NewType::List(ValueType::U8), 0)?;
        let stream = types.intern(NewType::Stream(None), 0)?;
        let list = Scalars::of(&[1u8.into(), 2u8.into(), 3u8.into()])?;
        let at = core.memory.alloc(8)?;
        for (ty, value) in [
            (ValueType::Defined(bytes), ComponentValue::List(list)),
            (ValueType::Defined(stream), ComponentValue::Stream(4)),
            (ValueType::String, "text".into()),
            (ValueType::F32, 0.5f32.into()),
        ] {
            value.store_in(&mut core.memory, at)?;
            assert_eq!(ComponentValue::load_defined(ty, core.store.types(), &core.memory, at)?, value);
            ComponentValue::free_defined(ty, core.store.types(), &mut core.memory, at)?;
            assert_eq!(core.memory.blocks(), 1);
        }
        Ok(())
    })?
}

fn type_is_one_of_a_store() -> Result<(), Error> {
    let _one = fresh();
    ambient::core(|core| {
        let types = core.store.types_mut();
        let list = ty(ValueType::U32, 4);
        let id = list.intern(types)?;
        assert_eq!(FixedList::<u32, 4>::type_id(types)?, id);
        assert_eq!(FixedLengthListType::of(types, id)?, list);
        let other = types.intern(NewType::List(ValueType::U32), 0)?;
        assert!(is_misuse(FixedLengthListType::of(types, other)));
        let nested = types.intern(NewType::FixedList(ValueType::Defined(id), 2), 0)?;
        assert!(is_misuse(FixedLengthListType::of(types, nested)));
        assert!(is_misuse(types.intern(NewType::FixedList(ValueType::U8, 0), 0)));
        Ok(())
    })?
}

fn type_from_component_bytes_says_what_it_is_or_where_it_is_not() {
    let none = |_| None;
    let read = |bytes: &[u8]| FixedLengthListType::from_component_bytes(bytes, none);
    assert_eq!(read(&[0x67, 0x7a, 5]), Ok((ty(ValueType::S32, 5), 3)));
    assert_eq!(read(&[0x67, 0x73, 0x80, 0x02, 0xff]), Ok((ty(ValueType::String, 256), 4)));
    assert_eq!(read(&[0x67, 0x64, 1]), Ok((ty(ValueType::ErrorContext, 1), 3)));
    let known = |index| (index == 130).then_some(ValueType::Bool);
    let indexed = FixedLengthListType::from_component_bytes(&[0x67, 0x82, 0x01, 3], known);
    assert_eq!(indexed, Ok((ty(ValueType::Bool, 3), 4)));
    for (bytes, offset) in [
        (&[][..], 0),
        (&[0x70, 0x7a], 0),
        (&[0x67], 1),
        (&[0x67, 0x05, 5], 1),
        (&[0x67, 0x65, 5], 1),
        (&[0x67, 0x7a], 2),
        (&[0x67, 0x7a, 0], 2),
        (&[0x67, 0x7a, 0x80], 3),
        (&[0x67, 0x7a, 0xff, 0xff, 0xff, 0xff, 0x1f], 2),
        (&[0x67, 0x7a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 2),
    ] {
        assert_eq!(read(bytes).map_err(|error| error.offset), Err(offset), "{bytes:x?}");
    }
}

fn type_from_wit_text_says_what_it_is_or_where_it_is_not() {
    let read = |text: &str| text.parse::<FixedLengthListType>();
    for name in [
        "bool",
        "s8",
        "u8",
        "s16",
        "u16",
        "s32",
        "u32",
        "s64",
        "u64",
        "f32",
        "f64",
        "char",
        "string",
        "error-context",
    ] {
        let text = format!("list<{name}, 12>");
        assert_eq!(format!("{}", read(&text).expect("a type")), text);
    }
    assert_eq!(read(" list < s32 ,5 > "), Ok(ty(ValueType::S32, 5)));
    for (text, offset) in [
        ("", 0),
        ("lost<u8, 1>", 0),
        ("list u8", 5),
        ("list<>", 5),
        ("list<v8, 1>", 5),
        ("list<u8>", 7),
        ("list<u8, >", 9),
        ("list<u8, 0>", 9),
        ("list<u8, 4294967296>", 9),
        ("list<u8, 1", 10),
        ("list<u8, 1> x", 12),
        ("list<ü, 1>", 5),
    ] {
        assert_eq!(read(text).map_err(|error| error.offset), Err(offset), "{text}");
    }
    let error = ListTypeError { offset: 5, expected: "a primitive type" };
    assert_eq!(format!("{error}"), "at offset 5: expected a primitive type");
}

fn registry_shares_equal_types_and_ends_at_its_limit() -> Result<(), Error> {
    for limit in [0, 1, 2, capacity::LIST_TYPES] {
        let limit = limit.min(capacity::LIST_TYPES);
        let mut registry = FixedLengthListTypeRegistry::with_limit(limit);
        assert!(registry.is_empty());
        for index in 0..limit as u32 {
            let list = ty(ValueType::U8, index + 1);
            assert_eq!(registry.register_type(list)?, index);
            assert_eq!(registry.register_type(list)?, index);
        }
        let full = Err(Error::capacity(Resource::ListTypes));
        assert_eq!(registry.register_type(ty(ValueType::U16, 1)), full);
        assert!(is_misuse(registry.register_type(ty(ValueType::U16, 0))));
        assert_eq!(registry.len(), limit);
        for index in 0..limit as u32 {
            assert_eq!(registry.find(ty(ValueType::U8, index + 1)), Some(index));
        }
        assert_eq!((registry.find(ty(ValueType::U16, 1)), registry.get(limit as u32)), (None, None));
    }
    assert_eq!(FixedLengthListTypeRegistry::new().find(ty(ValueType::U8, 1)), None);
    Ok(())
}

fn list_items_capacity_at_every_edge() -> Result<(), Error> {
    let _one = fresh();
    let most = Limits::DEFAULT.list_items;
    for limit in [0, 1, 2, most] {
        let limit = limit.min(most);
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_list_items(limit))?;
        let too_long = fixed_list_utils::zero_filled(ValueType::U8, limit + 1);
        assert_eq!(too_long, Err(Error::capacity(Resource::ListItems)));
        if limit > 0 {
            assert!(fixed_list_utils::zero_filled(ValueType::U8, limit)?.is_complete());
        }
    }
    Ok(())
}

fn text_of_a_list_is_not_longer_than_the_limit() -> Result<(), Error> {
    let _one = fresh();
    ambient::configure(Limits::DEFAULT.with_text_bytes(3))?;
    let mut list = FixedLengthList::new(ty(ValueType::String, 2))?;
    list.push("abc".into())?;
    assert_eq!(list.push("abcd".into()), Err(Error::capacity(Resource::TextBytes)));
    assert_eq!(list.set(0, "abcd".into()), Err(Error::capacity(Resource::TextBytes)));
    assert_eq!(list.as_slice(), ["abc".into()]);
    Ok(())
}

tests! {
    typed_list_is_an_array_with_a_layout,
    typed_list_layout_is_the_canonical_abis,
    typed_list_goes_through_bytes,
    typed_and_dynamic_lists_convert,
    dynamic_list_takes_its_length_and_its_type_alone,
    dynamic_list_of_an_impossible_type_is_misuse,
    utilities_concatenate_and_slice,
    dynamic_list_goes_through_bytes,
    dynamic_list_of_text_goes_through_the_hosts_memory,
    dynamic_list_of_text_that_does_not_fit_allocates_nothing,
    values_of_the_host_go_through_its_memory_by_type,
    type_is_one_of_a_store,
    type_from_component_bytes_says_what_it_is_or_where_it_is_not,
    type_from_wit_text_says_what_it_is_or_where_it_is_not,
    registry_shares_equal_types_and_ends_at_its_limit,
    list_items_capacity_at_every_edge,
    text_of_a_list_is_not_longer_than_the_limit,
}
