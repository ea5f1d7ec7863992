//! Spec: Loading, Storing, Flat Lifting, Flat Lowering: the walk over a value, one side read and the other
//! written at the same time.

use super::copy::{charge, copy_charged};
use super::memory::{What, check, load_int, reallocate, some_memory, store_int};
use super::strings::{Stored, transfer_string};
use super::types::{Items, Layout, TypeDef, ValType, discriminant_size};
use super::{Context, Scope};
use crate::embedding::Embedding;
use crate::error::Trap;
use crate::id::{InstanceId, MemoryRef, OptsId, TypeId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises};
use crate::spec::{MAX_LIST_BYTE_LENGTH, PtrType};
use crate::state::ptr_type;
use crate::storage::Profile;
use crate::store::Store;

/// Where a value is lifted from.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Source<'a> {
    /// Flat values, from the first on; there may be more than the value takes.
    Flat(&'a [u64]),
    /// An address in the memory of its side.
    Memory(usize),
}

/// Where a value is lowered to.
#[derive(Debug)]
pub enum Dest<'a> {
    /// Flat values, from the first on; those past what the value takes stay as they are.
    Flat(&'a mut [u64]),
    /// An address in the memory of its side.
    Memory(usize),
}

/// [`transfer`](super::transfer).
pub(crate) fn transfer<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    dest: Dest<'_>,
    ty: ValType,
) -> Raises {
    let (source, begin): (&[u64], _) = match source {
        Source::Flat(values) => (values, None),
        Source::Memory(pointer) => (&[], Some(pointer)),
    };
    let (dest, to_begin): (&mut [u64], _) = match dest {
        Dest::Flat(values) => (values, None),
        Dest::Memory(pointer) => (&mut [], Some(pointer)),
    };
    let mut w = Walk::new(*from, source, *to, dest);
    begin.into_iter().for_each(|pointer| w.from.go_to(pointer));
    to_begin.into_iter().for_each(|pointer| w.to.go_to(pointer));
    w.find_sides(e)?;
    walk(e, &mut w, ty, 1)
}

/// How far a copy of elements came.
pub(crate) struct Moved {
    /// How many have reached the other side.
    pub count: u32,
    /// Whether of the next, which failed, a handle has left its side.
    pub lost: bool,
    /// Where the next one is on either side.
    pub ends: (usize, usize),
}

/// [`transfer_elements`](super::transfer_elements). On an error `moved` has the elements before the one that
/// failed.
pub(crate) fn transfer_elements<E: Embedding + ?Sized>(
    e: &mut E,
    (from, to): (OptsId, OptsId),
    element: ValType,
    count: u32,
    moved: &mut Moved,
) -> Raises {
    let context = |options| Context { options, scope: Scope::None };
    let mut w = Walk::new(context(from), &[], context(to), &mut []);
    w.from.go_to(moved.ends.0);
    w.to.go_to(moved.ends.1);
    w.find_sides(e)?;
    // Elements that are not plain bytes may hold handles: they move one by one, so that `moved` is exact.
    let layout = *e.store().layout_of(element)?;
    let step = if layout.plain { count } else { 1 };
    while moved.count < count {
        w.moved_handle = false;
        let walked = walk(e, &mut w, element, step);
        if walked.is_err() {
            if w.moved_handle {
                moved.lost = true;
                moved.ends.0 = moved.ends.0.wrapping_add(layout.size(w.from.ptr_type()) as usize);
            }
            return walked;
        }
        moved.count = moved.count.wrapping_add(step);
        moved.ends = (w.from.at, w.to.at);
    }
    Ok(())
}

/// Where the walk is, on one side.
#[derive(Clone, Copy)]
struct Place {
    context: Context,
    /// Of the context's options, as are the next.
    instance: InstanceId,
    memory: Option<MemoryRef>,
    /// At which address; or, of flat values, at which of them.
    at: usize,
    flat: bool,
}

impl Place {
    /// At the first flat value.
    const fn new(context: Context) -> Self {
        Place { context, instance: InstanceId::from_index(0), memory: None, at: 0, flat: true }
    }

    /// Whose options these are, and which memory they name.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn find<E: Embedding + ?Sized>(&mut self, e: &mut E) -> Raises {
        let options = e.store().options_of(self.context.options)?;
        (self.instance, self.memory) = (options.instance, options.memory);
        Ok(())
    }

    /// To an address, which has been checked.
    fn go_to(&mut self, pointer: usize) {
        (self.at, self.flat) = (pointer, false);
    }

    fn ptr_type(&self) -> PtrType {
        ptr_type(self.memory)
    }

    /// Whether a value of this layout lies here.
    fn check<E: Embedding + ?Sized>(&self, e: &mut E, layout: &Layout) -> Raises {
        let ptr = self.ptr_type();
        check(e, self.memory, (self.at, layout.align(ptr), layout.size(ptr) as usize), What::Value)
    }

    /// Goes to where a value of this layout begins. How far behind that a variant's payload lies, and the next value: its `alignment` and
    /// its `elem_size`, or of flat values 1 and how many it takes.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn begin(&mut self, layout: &Layout) -> (usize, usize) {
        if self.flat {
            return (1, layout.flat.into());
        }
        let ptr = self.ptr_type();
        let align = layout.align(ptr) as usize;
        let mask = align.wrapping_sub(1);
        // What is in memory has been checked as a whole: additions don't go past its end.
        self.at = self.at.wrapping_add(mask) & !mask;
        (align, layout.size(ptr) as usize)
    }
}

/// The walk over a value: both sides, and the core value that is on its way.
pub(crate) struct Walk<'a> {
    from: Place,
    to: Place,
    /// The flat values that are lifted.
    source: &'a [u64],
    /// Those that are lowered to.
    dest: &'a mut [u64],
    bits: u64,
    /// How many values were visited one by one that are not charged yet.
    visited: u32,
    /// Whether a handle has left its side.
    moved_handle: bool,
}

/// So many values that are no list's elements are charged at once.
const VISITS: u32 = 32;

impl<'a> Walk<'a> {
    /// From flat values to flat values.
    pub fn new(from: Context, source: &'a [u64], to: Context, dest: &'a mut [u64]) -> Self {
        Walk {
            from: Place::new(from),
            to: Place::new(to),
            source,
            dest,
            bits: 0,
            visited: 0,
            moved_handle: false,
        }
    }

    fn find_sides<E: Embedding + ?Sized>(&mut self, e: &mut E) -> Raises {
        self.from.find(e)?;
        self.to.find(e)
    }

    /// `lift_flat_values` and `lower_flat_values`: values that are more than `max_flat`, or more than there is room for, lie in
    /// memory, on the other side at `out_param` or else where `realloc` says. How many flat values were lowered.
    pub fn flat_values<E: Embedding + ?Sized>(
        &mut self,
        e: &mut E,
        ty: ValType,
        max_flat: usize,
        out_param: Option<usize>,
    ) -> Raises<usize> {
        self.find_sides(e)?;
        let layout = *e.store().layout_of(ty)?;
        let mut count = usize::from(layout.flat);
        if count > max_flat {
            let ptr = self.from.ptr_type();
            let pointer = ptr.word(self.source.first().copied().unwrap_or(0));
            self.from.go_to(pointer);
            self.from.check(e, &layout)?;
        }
        if count > self.dest.len() {
            let pointer = match out_param {
                Some(pointer) => pointer,
                None => {
                    let ptr = self.to.ptr_type();
                    let options = self.to.context.options;
                    let pointer = reallocate(e, options, 0, 0, layout.align(ptr), layout.size(ptr))?;
                    if let Some(first) = self.dest.first_mut() {
                        *first = pointer as u64;
                    }
                    count = 1;
                    pointer
                }
            };
            self.to.go_to(pointer);
            if out_param.is_some() {
                self.to.check(e, &layout).inspect_err(|_| e.store().blame(self.to.instance))?;
            }
        }
        walk(e, self, ty, 1)?;
        Ok(count)
    }

    /// Charges for `count` values that are about to be visited one by one. Single values are few where they
    /// are flat, and are charged together where they are many: a type may have a million fields.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn visit<E: Embedding + ?Sized>(&mut self, e: &mut E, count: u32) -> Raises {
        self.visited = self.visited.saturating_add(count);
        if count <= 1 && self.visited < VISITS {
            return Ok(());
        }
        charge(e, 0, core::mem::take(&mut self.visited))
    }

    /// Takes the next core value, of this many bytes in memory.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn load<E: Embedding + ?Sized>(&mut self, e: &mut E, bytes: u32) -> Raises {
        let at = self.from.at;
        if self.from.flat {
            self.bits = *self.source.get(at).or_raise(&mut e.store().raiser, Misuse::TooFewValues)?;
            self.from.at = at.wrapping_add(1);
        } else {
            self.bits = load_int(e, self.from.memory, at, bytes)?;
            self.from.at = at.wrapping_add(bytes as usize);
        }
        Ok(())
    }

    /// Puts it where the other side is.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn store<E: Embedding + ?Sized>(&mut self, e: &mut E, bytes: u32) -> Raises {
        let at = self.to.at;
        if self.to.flat {
            let to = self.dest.get_mut(at).or_raise(&mut e.store().raiser, Misuse::TooFewValues)?;
            *to = self.bits;
            self.to.at = at.wrapping_add(1);
        } else {
            store_int(e, self.to.memory, at, bytes, self.bits)?;
            self.to.at = at.wrapping_add(bytes as usize);
        }
        Ok(())
    }

    /// A string's or list's pointer; its length is on its way.
    fn load_range<E: Embedding + ?Sized>(&mut self, e: &mut E) -> Raises<usize> {
        let ptr = self.from.ptr_type();
        self.load(e, ptr.size())?;
        let pointer = ptr.word(self.bits);
        self.load(e, ptr.size())?;
        Ok(pointer)
    }

    /// A string's or list's pointer, and its length.
    fn store_range<E: Embedding + ?Sized>(&mut self, e: &mut E, pointer: usize, length: u64) -> Raises {
        let size = self.to.ptr_type().size();
        self.bits = pointer as u64;
        self.store(e, size)?;
        self.bits = length;
        self.store(e, size)
    }

    /// The flat values from here to `end`, which a variant's case does not use, become 0.
    fn clear_to<E: Embedding + ?Sized>(&mut self, e: &mut E, end: usize) -> Raises {
        if self.to.flat {
            let unused = self.dest.get_mut(self.to.at..end);
            let unused = unused.or_raise(&mut e.store().raiser, Misuse::TooFewValues)?;
            unused.iter_mut().for_each(|value| *value = 0);
        }
        Ok(())
    }
}

/// `count` values of one type, one after the other.
#[inline]
fn walk<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, ty: ValType, count: u32) -> Raises {
    match ty {
        ValType::Defined(id) => walk_defined(e, w, id, count),
        ValType::String => walk_strings(e, w, count),
        _ => walk_primitives(e, w, ty, count),
    }
}

/// Copies `count` values of `size` bytes that are nothing but bytes, from memory to memory; `false` where one side is flat.
fn copy_plain<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, size: usize, count: u32) -> Raises<bool> {
    if w.from.flat || w.to.flat {
        return Ok(false);
    }
    let length = (count as usize).checked_mul(size).or_raise(&mut e.store().raiser, Trap::OutOfBounds)?;
    let (source, dest) = (w.from.at, w.to.at);
    w.from.at = source.wrapping_add(length);
    w.to.at = dest.wrapping_add(length);
    let (to, from) = (some_memory(e, w.to.memory)?, some_memory(e, w.from.memory)?);
    copy_charged(e, (to, dest), (from, source), length)?;
    Ok(true)
}

// The functions that `walk_defined` calls are never inlined: it recurses, and its frame is to stay small.

fn walk_defined<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, id: TypeId, count: u32) -> Raises {
    let store = e.store();
    let layout = *store.layout_of(ValType::Defined(id))?;
    let def = store.types().def(id).or_raise(&mut store.raiser, Misuse::UnknownType)?;
    // Values that follow are aligned too: a size is a multiple of the alignment.
    let (payload, step) = w.from.begin(&layout);
    let (to_payload, to_step) = w.to.begin(&layout);
    if layout.plain && copy_plain(e, w, step, count)? {
        return Ok(());
    }
    w.visit(e, count)?;
    for _ in 0..count {
        let (source, dest) = (w.from.at, w.to.at);
        let end = dest.wrapping_add(to_step);
        match def {
            TypeDef::Record(fields) => {
                for index in 0..fields.len() {
                    let store = e.store();
                    let field = store.types().item(fields, index).flatten();
                    let field = field.or_raise(&mut store.raiser, Misuse::UnknownType)?;
                    walk(e, w, field, 1)?;
                }
            }
            TypeDef::Variant(cases) => {
                if let Some(case) = walk_discriminant(e, w, cases)? {
                    // The whole is aligned for the discriminant and for every payload, so the payload is
                    // as far in as that aligns.
                    w.from.at = source.wrapping_add(payload);
                    w.to.at = dest.wrapping_add(to_payload);
                    walk(e, w, case, 1)?;
                }
                w.clear_to(e, end)?;
            }
            TypeDef::List(element) => walk_list(e, w, element)?,
            TypeDef::FixedList(element, length) => walk(e, w, element, length)?,
            TypeDef::Flags(labels) => {
                // The same in any memory.
                let bytes = layout.size(PtrType::I32);
                w.load(e, bytes)?;
                w.bits &= u64::from(label_mask(labels));
                w.store(e, bytes)?;
            }
            handle => {
                w.load(e, 4)?;
                w.bits = move_handle(e, &w.from, &w.to, handle, w.bits as u32)?.into();
                w.moved_handle = true;
                w.store(e, 4)?;
            }
        }
        w.from.at = source.wrapping_add(step);
        w.to.at = end;
    }
    Ok(())
}

/// `count` primitives other than strings.
#[inline(never)]
fn walk_primitives<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, ty: ValType, count: u32) -> Raises {
    let layout = Layout::primitive(ty).or_raise(&mut e.store().raiser, Misuse::UnknownType)?;
    w.from.begin(layout);
    w.to.begin(layout);
    // The same in any memory.
    let size = layout.size(PtrType::I32);
    // One alone is cheaper to load and store than to copy.
    if layout.plain && count > 1 && copy_plain(e, w, size as usize, count)? {
        return Ok(());
    }
    w.visit(e, count)?;
    for _ in 0..count {
        w.load(e, size)?;
        let low = w.bits as u32;
        match ty {
            ValType::S64 | ValType::U64 | ValType::F64 => {}
            ValType::ErrorContext => w.bits = share_error_context(e, &w.from, &w.to, low)?.into(),
            _ => w.bits = normalise(ty, low).or_raise(&mut e.store().raiser, Trap::InvalidChar(low))?.into(),
        }
        w.store(e, size)?;
    }
    Ok(())
}

/// `count` strings.
#[inline(never)]
fn walk_strings<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, count: u32) -> Raises {
    w.from.begin(&Layout::RANGE);
    w.to.begin(&Layout::RANGE);
    w.visit(e, count)?;
    for _ in 0..count {
        let pointer = w.load_range(e)?;
        let stored = transfer_string(e, w.from.context.options, (pointer, w.bits), w.to.context.options)?;
        w.store_range(e, stored.pointer, stored.tagged_code_units(w.to.ptr_type()))?;
    }
    Ok(())
}

/// Lifts a primitive of at most 32 bits and lowers it flat; what goes to memory is the low bytes of that.
/// `None` where it is no character.
fn normalise(ty: ValType, low: u32) -> Option<u32> {
    Some(match ty {
        ValType::Bool => u32::from(low != 0),
        ValType::U8 => u32::from(low as u8),
        ValType::S8 => i32::from(low as i8) as u32,
        ValType::U16 => u32::from(low as u16),
        ValType::S16 => i32::from(low as i16) as u32,
        ValType::Char => char::from_u32(low)?.into(),
        _ => low,
    })
}

/// A variant's discriminant; the type of the case's payload.
#[inline(never)]
fn walk_discriminant<E: Embedding + ?Sized>(
    e: &mut E,
    w: &mut Walk<'_>,
    cases: Items,
) -> Raises<Option<ValType>> {
    let bytes = discriminant_size(cases.len());
    w.load(e, bytes)?;
    let index = w.bits as u32;
    let store = e.store();
    let invalid = Trap::InvalidDiscriminant { found: index, cases: cases.len().min(u16::MAX.into()) as u16 };
    let case = store.types().item(cases, index).or_raise(&mut store.raiser, invalid)?;
    w.bits = index.into();
    w.store(e, bytes)?;
    Ok(case)
}

#[inline(never)]
fn walk_list<E: Embedding + ?Sized>(e: &mut E, w: &mut Walk<'_>, element: ValType) -> Raises {
    let begin = w.load_range(e)?;
    let (ptr, to_ptr) = (w.from.ptr_type(), w.to.ptr_type());
    let count = ptr.word(w.bits);
    let layout = *e.store().layout_of(element)?;
    let length = count.checked_mul(layout.size(ptr) as usize);
    let length = length
        .filter(|length| *length <= MAX_LIST_BYTE_LENGTH as usize)
        .or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    // Only of elements without a size, which no component has, could there be more.
    let count = u32::try_from(count).ok().or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    check(e, w.from.memory, (begin, layout.align(ptr), length), What::List)?;
    // At most twice as many bytes on the other side.
    let length = count.checked_mul(layout.size(to_ptr)).or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    let pointer = reallocate(e, w.to.context.options, 0, 0, layout.align(to_ptr), length)?;
    let (source, dest) = ((w.from.at, w.from.flat), (w.to.at, w.to.flat));
    w.from.go_to(begin);
    w.to.go_to(pointer);
    walk(e, w, element, count)?;
    (w.from.at, w.from.flat) = source;
    (w.to.at, w.to.flat) = dest;
    w.store_range(e, pointer, count.into())
}

/// `lift_own`, `lift_borrow`, `lift_stream`, `lift_future`, and their halves on the other side: the new index.
#[inline(never)]
fn move_handle<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Place,
    to: &Place,
    def: TypeDef,
    index: u32,
) -> Raises<u32> {
    let (giver, taker) = (from.instance, to.instance);
    let store = e.store();
    if let TypeDef::Borrow(resource) = def {
        let Scope::Task(task) = to.context.scope else {
            return store.raiser.raise(Misuse::NoBorrower);
        };
        let rep = store.lift_borrow(giver, index, resource, from.context.scope)?;
        return store.lower_borrow(taker, rep, resource, task);
    }
    let is_end = !matches!(def, TypeDef::Own(_));
    store.check_taker(giver, taker, is_end).inspect_err(|_| blame_taker(store, to))?;
    let (element, future) = match def {
        TypeDef::Own(resource) => {
            let rep = store.lift_own(giver, index, resource)?;
            return store.lower_own(taker, rep, resource);
        }
        TypeDef::Stream(element) => (element, false),
        TypeDef::Future(element) => (element, true),
        _ => return store.raiser.raise(Bug::NotHandleType),
    };
    let end = store.lift_end(giver, index, future, element)?;
    store.lower_end(taker, end)
}

/// `lift_error_context`, `lower_error_context`: the index of one more handle to the same error context.
#[inline(never)]
fn share_error_context<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Place,
    to: &Place,
    index: u32,
) -> Raises<u32> {
    let store = e.store();
    let id = store.error_context_at(from.instance, index)?;
    store.lower_error_context(to.instance, id).inspect_err(|_| blame_taker(store, to))
}

/// There is no room for a handle in the taker's table, or its quota is reached. It asked for results and for what it reads, and is at
/// fault; not for the arguments of a call, so it is the caller that has to do with less.
fn blame_taker<P: Profile>(store: &mut Store<P>, to: &Place) {
    if !matches!(to.context.scope, Scope::Task(_)) {
        store.blame(to.instance);
    }
}

/// The bits of a flags value that have a label.
fn label_mask(labels: u8) -> u32 {
    1u32.checked_shl(labels.into()).unwrap_or(0).wrapping_sub(1)
}

/// Stores a string's pointer and its tagged code units at `at`, which has been checked.
pub(crate) fn store_string_range<E: Embedding + ?Sized>(
    e: &mut E,
    context: Context,
    at: usize,
    stored: Stored,
) -> Raises {
    let mut w = Walk::new(context, &[], context, &mut []);
    w.to.go_to(at);
    w.to.find(e)?;
    w.store_range(e, stored.pointer, stored.tagged_code_units(w.to.ptr_type()))
}
