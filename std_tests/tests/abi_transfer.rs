//! Values on their way from one instance to another: loading, storing, flat lifting and lowering, strings in
//! every pair of encodings, and what `realloc` is asked on the way.
//!
//! The engine here is two memories and a bump allocator, which is all that the walk over a value needs.

#![cfg(feature = "alloc")]

use canon_async::abi::types::{NewType, TypeItem, ValType};
use canon_async::abi::{
    Context, Dest, Scope, Source, check_range, copy_in_chunks, load_int, reallocate, store_int, transfer,
    transfer_elements,
};
use canon_async::id::{FuncRef, HostCall, InstanceId, MemoryRef, TableRef, ThreadId};
use canon_async::state::{Options, StringEncoding};
use canon_async::{Embedding, Error, Heap, Limits, Outcome, Resource, Store, Trap};

const A: MemoryRef = MemoryRef::from_index(0);
const B: MemoryRef = MemoryRef::from_index(1);
const FILL: u8 = 0xaa;

/// What `realloc` does.
enum Realloc {
    /// Takes from the end; shrinks in place.
    Bump,
    /// Always answers this.
    Answer(u64),
    /// Traps.
    Trap,
    /// As `Bump`, and overwrites all of the other memory with this byte first.
    Meddle(u8),
}

struct Fake {
    store: Store<Heap>,
    memories: [Vec<u8>; 2],
    next: [u32; 2],
    realloc: Realloc,
    /// The arguments of each call of `realloc`.
    log: Vec<[u32; 4]>,
    contexts: [Context; 2],
}

fn misuse<T>() -> Result<T, Error> {
    Err(Error::Misuse("this test does not need it"))
}

impl Embedding for Fake {
    type Profile = Heap;

    fn store(&mut self) -> &mut Store<Heap> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        self.memories.get_mut(memory.index()).map(|m| &mut m[..]).ok_or(Error::Misuse("no such memory"))
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        let side = func.index();
        let instance = self.contexts[side].options.instance;
        assert!(!self.store.instance(instance).unwrap().may_leave(), "realloc must not leave");
        let [old, old_size, align, new_size] =
            args.try_into().map(|a: [u64; 4]| a.map(|a| a as u32)).unwrap();
        self.log.push([old, old_size, align, new_size]);
        match self.realloc {
            Realloc::Answer(pointer) => return Ok(pointer),
            Realloc::Trap => return Err(Trap::Engine(7).into()),
            Realloc::Meddle(byte) => self.memories[1 - side].fill(byte),
            Realloc::Bump => {}
        }
        if old != 0 && new_size < old_size {
            return Ok(u64::from(old.next_multiple_of(align)));
        }
        let pointer = self.next[side].next_multiple_of(align);
        self.next[side] = pointer + new_size;
        let (from, to) = (old as usize, pointer as usize);
        self.memories[side].copy_within(from..from + old_size as usize, to);
        Ok(pointer.into())
    }

    fn call(&mut self, _: ThreadId, _: FuncRef, _: &[u64]) -> Result<Outcome, Error> {
        misuse()
    }
    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        misuse()
    }
    fn discard(&mut self, _: ThreadId) {}
    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u32) -> Result<(), Error> {
        misuse()
    }
    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        misuse()
    }
    fn host_args(&mut self, _: HostCall, _: &mut [u64]) -> Result<(), Error> {
        misuse()
    }
    fn host_result(&mut self, _: HostCall, _: Option<&[u64]>) -> Result<(), Error> {
        misuse()
    }
}

impl Fake {
    fn new(sizes: [usize; 2], encodings: [StringEncoding; 2]) -> Self {
        let mut store = Store::default();
        let mut context = |index: u32, encoding| {
            let instance = store.add_instance(None).unwrap();
            let memory = Some(MemoryRef::from_index(index));
            let realloc = Some(FuncRef::from_index(index));
            Context {
                options: Options { memory, realloc, encoding, ..Options::new(instance) },
                scope: Scope::None,
            }
        };
        let contexts = [context(0, encodings[0]), context(1, encodings[1])];
        let memories = sizes.map(|size| vec![FILL; size]);
        Self { store, memories, next: [64; 2], realloc: Realloc::Bump, log: Vec::new(), contexts }
    }

    fn plain() -> Self {
        Self::new([4096; 2], [StringEncoding::Utf8; 2])
    }

    fn intern(&mut self, ty: NewType<'_>) -> ValType {
        ValType::Defined(self.store.types_mut().intern(ty, 0).unwrap())
    }

    fn record(&mut self, fields: &[ValType]) -> ValType {
        let fields: Vec<TypeItem> = fields.iter().map(|f| Some(*f)).collect();
        self.intern(NewType::Record(&fields))
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.memories[0][at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn got(&self, at: u32, len: usize) -> &[u8] {
        &self.memories[1][at as usize..][..len]
    }

    fn go(&mut self, source: Source<'_>, dest: Dest<'_>, ty: ValType) -> Result<(), Error> {
        let [from, to] = self.contexts;
        let result = transfer(self, &from, source, &to, dest, ty);
        assert!(self.contexts.iter().all(|c| self.store.instance(c.options.instance).unwrap().may_leave()));
        result
    }

    /// Flat to flat.
    fn flat<const N: usize>(&mut self, values: &[u64], ty: ValType) -> Result<[u64; N], Error> {
        let mut out = [0xdead; N];
        self.go(Source::Flat(values), Dest::Flat(&mut out), ty).map(|()| out)
    }

    /// From the bytes at 8 of the source's memory to those at 16 of the destination's, which are `FILL` before.
    fn bytes<const N: usize>(&mut self, bytes: [u8; N], ty: ValType) -> Result<[u8; N], Error> {
        self.put(8, &bytes);
        self.memories[1].fill(FILL);
        self.go(Source::Memory(8), Dest::Memory(16), ty).map(|()| self.got(16, N).try_into().unwrap())
    }
}

fn trap<T>(trap: Trap) -> Result<T, Error> {
    Err(Error::Trap(trap))
}

// Scalars.

#[test]
fn integers_wrap_to_their_width_when_flat() {
    let mut e = Fake::plain();
    for (ty, given, taken) in [
        (ValType::Bool, 0, 0),
        (ValType::Bool, 2, 1),
        (ValType::Bool, 1 << 32, 0),
        (ValType::U8, 0x1ff, 0xff),
        (ValType::S8, 0x80, 0xffff_ff80),
        (ValType::S8, 0xffff_ff7f, 0x7f),
        (ValType::U16, 0x12_3456, 0x3456),
        (ValType::S16, 0x8000, 0xffff_8000),
        (ValType::S16, 0x1_7fff, 0x7fff),
        (ValType::U32, 0x1_0000_0002, 2),
        (ValType::S32, 0xffff_ffff, 0xffff_ffff),
        (ValType::U64, u64::MAX, u64::MAX),
        (ValType::S64, 1 << 63, 1 << 63),
        (ValType::F32, 0x7fa0_0001, 0x7fa0_0001),
        (ValType::F32, 0xdead_beef_7fa0_0001, 0x7fa0_0001),
        (ValType::F64, 0x7ff4_0000_0000_0001, 0x7ff4_0000_0000_0001),
    ] {
        assert_eq!(e.flat(&[given], ty), Ok([taken]), "{ty:?} {given:#x}");
    }
    assert!(e.log.is_empty());
}

#[test]
fn scalars_between_memory_and_flat() {
    let mut e = Fake::plain();
    e.put(8, &[0x80, 0xff, 0xfe, 0xff, 1, 2, 3, 0x84]);
    for (ty, bits, width) in [
        (ValType::Bool, 1, 1),
        (ValType::U8, 0x80, 1),
        (ValType::S8, 0xffff_ff80, 1),
        (ValType::U16, 0xff80, 2),
        (ValType::S16, 0xffff_ff80, 2),
        (ValType::U32, 0xfffe_ff80, 4),
        (ValType::F32, 0xfffe_ff80, 4),
        (ValType::S64, 0x8403_0201_fffe_ff80, 8),
        (ValType::F64, 0x8403_0201_fffe_ff80, 8),
    ] {
        let mut out = [7, 7];
        e.go(Source::Memory(8), Dest::Flat(&mut out), ty).unwrap();
        assert_eq!(out, [bits, 7], "{ty:?}");
        e.memories[1].fill(FILL);
        e.go(Source::Flat(&out), Dest::Memory(16), ty).unwrap();
        assert_eq!(e.got(16, width), &bits.to_le_bytes()[..width], "{ty:?}");
        assert_eq!(e.memories[1][16 + width], FILL);
        let direct = e.memories[1].clone();
        e.memories[1].fill(FILL);
        e.go(Source::Memory(8), Dest::Memory(16), ty).unwrap();
        assert_eq!(e.memories[1], direct, "{ty:?}");
    }
    assert_eq!(e.bytes([2], ValType::Bool), Ok([1]));
}

#[test]
fn chars_are_scalar_values() {
    let mut e = Fake::plain();
    for good in [0, 0x41, 0xd7ff, 0xe000, 0x10_ffff] {
        assert_eq!(e.flat(&[good], ValType::Char), Ok([good]));
        assert_eq!(e.bytes((good as u32).to_le_bytes(), ValType::Char), Ok((good as u32).to_le_bytes()));
    }
    for bad in [0xd800, 0xdfff, 0x11_0000, 0xffff_ffff] {
        assert_eq!(e.flat::<1>(&[bad], ValType::Char), trap(Trap::InvalidChar));
        assert_eq!(e.bytes((bad as u32).to_le_bytes(), ValType::Char), trap(Trap::InvalidChar));
    }
}

#[test]
fn flags_lose_the_bits_without_a_label() {
    let mut e = Fake::plain();
    for labels in 1..=32u8 {
        let ty = e.intern(NewType::Flags(labels));
        let mask = u32::MAX >> (32 - labels);
        assert_eq!(e.flat(&[u64::MAX], ty), Ok([mask.into()]));
        let width = [1, 2, 4, 4][usize::from((labels - 1) / 8)];
        let mut expected = [FILL; 4];
        expected[..width].copy_from_slice(&mask.to_le_bytes()[..width]);
        assert_eq!(e.bytes([0xff; 4], ty), Ok(expected), "{labels}");
    }
}

#[test]
fn error_contexts_are_handles() {
    let mut e = Fake::plain();
    assert_eq!(e.flat::<1>(&[1], ValType::ErrorContext), trap(Trap::UnknownHandle(1)));
    assert_eq!(e.bytes(7u32.to_le_bytes(), ValType::ErrorContext), trap(Trap::UnknownHandle(7)));
}

#[test]
fn error_contexts_are_limited_in_number_and_length() {
    let mut store =
        Store::<Heap>::with_limits(Limits { error_contexts: 1, message_bytes: 4, ..Limits::HEAP });
    let host = store.add_host_instance().unwrap();
    assert!(matches!(store.host_error_context("too early"), Err(Error::Misuse(_))));
    let options = store.add_options(Options::new(host)).unwrap();
    store.set_host(options).unwrap();
    for (text, kept) in [("", ""), ("abcd", "abcd"), ("a\u{f1}bc", "a\u{f1}b"), ("abc\u{f1}d", "abc")] {
        let handle = store.host_error_context(text).unwrap();
        assert_eq!(store.host_error_message(handle), Ok(kept));
        assert_eq!(store.host_error_context("more"), Err(Error::Capacity(Resource::ErrorContexts)));
        store.drop_host_error_context(handle).unwrap();
        assert!(store.is_idle());
    }
    // More than the profile's capacity is not to be had.
    let mut store = Store::<Heap>::with_limits(Limits { message_bytes: 1000, ..Limits::HEAP });
    let host = store.add_host_instance().unwrap();
    let options = store.add_options(Options::new(host)).unwrap();
    store.set_host(options).unwrap();
    let handle = store.host_error_context(&"x".repeat(1000)).unwrap();
    assert_eq!(store.host_error_message(handle).map(str::len), Ok(256));
    store.check().unwrap();
}

// Aggregates.

#[test]
fn records_skip_their_padding() {
    let mut e = Fake::plain();
    let inner = e.record(&[ValType::U8, ValType::U16]);
    let ty = e.record(&[ValType::U8, ValType::U64, inner, ValType::Bool]);
    let mut flat = [9; 6];
    let bytes: [u8; 24] = [1, 99, 99, 99, 99, 99, 99, 99, 2, 0, 0, 0, 0, 0, 0, 3, 4, 99, 5, 6, 7, 99, 99, 99];
    let mut expected = bytes;
    expected.iter_mut().for_each(|b| *b = if *b == 99 { FILL } else { *b });
    expected[20] = 1;
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
    e.go(Source::Memory(8), Dest::Flat(&mut flat), ty).unwrap();
    assert_eq!(flat, [1, 0x0300_0000_0000_0002, 4, 0x605, 1, 9]);
    e.memories[1].fill(FILL);
    e.go(Source::Flat(&flat), Dest::Memory(16), ty).unwrap();
    assert_eq!(e.got(16, 24), expected);
}

#[test]
fn plain_records_move_as_bytes_at_any_length() {
    let mut e = Fake::plain();
    let pair = e.record(&[ValType::U32, ValType::F32]);
    for count in [0, 1, 2, 127, 128, 129, 300] {
        let bytes: Vec<u8> = (0..count * 8).map(|i| (i * 7) as u8).collect();
        e.put(8, &bytes);
        e.memories[1].fill(FILL);
        let [from, to] = e.contexts;
        transfer_elements(&mut e, &from, 8, &to, 16, pair, count).unwrap();
        assert_eq!(e.got(16, bytes.len()), bytes);
        assert_eq!(e.memories[1][16 + bytes.len()], FILL);
    }
}

#[test]
fn variants_use_one_slot_and_the_largest_payload() {
    let mut e = Fake::plain();
    let pair = e.record(&[ValType::S16, ValType::F32]);
    let ty = e.intern(NewType::Variant(&[None, Some(ValType::F32), Some(ValType::U64), Some(pair)]));
    assert_eq!(e.flat(&[0, 1, 2, 77], ty), Ok([0, 0, 0, 0xdead]));
    // What the joined slots have above the case's own bits does not get through.
    assert_eq!(e.flat(&[1, 0xffff_0000_3f80_0000, 2], ty), Ok([1, 0x3f80_0000, 0]));
    assert_eq!(e.flat(&[2, u64::MAX, 2], ty), Ok([2, u64::MAX, 0]));
    assert_eq!(e.flat(&[3, 0xffff_ffff_0000_8000, 0x3f80_0000], ty), Ok([3, 0xffff_8000, 0x3f80_0000]));
    assert_eq!(e.flat(&[1 << 32, 0, 0], ty), Ok([0, 0, 0]));
    for bad in [4, 0xffff_ffff] {
        assert_eq!(e.flat::<3>(&[bad, 0, 0], ty), trap(Trap::InvalidDiscriminant));
    }
    // In memory the payload is 8 bytes in.
    let mut bytes = [7; 16];
    bytes[0] = 3;
    let mut expected = [FILL; 16];
    expected[0] = 3;
    expected[8..10].fill(7);
    expected[12..16].fill(7);
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
    bytes[0] = 4;
    assert_eq!(e.bytes(bytes, ty), trap(Trap::InvalidDiscriminant));
    bytes[0] = 0;
    expected = [FILL; 16];
    expected[0] = 0;
    assert_eq!(e.bytes(bytes, ty), Ok(expected));
}

#[test]
fn wide_discriminants() {
    let mut e = Fake::plain();
    let mut cases = vec![None; 257];
    cases[256] = Some(ValType::U8);
    let ty = e.intern(NewType::Variant(&cases));
    assert_eq!(e.bytes([0, 1, 9, 0], ty), Ok([0, 1, 9, FILL]));
    assert_eq!(e.bytes([1, 1, 9, 0], ty), trap(Trap::InvalidDiscriminant));
    assert_eq!(e.flat(&[256, 300], ty), Ok([256, 44]));
}

#[test]
fn nested_variants_clear_every_unused_slot() {
    let mut e = Fake::plain();
    let inner = e.intern(NewType::Variant(&[Some(ValType::U32), Some(ValType::String)]));
    let ty = e.intern(NewType::Variant(&[Some(inner), None]));
    let ty = e.record(&[ty, ValType::U8]);
    assert_eq!(e.flat(&[0, 0, 5, 99, 6], ty), Ok([0, 0, 5, 0, 6]));
    assert_eq!(e.flat(&[1, 8, 8, 8, 6], ty), Ok([1, 0, 0, 0, 6]));
}

#[test]
fn fixed_length_lists_lie_in_place() {
    let mut e = Fake::plain();
    let ty = e.intern(NewType::FixedList(ValType::Bool, 3));
    assert_eq!(e.flat(&[2, 0, 1], ty), Ok([1, 0, 1]));
    assert_eq!(e.bytes([2, 0, 1, 5], ty), Ok([1, 0, 1, FILL]));
    let plain = e.intern(NewType::FixedList(ValType::U16, 2));
    let ty = e.record(&[ValType::U8, plain]);
    assert_eq!(e.bytes([1, 99, 2, 3, 4, 5], ty), Ok([1, FILL, 2, 3, 4, 5]));
    let mut flat = [0; 3];
    e.go(Source::Memory(8), Dest::Flat(&mut flat), ty).unwrap();
    assert_eq!(flat, [1, 0x302, 0x504]);
    assert!(e.log.is_empty());
}

#[test]
fn too_few_flat_values_are_misuse() {
    let mut e = Fake::plain();
    let ty = e.record(&[ValType::U8, ValType::String]);
    assert!(matches!(e.flat::<3>(&[1, 2], ty), Err(Error::Misuse(_))));
    assert!(matches!(e.flat::<2>(&[1, 64, 0], ty), Err(Error::Misuse(_))));
    let ty = e.intern(NewType::Variant(&[None, Some(ValType::U8)]));
    assert!(matches!(e.flat::<1>(&[0, 0], ty), Err(Error::Misuse(_))));
}

// Lists.

#[test]
fn lists_are_checked_before_anything_is_allocated() {
    let mut e = Fake::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    for (pointer, count, expected) in [
        (0, 0x400_0000, Trap::ListTooLong),
        (1, 0x400_0000, Trap::ListTooLong),
        (2, 1, Trap::Unaligned),
        (2, 0, Trap::Unaligned),
        (4094, 1, Trap::Unaligned),
        (4096, 1, Trap::ListOutOfBounds),
        (4100, 0, Trap::ListOutOfBounds),
        (0xffff_fffc, 1, Trap::ListOutOfBounds),
        (0, 1025, Trap::ListOutOfBounds),
        (0, 0x3ff_ffff, Trap::ListOutOfBounds),
    ] {
        assert_eq!(e.flat::<2>(&[pointer, count], ty), trap(expected), "{pointer} {count}");
    }
    assert!(e.log.is_empty());
    assert_eq!(e.flat(&[4096, 0], ty), Ok([64, 0]));
    assert_eq!(e.log, [[0, 0, 4, 0]]);
}

#[test]
fn lists_of_lists() {
    let mut e = Fake::plain();
    let inner = e.intern(NewType::List(ValType::Char));
    let ty = e.intern(NewType::List(inner));
    let words: Vec<u8> = [200u32, 2, 300, 0, 208, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    e.put(100, &words);
    e.put(200, &[b'a', 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
    assert_eq!(e.flat(&[100, 3], ty), Ok([64, 3]));
    assert_eq!(e.log, [[0, 0, 4, 24], [0, 0, 4, 8], [0, 0, 4, 0], [0, 0, 4, 4]]);
    let words: Vec<u8> = [88u32, 2, 96, 0, 96, 1].iter().flat_map(|w| w.to_le_bytes()).collect();
    assert_eq!(e.got(64, 24), words);
    assert_eq!(e.got(88, 12), [b'a', 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
    // An element that is not a value.
    e.put(204, &[0, 0xd8, 0, 0]);
    assert_eq!(e.flat::<2>(&[100, 3], ty), trap(Trap::InvalidChar));
}

#[test]
fn as_deep_as_types_go() {
    let mut e = Fake::new([64 * 1024; 2], [StringEncoding::Utf8; 2]);
    let mut ty = ValType::U8;
    for _ in 0..100 {
        ty = e.intern(NewType::List(ty));
    }
    let ValType::Defined(deepest) = ty else { unreachable!() };
    assert!(e.store.types_mut().intern(NewType::List(ValType::Defined(deepest)), 0).is_err());
    // Each level is a list of one list, the next one in memory.
    for level in 0..99u32 {
        e.put(8 * level as usize, &(8 * (level + 1)).to_le_bytes());
        e.put(8 * level as usize + 4, &1u32.to_le_bytes());
    }
    e.put(8 * 99, &[5]);
    assert_eq!(e.flat(&[0, 1], ty), Ok([64, 1]));
    assert_eq!(e.log.len(), 100);
}

// `realloc`.

#[test]
fn what_realloc_answers_is_checked() {
    let mut e = Fake::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    for (answer, count, expected) in [
        (2, 1, Trap::ReallocUnaligned),
        (0xffff_ffff, 0, Trap::ReallocUnaligned),
        (0xffff_fffc, 0, Trap::ReallocOutOfBounds),
        (4096, 1, Trap::ReallocOutOfBounds),
        (4100, 0, Trap::ReallocOutOfBounds),
    ] {
        e.realloc = Realloc::Answer(answer);
        assert_eq!(e.flat::<2>(&[0, count], ty), trap(expected), "{answer} {count}");
        assert_eq!(e.flat::<2>(&[0, 4096 * count], ValType::String).is_err(), answer > 4096 || count == 1);
    }
    for answer in [4096, 4096 | 7 << 32] {
        e.realloc = Realloc::Answer(answer);
        assert_eq!(e.flat(&[0, 0], ty), Ok([4096, 0]));
    }
    e.realloc = Realloc::Trap;
    assert_eq!(e.flat::<2>(&[0, 1], ty), trap(Trap::Engine(7)));
    e.realloc = Realloc::Bump;
    let [_, to] = e.contexts;
    assert_eq!(reallocate(&mut e, &to, 0, 0, 8, 5), Ok(64));
    assert_eq!(reallocate(&mut e, &to, 64, 5, 8, 3), Ok(64));
}

#[test]
fn missing_options_are_misuse() {
    let mut e = Fake::plain();
    let ty = e.intern(NewType::List(ValType::U32));
    e.contexts[1].options.realloc = None;
    assert!(matches!(e.flat::<2>(&[0, 1], ty), Err(Error::Misuse(_))));
    assert!(matches!(e.flat::<2>(&[0, 0], ValType::String), Err(Error::Misuse(_))));
    e.contexts[0].options.memory = None;
    assert!(matches!(e.flat::<2>(&[0, 0], ValType::String), Err(Error::Misuse(_))));
    let [from, _] = e.contexts;
    assert!(matches!(check_range(&mut e, &from, 0, 1, 0), Err(Error::Misuse(_))));
    assert!(matches!(load_int(&mut e, &from, 0, 1), Err(Error::Misuse(_))));
    assert!(matches!(store_int(&mut e, &from, 0, 1, 0), Err(Error::Misuse(_))));
    assert!(matches!(transfer_elements(&mut e, &from, 0, &from, 0, ValType::U8, 2), Err(Error::Misuse(_))));
    let unknown = Options { ..Options::new(InstanceId::from_index(77)) };
    let unknown =
        Context { options: Options { realloc: Some(FuncRef::from_index(0)), ..unknown }, scope: Scope::None };
    assert!(matches!(reallocate(&mut e, &unknown, 0, 0, 1, 1), Err(Error::Misuse(_))));
}

#[test]
fn ranges() {
    let mut e = Fake::plain();
    let [_, c] = e.contexts;
    assert_eq!(check_range(&mut e, &c, 4096, 8, 0), Ok(()));
    assert_eq!(check_range(&mut e, &c, 4088, 8, 8), Ok(()));
    assert_eq!(check_range(&mut e, &c, 4088, 8, 9), trap(Trap::OutOfBounds));
    assert_eq!(check_range(&mut e, &c, 4104, 8, 0), trap(Trap::OutOfBounds));
    assert_eq!(check_range(&mut e, &c, 4100, 8, 0), trap(Trap::Unaligned));
    assert_eq!(check_range(&mut e, &c, u32::MAX, 1, u32::MAX), trap(Trap::OutOfBounds));
    for bytes in [1, 2, 4, 8] {
        let last = 4096 - bytes;
        store_int(&mut e, &c, last, bytes, 0x8877_6655_4433_2211).unwrap();
        let expected = 0x8877_6655_4433_2211u64 & (u64::MAX >> (64 - 8 * bytes));
        assert_eq!(load_int(&mut e, &c, last, bytes), Ok(expected));
        for past in [last + 1, 4096, 5000, u32::MAX] {
            assert_eq!(load_int(&mut e, &c, past, bytes), trap(Trap::OutOfBounds));
            assert_eq!(store_int(&mut e, &c, past, bytes, 0), trap(Trap::OutOfBounds));
        }
        assert_eq!(load_int(&mut e, &c, last, bytes), Ok(expected));
    }
    assert!(matches!(load_int(&mut e, &c, 0, 3), Err(Error::Misuse(_))));
    assert!(matches!(store_int(&mut e, &c, 0, 0, 0), Err(Error::Misuse(_))));
}

// Copies.

#[test]
fn copies_overlap_safely() {
    let pattern: Vec<u8> = (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (to, from) in [(0, 0), (0, 1), (1, 0), (7, 700), (700, 7), (0, 2000), (2000, 0)] {
        for len in [0, 1, 2, 255, 256, 257, 1023, 1024, 1025, 2048, 2500] {
            let mut e = Fake::new([5000, 5000], [StringEncoding::Utf8; 2]);
            e.memories[0].copy_from_slice(&pattern);
            let mut expected = pattern.clone();
            expected.copy_within(from..from + len, to);
            copy_in_chunks(&mut e, (A, to), (A, from), len).unwrap();
            assert!(e.memories[0] == expected, "{to} {from} {len}");
            let mut expected = vec![FILL; 5000];
            expected[to..to + len].copy_from_slice(&pattern[from..from + len]);
            e.memories[0].copy_from_slice(&pattern);
            e.copy((B, to), (A, from), len).unwrap();
            assert!(e.memories[1] == expected, "{to} {from} {len}");
        }
    }
}

#[test]
fn copies_out_of_bounds_write_nothing() {
    let mut e = Fake::new([3000, 2000], [StringEncoding::Utf8; 2]);
    e.memories[0].fill(1);
    for (to, from, len) in [
        (0, 0, 2001),
        (1, 0, 2000),
        (0, 1500, 1501),
        (2001, 0, 0),
        (0, 3001, 0),
        (usize::MAX, 0, 2),
        (0, 0, usize::MAX),
    ] {
        assert_eq!(copy_in_chunks(&mut e, (B, to), (A, from), len), trap(Trap::OutOfBounds));
        assert!(e.memories[1].iter().all(|b| *b == FILL));
    }
    assert_eq!(copy_in_chunks(&mut e, (B, 2000), (A, 3000), 0), Ok(()));
    assert!(copy_in_chunks(&mut e, (MemoryRef::from_index(9), 0), (A, 0), 0).is_err());
}

// Strings.

const TAG: u32 = 1 << 31;
const ENCODINGS: [StringEncoding; 3] =
    [StringEncoding::Utf8, StringEncoding::Utf16, StringEncoding::Latin1Utf16];

/// A string as it lies in memory, with its tagged code units.
type Encoded = (Vec<u8>, u32);

fn utf8(text: &str) -> Encoded {
    (text.as_bytes().to_vec(), text.len() as u32)
}

fn utf16(text: &str) -> Encoded {
    let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let units = bytes.len() as u32 / 2;
    (bytes, units)
}

fn tagged(text: &str) -> Encoded {
    let (bytes, units) = utf16(text);
    (bytes, units | TAG)
}

fn is_latin1(text: &str) -> bool {
    text.chars().all(|c| u32::from(c) < 0x100)
}

fn latin1(text: &str) -> Encoded {
    let bytes: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let units = bytes.len() as u32;
    (bytes, units)
}

/// Every way to write a string that a source may choose.
fn sources(text: &str) -> Vec<(StringEncoding, Encoded)> {
    let mut all = vec![
        (StringEncoding::Utf8, utf8(text)),
        (StringEncoding::Utf16, utf16(text)),
        (StringEncoding::Latin1Utf16, tagged(text)),
    ];
    if is_latin1(text) {
        all.push((StringEncoding::Latin1Utf16, latin1(text)));
    }
    all
}

/// What arrives: the reference's calls of `realloc` as (old size, alignment, new size), and the string.
fn expected(text: &str, from: StringEncoding, units: u32, to: StringEncoding) -> (Vec<[u32; 3]>, Encoded) {
    let is_tagged = from == StringEncoding::Latin1Utf16 && units & TAG != 0;
    let is_latin1_source = from == StringEncoding::Latin1Utf16 && !is_tagged;
    let units = units & !TAG;
    let mut calls = Vec::new();
    let result = match to {
        StringEncoding::Utf8 => {
            let result = utf8(text);
            calls.push([0, 1, units]);
            if from != StringEncoding::Utf8 && !text.is_ascii() {
                let worst = if is_latin1_source { 2 * units } else { 3 * units };
                calls.push([units, 1, worst]);
                if worst > result.1 {
                    calls.push([worst, 1, result.1]);
                }
            }
            result
        }
        StringEncoding::Utf16 => {
            let result = utf16(text);
            calls.push([0, 2, 2 * units]);
            if from == StringEncoding::Utf8 && 2 * result.1 < 2 * units {
                calls.push([2 * units, 2, 2 * result.1]);
            }
            result
        }
        StringEncoding::Latin1Utf16 if is_latin1_source => {
            calls.push([0, 2, units]);
            latin1(text)
        }
        StringEncoding::Latin1Utf16 if is_tagged => {
            calls.push([0, 2, 2 * units]);
            if is_latin1(text) {
                calls.push([2 * units, 1, units]);
                latin1(text)
            } else {
                tagged(text)
            }
        }
        StringEncoding::Latin1Utf16 => {
            calls.push([0, 2, units]);
            let result = if is_latin1(text) { latin1(text) } else { tagged(text) };
            let size = result.0.len() as u32;
            if is_latin1(text) {
                if size < units {
                    calls.push([units, 2, size]);
                }
            } else {
                calls.push([units, 2, 2 * units]);
                if size < 2 * units {
                    calls.push([2 * units, 2, size]);
                }
            }
            result
        }
    };
    (calls, result)
}

fn check_text(text: &str) {
    for (from, (bytes, units)) in sources(text) {
        for to in ENCODINGS {
            let mut e = Fake::new([8192, 32768], [from, to]);
            e.put(32, &bytes);
            let [pointer, tagged] = e
                .flat(&[32, units.into()], ValType::String)
                .unwrap_or_else(|error| panic!("{error} {text:?}"));
            let what = format!("{from:?} {units:x} to {to:?}: {text:?}");
            let (calls, (bytes, units)) = expected(text, from, units, to);
            let log: Vec<_> =
                e.log.iter().map(|[_, old_size, align, size]| [*old_size, *align, *size]).collect();
            assert_eq!(log, calls, "{what}");
            assert_eq!(tagged, u64::from(units), "{what}");
            assert_eq!(e.got(pointer as u32, bytes.len()), bytes, "{what}");
            // Each call names what the one before answered.
            let mut before = 0;
            for [old, old_size, align, size] in e.log.clone() {
                assert_eq!(old, before, "{what}");
                before = if old != 0 && size < old_size {
                    old
                } else {
                    let next = if before == 0 { 64 } else { before + old_size };
                    next.next_multiple_of(align)
                };
            }
            assert_eq!(u64::from(before), pointer, "{what}");
        }
    }
}

#[test]
fn strings_in_every_pair_of_encodings() {
    for text in [
        "",
        "a",
        "hello",
        "\0",
        "\u{7f}",
        "\u{80}",
        "h\u{f6}",
        "\u{f6}",
        "\u{ff}",
        "\u{100}",
        "a\u{100}",
        "\u{ff}\u{100}",
        "\u{7ff}",
        "\u{800}",
        "☃☺️öツ",
        "\u{d7ff}\u{e000}",
        "\u{ffff}",
        "\u{10000}",
        "hö☃🍰",
        "🍰",
        "🍰🍰a",
        "\u{10ffff}",
        "\u{feff}bom",
        "aé☃🍰aé☃🍰",
    ] {
        check_text(text);
    }
}

#[test]
fn characters_across_the_chunks() {
    for c in ["a", "\u{e9}", "☃", "🍰"] {
        for before in (60..66).chain(82..88).chain(124..130).chain(250..260).chain(508..516) {
            check_text(&("x".repeat(before) + c));
            check_text(&("x".repeat(before) + c + &"☃".repeat(3) + &"y".repeat(300)));
            check_text(&(c.repeat(before) + "z"));
        }
    }
}

#[test]
fn strings_of_random_characters() {
    let mut state = 0x1234_5678_9abc_def1u64;
    let mut random = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    for _ in 0..400 {
        let kind = 1 + random(4);
        let length = random(400);
        let text: String = (0..length)
            .filter_map(|_| {
                let range = [0x80, 0x100, 0x1_0000, 0x11_0000][random(kind) as usize];
                char::from_u32(random(range) as u32)
            })
            .collect();
        check_text(&text);
    }
}

/// Tries some bytes as a string, to every encoding: nothing may be allocated.
fn refuse(from: StringEncoding, bytes: &[u8], units: u32, expected: Trap) {
    for to in ENCODINGS {
        let mut e = Fake::new([8192; 2], [from, to]);
        e.put(32, bytes);
        assert_eq!(e.flat::<2>(&[32, units.into()], ValType::String), trap(expected), "{bytes:x?} to {to:?}");
        assert!(e.log.is_empty());
    }
}

#[test]
fn text_that_is_not_utf8() {
    for bad in [
        &[0xff][..],
        &[0x80],
        &[0xc3, 0x28],
        &[0xc0, 0x80],
        &[0xed, 0xa0, 0x80],
        &[0xf4, 0x90, 0x80, 0x80],
        &[0xe2, 0x28],
        &[0xf5, 0x80, 0x80, 0x80],
    ] {
        refuse(StringEncoding::Utf8, bad, bad.len() as u32, Trap::InvalidUtf8);
    }
    for text in ["é", "☃", "🍰"] {
        for end in 1..text.len() {
            for before in [0, 1, 255, 256, 1000] {
                let mut bytes = vec![b'x'; before];
                bytes.extend(&text.as_bytes()[..end]);
                refuse(StringEncoding::Utf8, &bytes, bytes.len() as u32, Trap::IncompleteUtf8);
                bytes.push(b'x');
                refuse(StringEncoding::Utf8, &bytes, bytes.len() as u32, Trap::InvalidUtf8);
            }
        }
    }
}

#[test]
fn text_that_is_not_utf16() {
    for before in [0, 1, 127, 128, 500] {
        for bad in [
            &[0xd800][..],
            &[0xdbff],
            &[0xdc00],
            &[0xdfff],
            &[0xd800, 0x41],
            &[0xd800, 0xd800, 0xdc00],
            &[0xdc00, 0xd800],
        ] {
            let mut units = vec![0x41u16; before];
            units.extend(bad);
            for after in [0, 1, 300] {
                units.extend(core::iter::repeat_n(0x42, after));
                let bytes: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
                let length = units.len() as u32;
                refuse(StringEncoding::Utf16, &bytes, length, Trap::InvalidUtf16);
                refuse(StringEncoding::Latin1Utf16, &bytes, length | TAG, Trap::InvalidUtf16);
            }
        }
    }
}

#[test]
fn string_ranges() {
    const MAX: u32 = (1 << 28) - 1;
    for (from, pointer, units, expected) in [
        (StringEncoding::Utf8, 0xdead_beef, 0, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 8193, 0, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 8191, 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 0, MAX, Trap::StringOutOfBounds),
        (StringEncoding::Utf8, 0, MAX + 1, Trap::StringTooLong),
        (StringEncoding::Utf8, u32::MAX, u32::MAX, Trap::StringTooLong),
        (StringEncoding::Utf16, 1, 0, Trap::Unaligned),
        (StringEncoding::Utf16, 8193, 1, Trap::Unaligned),
        (StringEncoding::Utf16, 8190, 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf16, 0, MAX / 2, Trap::StringOutOfBounds),
        (StringEncoding::Utf16, 1, MAX / 2 + 1, Trap::StringTooLong),
        (StringEncoding::Utf16, 0, TAG, Trap::StringTooLong),
        (StringEncoding::Latin1Utf16, 1, 0, Trap::Unaligned),
        (StringEncoding::Latin1Utf16, 1, TAG, Trap::Unaligned),
        (StringEncoding::Latin1Utf16, 8190, 3, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 8190, 2 | TAG, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 0, MAX, Trap::StringOutOfBounds),
        (StringEncoding::Latin1Utf16, 0, MAX | TAG, Trap::StringTooLong),
        (StringEncoding::Latin1Utf16, 0, MAX + 1, Trap::StringTooLong),
    ] {
        for to in ENCODINGS {
            let mut e = Fake::new([8192; 2], [from, to]);
            let result = e.flat::<2>(&[pointer.into(), units.into()], ValType::String);
            assert_eq!(result, trap(expected), "{from:?} {pointer:x} {units:x}");
            assert!(e.log.is_empty());
            e.put(8190, b"ok");
            assert!(e.flat::<2>(&[8192, 0], ValType::String).is_ok());
            let end = if from == StringEncoding::Utf16 { 1 } else { 2 };
            assert!(e.flat::<2>(&[8190, end], ValType::String).is_ok());
        }
    }
}

#[test]
fn a_source_that_changes_under_way_is_at_worst_a_trap() {
    for text in ["a", "abcö", "hö☃🍰", "🍰🍰🍰🍰"] {
        for (from, (bytes, units)) in sources(text) {
            for to in ENCODINGS {
                for byte in [0, b'a', 0x80, 0xc3, 0xf0, 0xff, 0xd8, 0xdc] {
                    let mut e = Fake::new([8192; 2], [from, to]);
                    e.put(32, &bytes);
                    e.realloc = Realloc::Meddle(byte);
                    let result = e.flat::<2>(&[32, units.into()], ValType::String);
                    assert!(matches!(result, Ok(_) | Err(Error::Trap(_))), "{result:?}");
                    // Nothing outside of what was allocated is written.
                    assert!(e.memories[1][..64].iter().all(|b| *b == FILL));
                    let end = e.next[1] as usize;
                    assert!(e.memories[1][end..].iter().all(|b| *b == FILL));
                }
            }
        }
    }
}

#[test]
fn strings_inside_of_values() {
    let mut e = Fake::new([4096; 2], [StringEncoding::Utf8, StringEncoding::Utf16]);
    let option = e.intern(NewType::Variant(&[None, Some(ValType::String)]));
    let ty = e.intern(NewType::List(option));
    e.put(100, &[1, 9, 9, 9, 200, 0, 0, 0, 2, 0, 0, 0, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    e.put(200, "ö".as_bytes());
    assert_eq!(e.flat(&[100, 2], ty), Ok([64, 2]));
    let mut bytes = [FILL; 24];
    bytes[0] = 1;
    bytes[4..12].copy_from_slice(&[88, 0, 0, 0, 1, 0, 0, 0]);
    bytes[12] = 0;
    assert_eq!(e.got(64, 24), bytes);
    assert_eq!(e.got(88, 2), [0xf6, 0]);
    assert_eq!(e.log, [[0, 0, 4, 24], [0, 0, 2, 4], [88, 4, 2, 2]]);
}
