//! Values to their canonical form and back.

use canon_async::spec::PtrType;
use canon_async_component::Charge;
use canon_async_component::host::HostMemory;
use canon_async_component::layout::{Context, FlatType, Layouts, TypeError};
use canon_async_component::plan::{CoreFuncType, CoreType};
use canon_async_component::shared::LinkedTypes;
use canon_async_component::types::{Case, Field, FuncType, TypeDef, TypeTable, ValType};
use canon_async_component::val::{Decoder, Encoder, Val, ValError, check};

fn field(name: &str, ty: ValType) -> Field {
    Field { name: name.into(), ty }
}

fn case(name: &str, ty: Option<ValType>) -> Case {
    Case { name: name.into(), ty }
}

fn d(index: u32) -> ValType {
    ValType::Defined(index)
}

fn types(defs: Vec<TypeDef>) -> LinkedTypes {
    LinkedTypes::new(TypeTable { defs, ..TypeTable::default() }).unwrap()
}

/// There and back, flat and in memory.
fn round_trip(types: &LinkedTypes, ty: ValType, val: Val) -> Vec<u64> {
    check(&types.table, ty, &val).unwrap();
    let mut flats = Vec::new();
    for max in [16, 0] {
        let mut memory = HostMemory::default();
        let flat = Encoder::new(types, &mut memory).values(&[ty], std::slice::from_ref(&val), max).unwrap();
        let back = Decoder::new(types, &memory).values(&[ty], &flat, max).unwrap();
        assert_eq!(back.first(), Some(&val), "max {max}");
        flats.push(flat);
    }
    flats.remove(0)
}

#[test]
fn primitives() {
    let none = types(vec![]);
    let cases = [
        (ValType::Bool, Val::Bool(true), 1),
        (ValType::S8, Val::S8(-1), 0xffff_ffff),
        (ValType::U8, Val::U8(255), 255),
        (ValType::S16, Val::S16(-2), 0xffff_fffe),
        (ValType::U16, Val::U16(65535), 65535),
        (ValType::S32, Val::S32(i32::MIN), 0x8000_0000),
        (ValType::U32, Val::U32(u32::MAX), 0xffff_ffff),
        (ValType::S64, Val::S64(-1), u64::MAX),
        (ValType::U64, Val::U64(u64::MAX), u64::MAX),
        (ValType::F32, Val::F32(1.5), u64::from(1.5f32.to_bits())),
        (ValType::F64, Val::F64(-0.25), (-0.25f64).to_bits()),
        (ValType::Char, Val::Char('🦀'), 0x1f980),
    ];
    for (ty, val, bits) in cases {
        assert_eq!(round_trip(&none, ty, val), [bits]);
    }
    round_trip(&none, ValType::String, Val::String("grüße".into()));
    round_trip(&none, ValType::String, Val::String(String::new()));
}

#[test]
fn everything_else() {
    let types = types(vec![
        TypeDef::Record(vec![field("a", ValType::U8), field("b", ValType::U64), field("c", ValType::String)]),
        TypeDef::Variant(vec![
            case("none", None),
            case("num", Some(ValType::F32)),
            case("big", Some(ValType::S64)),
            case("rec", Some(d(0))),
        ]),
        TypeDef::List(d(1)),
        TypeDef::FixedList(ValType::U16, 3),
        TypeDef::Tuple(vec![ValType::Bool, d(3), ValType::Char]),
        TypeDef::Flags((0..20).map(|n| format!("f{n}")).collect()),
        TypeDef::Enum((0..300).map(|n| format!("e{n}")).collect()),
        TypeDef::Option(d(2)),
        TypeDef::Result { ok: None, err: Some(d(6)) },
        TypeDef::Map(ValType::String, d(4)),
        TypeDef::Own(0),
        TypeDef::Stream(Some(ValType::U8)),
        TypeDef::Future(None),
    ]);
    let record = Val::Record(vec![
        ("a".into(), Val::U8(1)),
        ("b".into(), Val::U64(2)),
        ("c".into(), Val::String("three".into())),
    ]);
    let tuple = |c| {
        Val::Tuple(vec![
            Val::Bool(true),
            Val::List(vec![Val::U16(1), Val::U16(2), Val::U16(3)]),
            Val::Char(c),
        ])
    };
    let variant = |name: &str, val: Option<Val>| Val::Variant(name.into(), val.map(Box::new));
    let list = Val::List(vec![
        variant("none", None),
        variant("num", Some(Val::F32(2.5))),
        variant("big", Some(Val::S64(-9))),
        variant("rec", Some(record.clone())),
    ]);
    round_trip(&types, d(0), record.clone());
    assert_eq!(
        round_trip(&types, d(1), variant("num", Some(Val::F32(1.0))))[..2],
        [1, u64::from(1f32.to_bits())]
    );
    round_trip(&types, d(1), variant("rec", Some(record)));
    round_trip(&types, d(2), list.clone());
    round_trip(&types, d(4), tuple('x'));
    round_trip(&types, d(5), Val::Flags(vec!["f0".into(), "f19".into()]));
    assert_eq!(round_trip(&types, d(6), Val::Enum("e299".into())), [299]);
    round_trip(&types, d(7), Val::Option(Some(Box::new(list))));
    round_trip(&types, d(7), Val::Option(None));
    round_trip(&types, d(8), Val::Result(Ok(None)));
    round_trip(&types, d(8), Val::Result(Err(Some(Box::new(Val::Enum("e1".into()))))));
    let map = Val::Map(vec![(Val::String("k".into()), tuple('a')), (Val::String("l".into()), tuple('b'))]);
    round_trip(&types, d(9), map);
    round_trip(&types, d(10), Val::Resource(5));
    round_trip(&types, d(11), Val::Stream(6));
    round_trip(&types, d(12), Val::Future(7));
    assert_eq!(round_trip(&types, ValType::ErrorContext, Val::ErrorContext(8)), [8]);
}

#[test]
fn the_canonical_abi_s_layouts() {
    let table = TypeTable {
        defs: vec![
            TypeDef::Variant(vec![case("a", Some(ValType::F32)), case("b", Some(ValType::U32))]),
            TypeDef::Variant(vec![case("a", Some(ValType::F32)), case("b", Some(ValType::F64))]),
            TypeDef::Record(vec![field("a", ValType::U8), field("b", ValType::U32), field("c", ValType::U8)]),
            TypeDef::Tuple(vec![ValType::String; 8]),
            TypeDef::Tuple(vec![ValType::String; 9]),
            TypeDef::Option(d(3)),
        ],
        ..TypeTable::default()
    };
    let layouts = Layouts::new(&table).unwrap();
    assert_eq!(
        layouts.flat(d(0)).unwrap(),
        Some([FlatType::I32, FlatType::I32].as_slice()),
        "join of f32 and i32"
    );
    assert_eq!(
        layouts.flat(d(1)).unwrap(),
        Some([FlatType::I32, FlatType::I64].as_slice()),
        "join of f32 and f64"
    );
    assert_eq!(layouts.size_align(d(2), PtrType::I32), Ok((12, 4)));
    assert_eq!(layouts.flat(d(3)).unwrap().map(<[_]>::len), Some(16));
    assert_eq!(layouts.flat(d(4)).unwrap(), None);
    assert_eq!(layouts.flat(d(5)).unwrap(), None, "one more for the discriminant");

    let func = |params: &[ValType], result| FuncType {
        params: params.iter().map(|ty| field("p", *ty)).collect(),
        result,
        is_async: true,
    };
    let core = |params: &[CoreType], results: &[CoreType]| CoreFuncType::new(params, results);
    let (i32, i64) = (CoreType::I32, CoreType::I64);
    let five = func(&[ValType::U64; 5], Some(ValType::String));
    let lift = |callback| Context::Lift { callback };
    assert_eq!(
        layouts.func(&five, false, Context::Lower, PtrType::I32),
        Ok(core(&[i64, i64, i64, i64, i64, i32], &[]))
    );
    assert_eq!(layouts.func(&five, true, Context::Lower, PtrType::I32), Ok(core(&[i32, i32], &[i32])));
    assert_eq!(layouts.func(&five, false, lift(false), PtrType::I32), Ok(core(&[i64; 5], &[i32])));
    assert_eq!(layouts.func(&five, true, lift(true), PtrType::I32), Ok(core(&[i64; 5], &[i32])));
    assert_eq!(layouts.func(&five, true, lift(false), PtrType::I32), Ok(core(&[i64; 5], &[])));
    let many = func(&[d(4)], None);
    assert_eq!(layouts.func(&many, true, Context::Lower, PtrType::I32), Ok(core(&[i32], &[i32])));
    assert_eq!(layouts.func(&many, false, lift(false), PtrType::I32), Ok(core(&[i32], &[])));
}

#[test]
fn layouts_of_64_bit_pointers_differ_where_there_are_pointers() {
    let table = TypeTable {
        defs: vec![
            TypeDef::List(ValType::U8),
            TypeDef::Record(vec![field("a", ValType::U8), field("b", d(0)), field("c", ValType::U16)]),
            TypeDef::Variant(vec![case("a", Some(ValType::F32)), case("b", Some(ValType::String))]),
            TypeDef::Variant(vec![case("a", Some(ValType::F64)), case("b", Some(d(2)))]),
            TypeDef::Map(ValType::U8, ValType::String),
            TypeDef::FixedList(ValType::String, 3),
            TypeDef::Record(vec![field("a", ValType::U8), field("b", ValType::U64)]),
        ],
        ..TypeTable::default()
    };
    let layouts = Layouts::new(&table).unwrap();
    for (index, narrow, wide) in [
        (0, (8, 4), (16, 8)),
        (1, (16, 4), (32, 8)),
        (2, (12, 4), (24, 8)),
        (3, (24, 8), (32, 8)),
        (4, (8, 4), (16, 8)),
        (5, (24, 4), (48, 8)),
        (6, (16, 8), (16, 8)),
    ] {
        assert_eq!(layouts.size_align(d(index), PtrType::I32), Ok(narrow), "type {index}");
        assert_eq!(layouts.size_align(d(index), PtrType::I64), Ok(wide), "type {index}");
    }
    let flat = |index| layouts.flat(d(index)).unwrap().unwrap();
    use FlatType::{I32, I64, Ptr};
    assert_eq!(flat(2), [I32, Ptr, Ptr], "join of f32 and a pointer");
    assert_eq!(flat(3), [I32, I64, Ptr, Ptr], "join of f64 and i32, and then pointers alone");

    let func = FuncType {
        params: vec![field("p", ValType::String), field("q", d(2))],
        result: Some(d(0)),
        is_async: true,
    };
    let core = |params: &[CoreType], results: &[CoreType]| CoreFuncType::new(params, results);
    let (i32, i64) = (CoreType::I32, CoreType::I64);
    let of = |is_async, context| layouts.func(&func, is_async, context, PtrType::I64);
    assert_eq!(of(false, Context::Lower), Ok(core(&[i64, i64, i32, i64, i64, i64], &[])));
    assert_eq!(of(true, Context::Lower), Ok(core(&[i64, i64], &[i32])), "spilled, and where the result goes");
    assert_eq!(of(false, Context::Lift { callback: false }), Ok(core(&[i64, i64, i32, i64, i64], &[i64])));
    assert_eq!(of(true, Context::Lift { callback: true }), Ok(core(&[i64, i64, i32, i64, i64], &[i32])));
}

#[test]
fn a_type_too_large_for_64_bit_pointers_alone_is_refused() {
    let new = |len| {
        let defs = vec![TypeDef::FixedList(ValType::String, len)];
        Layouts::new(&TypeTable { defs, ..TypeTable::default() }).map(drop)
    };
    assert_eq!(new((1 << 24) - 1), Ok(()));
    assert_eq!(new(1 << 24), Err(TypeError::TooLarge));
}

#[test]
fn a_table_that_is_none() {
    let error = |defs| Layouts::new(&TypeTable { defs, ..TypeTable::default() }).unwrap_err();
    assert_eq!(error(vec![TypeDef::List(d(0))]), TypeError::Unknown, "a type that contains itself");
    assert_eq!(error(vec![TypeDef::FixedList(ValType::U64, 1 << 26)]), TypeError::TooLarge);
    assert_eq!(error(vec![TypeDef::Flags(vec![])]), TypeError::Flags);
    assert_eq!(
        error((0..200).map(|n| TypeDef::Option(if n == 0 { ValType::U8 } else { d(n - 1) })).collect()),
        TypeError::TooDeep
    );
}

#[test]
fn a_text_of_a_huge_type_ends() {
    let mut defs = vec![TypeDef::Tuple(vec![ValType::U8; 2])];
    for n in 0..60 {
        defs.push(TypeDef::Option(d(n)));
        defs.push(TypeDef::Tuple(vec![d(n); 2]));
    }
    let table = TypeTable { defs, ..TypeTable::default() };
    assert!(table.display(d(120)).to_string().len() < 20_000);
}

#[test]
fn what_is_wrong_has_a_path() {
    let types = types(vec![
        TypeDef::Record(vec![field("name", ValType::U32)]),
        TypeDef::List(d(0)),
        TypeDef::Option(d(1)),
        TypeDef::Result { ok: Some(d(2)), err: None },
        TypeDef::Enum(vec!["red".into(), "green".into()]),
    ]);
    let bad = Val::Record(vec![("name".into(), Val::String("x".into()))]);
    let val = Val::Result(Ok(Some(Box::new(Val::Option(Some(Box::new(Val::List(vec![bad]))))))));
    let error = check(&types.table, d(3), &val).unwrap_err();
    assert_eq!(error.to_string(), "(ok)(some)[0].name: expected u32, found string");
    let error = check(&types.table, d(4), &Val::Enum("blue".into())).unwrap_err();
    assert_eq!(error.to_string(), ": expected one of red, green, found \"blue\"");
}

#[test]
fn bytes_that_are_no_value() {
    let types =
        types(vec![TypeDef::List(ValType::Char), TypeDef::Option(ValType::U8), TypeDef::List(ValType::U8)]);
    let mut memory = HostMemory::new(4096);
    let at = memory.alloc(4, 16).unwrap();
    memory.write(at, &0xd800u32.to_le_bytes()).unwrap();
    memory.write(at + 4, &[0xff, 0xfe]).unwrap();
    let decode = |ty, flat: &[u64]| Decoder::new(&types, &memory).values(&[ty], flat, 16);
    for (ty, flat) in [
        (d(0), &[0u64, 1][..]),
        (d(1), &[2, 0]),
        (ValType::String, &[4, 2]),
        (ValType::String, &[4000, 200]),
        (ValType::String, &[0xffff_ffff, 0xffff_ffff]),
        (d(2), &[8, 0xffff_ffff]),
        (ValType::Char, &[0x11_0000]),
        (d(1), &[0]),
    ] {
        assert!(matches!(decode(ty, flat), Err(ValError::Core(_))), "{ty:?} {flat:?}");
    }
}

#[test]
fn flags_of_a_guest_lose_the_bits_without_a_label() {
    for count in [1, 8, 9, 16, 20, 31, 32] {
        let labels: Vec<String> = (0..count).map(|n| format!("f{n}")).collect();
        let types = types(vec![TypeDef::Flags(labels.clone()), TypeDef::List(d(0))]);
        let mut memory = HostMemory::new(4096);
        let at = memory.alloc(4, 4).unwrap();
        memory.write(at, &[0xff; 4]).unwrap();
        let decode = |ty, flat: &[u64]| Decoder::new(&types, &memory).values(&[ty], flat, 16).unwrap();
        let all = Val::Flags(labels);
        assert_eq!(decode(d(1), &[at.into(), 1]), [Val::List(vec![all.clone()])], "{count}");
        assert_eq!(decode(d(0), &[u64::MAX]), [all], "{count}");
    }
}

#[test]
fn a_guest_does_not_choose_how_much_the_host_builds() {
    let types = types(vec![TypeDef::List(ValType::U8)]);
    let mut memory = HostMemory::new(4096);
    let at = memory.alloc(1, 4000).unwrap();
    let vals = Decoder::new(&types, &memory).values(&[d(0)], &[u64::from(at), 4000], 16);
    let full = canon_async::Error::capacity(canon_async::Resource::HostBytes);
    assert_eq!(vals, Err(ValError::Core(full)), "4000 values are more than 4096 bytes");
}

#[test]
fn the_hosts_memory() {
    let full = canon_async::Error::capacity(canon_async::Resource::HostBytes);
    let mut memory = HostMemory::new(64);
    let a = memory.alloc(1, 3).unwrap();
    memory.write(a, b"abc").unwrap();
    let b = memory.realloc(a, 3, 1, 10).unwrap();
    assert_eq!(a, b, "the last block grows in place");
    let c = memory.alloc(8, 8).unwrap();
    assert_eq!(c % 8, 0);
    let moved = memory.realloc(b, 10, 4, 12).unwrap();
    assert_ne!(moved, b);
    assert_eq!(&memory.bytes()[moved as usize..][..3], b"abc");
    assert_eq!(memory.realloc(moved, 12, 4, 1000), Err(full));
    assert_eq!(memory.realloc(moved, 12, 4, 12), Ok(moved), "an error changes nothing");
    assert!(memory.alloc(3, 1).is_err(), "no power of two");
    assert!(memory.write(u32::MAX, b"x").is_err());
    memory.reset();
    assert_eq!(memory.alloc(4, 64), Ok(0));
    assert_eq!(memory.alloc(1, 1), Err(full));
}

/// Counts what is charged, and refuses above a limit.
struct Count {
    bytes: usize,
    values: u32,
    limit: u32,
}

const REFUSED: canon_async::Error = canon_async::Error::Trap(canon_async::Trap::Engine(3));

impl Charge for Count {
    fn charge(&mut self, bytes: usize, values: u32) -> Result<(), canon_async::Error> {
        assert!(bytes <= 64 << 10, "one charge of {bytes} bytes");
        if self.values.saturating_add(values) > self.limit {
            return Err(REFUSED);
        }
        self.bytes += bytes;
        self.values += values;
        Ok(())
    }
}

#[test]
fn values_of_the_host_are_charged_before_they_are_built() {
    let types = types(vec![TypeDef::List(ValType::U8), TypeDef::List(ValType::String)]);
    let text = "x".repeat(70_000);
    let bytes = Val::List(vec![Val::U8(7); 1000]);
    let texts = Val::List(vec![Val::String(text); 3]);
    let mut memory = HostMemory::new(1 << 20);
    for (ty, val, values, chars) in [(d(0), bytes, 1001u32, 0), (d(1), texts, 4, 210_000)] {
        let counts = || Count { bytes: 0, values: 0, limit: u32::MAX };
        let vals = std::slice::from_ref(&val);
        memory.reset();
        let mut count = counts();
        let flat = Encoder::new(&types, &mut memory).charged(&mut count).values(&[ty], vals, 16).unwrap();
        assert_eq!((count.values, count.bytes), (values / 32 * 32, chars));
        let mut count = counts();
        let back = Decoder::new(&types, &memory).charged(&mut count).values(&[ty], &flat, 16).unwrap();
        assert_eq!(back, [val]);
        assert_eq!((count.values, count.bytes), (values / 32 * 32, chars));
    }
    memory.reset();
    let mut count = Count { bytes: 0, values: 0, limit: 100 };
    let vals = [Val::List(vec![Val::U8(7); 1000])];
    let refused = Encoder::new(&types, &mut memory).charged(&mut count).values(&[d(0)], &vals, 16);
    assert_eq!(refused, Err(ValError::Core(REFUSED)));
    let mut count = Count { bytes: 0, values: 0, limit: 100 };
    let refused = Decoder::new(&types, &memory).charged(&mut count).values(&[d(0)], &[0, 1000], 16);
    assert_eq!(refused, Err(ValError::Core(REFUSED)));
    let mut count = Count { bytes: 0, values: 0, limit: 0 };
    let flat =
        Encoder::new(&types, &mut memory).charged(&mut count).values(&[ValType::U8], &[Val::U8(1)], 16);
    assert_eq!(flat, Ok(vec![1]), "a flat value is free");
}
