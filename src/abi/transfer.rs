//! Spec: Loading, Storing, Flat Lifting, Flat Lowering: the walk over a value, one side read and the other
//! written at the same time.

use super::memory::{What, check, load_int, memory_of, reallocate, store_int};
use super::strings::transfer_string;
use super::types::{Items, Layout, TypeDef, ValType, discriminant_size};
use super::{Context, Scope};
use crate::embedding::Embedding;
use crate::error::{Resource, Trap};
use crate::id::TypeId;
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises, Raising as _};
use crate::spec::{MAX_LIST_BYTE_LENGTH, PtrType};

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
    let mut reader = match source {
        Source::Flat(values) => Reader { context: from, values, place: Place::Slot(0) },
        Source::Memory(pointer) => Reader { context: from, values: &[], place: Place::Memory(pointer) },
    };
    let mut writer = match dest {
        Dest::Flat(values) => Writer { context: to, values, place: Place::Slot(0) },
        Dest::Memory(pointer) => Writer { context: to, values: &mut [], place: Place::Memory(pointer) },
    };
    walk(e, &mut reader, &mut writer, ty, 1)
}

/// [`transfer_elements`](super::transfer_elements).
pub(crate) fn transfer_elements<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    from_pointer: usize,
    to: &Context,
    to_pointer: usize,
    element: ValType,
    count: u32,
) -> Raises {
    let mut reader = Reader { context: from, values: &[], place: Place::Memory(from_pointer) };
    let mut writer = Writer { context: to, values: &mut [], place: Place::Memory(to_pointer) };
    walk(e, &mut reader, &mut writer, element, count)
}

/// Where the walk is, on one side.
#[derive(Clone, Copy)]
enum Place {
    /// At this flat value.
    Slot(usize),
    /// At this address.
    Memory(usize),
}

impl Place {
    /// Where a value of this alignment begins.
    fn align(self, align: u32) -> Self {
        match self {
            Place::Slot(slot) => Place::Slot(slot),
            Place::Memory(pointer) => {
                let mask = align.wrapping_sub(1) as usize;
                // Nothing is read or written past the last byte of a memory.
                Place::Memory(pointer.saturating_add(mask) & !mask)
            }
        }
    }

    fn add(self, slots: u8, bytes: usize) -> Self {
        match self {
            Place::Slot(slot) => Place::Slot(slot.saturating_add(slots.into())),
            Place::Memory(pointer) => Place::Memory(pointer.saturating_add(bytes)),
        }
    }
}

/// The side that is lifted from.
struct Reader<'a> {
    context: &'a Context,
    values: &'a [u64],
    place: Place,
}

impl Reader<'_> {
    fn ptr_type(&self) -> PtrType {
        self.context.options.ptr_type()
    }

    /// A string's or list's pointer, and its length.
    fn load_range<E: Embedding + ?Sized>(&mut self, e: &mut E) -> Raises<(u64, u64)> {
        let size = self.ptr_type().size();
        Ok((self.load(e, size)?, self.load(e, size)?))
    }

    /// The next core value, of this many bytes in memory.
    fn load<E: Embedding + ?Sized>(&mut self, e: &mut E, bytes: u32) -> Raises<u64> {
        let value = match self.place {
            Place::Slot(slot) => {
                *self.values.get(slot).or_raise(&mut e.store().raiser, Misuse::TooFewValues)?
            }
            Place::Memory(pointer) => load_int(e, self.context, pointer, bytes)?,
        };
        self.place = self.place.add(1, bytes as usize);
        Ok(value)
    }
}

/// The side that is lowered to.
struct Writer<'a> {
    context: &'a Context,
    values: &'a mut [u64],
    place: Place,
}

impl Writer<'_> {
    fn ptr_type(&self) -> PtrType {
        self.context.options.ptr_type()
    }

    /// A string's or list's pointer, and its length.
    fn store_range<E: Embedding + ?Sized>(&mut self, e: &mut E, (pointer, length): (u64, u64)) -> Raises {
        let size = self.ptr_type().size();
        self.store(e, size, pointer)?;
        self.store(e, size, length)
    }

    fn store<E: Embedding + ?Sized>(&mut self, e: &mut E, bytes: u32, value: u64) -> Raises {
        match self.place {
            Place::Slot(slot) => {
                *self.values.get_mut(slot).or_raise(&mut e.store().raiser, Misuse::TooFewValues)? = value
            }
            Place::Memory(pointer) => store_int(e, self.context, pointer, bytes, value)?,
        }
        self.place = self.place.add(1, bytes as usize);
        Ok(())
    }

    /// The slots from here to `end`, which a variant's case does not use, become 0.
    fn clear_to<E: Embedding + ?Sized>(&mut self, e: &mut E, end: Place) -> Raises {
        if let (Place::Slot(from), Place::Slot(to)) = (self.place, end) {
            let unused = self.values.get_mut(from..to);
            let unused = unused.or_raise(&mut e.store().raiser, Misuse::TooFewValues)?;
            unused.iter_mut().for_each(|value| *value = 0);
        }
        Ok(())
    }
}

/// `count` values of one type, one after the other.
#[inline]
fn walk<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    ty: ValType,
    count: u32,
) -> Raises {
    match ty {
        ValType::Defined(id) => walk_defined(e, from, to, id, count),
        ValType::String => walk_strings(e, from, to, count),
        _ => walk_primitives(e, from, to, ty, count),
    }
}

/// Copies `count` values of `size` bytes that are nothing but bytes, from memory to memory; `false` where one side is flat.
fn copy_plain<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    size: u32,
    count: u32,
) -> Raises<bool> {
    let (Place::Memory(source), Place::Memory(dest)) = (from.place, to.place) else { return Ok(false) };
    let length =
        (count as usize).checked_mul(size as usize).or_raise(&mut e.store().raiser, Trap::OutOfBounds)?;
    from.place = from.place.add(0, length);
    to.place = to.place.add(0, length);
    let (to, from) = (memory_of(e, to.context)?, memory_of(e, from.context)?);
    e.copy((to, dest), (from, source), length).raising(&mut e.store().raiser)?;
    Ok(true)
}

// The functions that `walk_defined` calls are never inlined: it recurses, and its frame is to stay small.

fn walk_defined<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    id: TypeId,
    count: u32,
) -> Raises {
    let store = e.store();
    let layout = store.layout_of(ValType::Defined(id))?;
    let def = store.types().def(id).or_raise(&mut store.raiser, Misuse::UnknownType)?;
    let (ptr, to_ptr) = (from.ptr_type(), to.ptr_type());
    let (align, to_align) = (layout.align(ptr), layout.align(to_ptr));
    let (size, to_size) = (layout.size(ptr), layout.size(to_ptr));
    // Values that follow are aligned too: a size is a multiple of the alignment.
    from.place = from.place.align(align);
    to.place = to.place.align(to_align);
    if layout.plain && copy_plain(e, from, to, size, count)? {
        return Ok(());
    }
    for _ in 0..count {
        let (source, dest) = (from.place, to.place);
        let end = dest.add(layout.flat, to_size as usize);
        match def {
            TypeDef::Record(fields) => {
                for index in 0..fields.len() {
                    let store = e.store();
                    let field = store.types().item(fields, index).flatten();
                    let field = field.or_raise(&mut store.raiser, Misuse::UnknownType)?;
                    walk(e, from, to, field, 1)?;
                }
            }
            TypeDef::Variant(cases) => {
                if let Some(case) = walk_discriminant(e, from, to, cases)? {
                    // The whole is aligned for the discriminant and for every payload, so the payload is
                    // that far in.
                    from.place = source.add(1, align as usize);
                    to.place = dest.add(1, to_align as usize);
                    walk(e, from, to, case, 1)?;
                }
                to.clear_to(e, end)?;
            }
            TypeDef::List(element) => walk_list(e, from, to, element)?,
            TypeDef::FixedList(element, length) => walk(e, from, to, element, length)?,
            TypeDef::Flags(labels) => {
                let bits = from.load(e, size)?;
                to.store(e, size, bits & label_mask(labels))?;
            }
            handle => {
                let index = from.load(e, size)? as u32;
                let index = move_handle(e, from.context, to.context, handle, index)?;
                to.store(e, size, index.into())?;
            }
        }
        from.place = source.add(layout.flat, size as usize);
        to.place = end;
    }
    Ok(())
}

/// `count` primitives other than strings.
#[inline(never)]
fn walk_primitives<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    ty: ValType,
    count: u32,
) -> Raises {
    let layout = Layout::primitive(ty).or_raise(&mut e.store().raiser, Misuse::UnknownType)?;
    // The same in any memory, and the alignment too.
    let size = layout.size(PtrType::I32);
    from.place = from.place.align(size);
    to.place = to.place.align(size);
    // One alone is cheaper to load and store than to copy.
    if layout.plain && count > 1 && copy_plain(e, from, to, size, count)? {
        return Ok(());
    }
    for _ in 0..count {
        let bits = from.load(e, size)?;
        let bits = match ty {
            ValType::ErrorContext => share_error_context(e, from.context, to.context, bits as u32)?,
            _ => normalise(ty, bits).or_raise(&mut e.store().raiser, Trap::InvalidChar)?,
        };
        to.store(e, size, bits)?;
    }
    Ok(())
}

/// `count` strings.
#[inline(never)]
fn walk_strings<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    count: u32,
) -> Raises {
    from.place = from.place.align(from.ptr_type().size());
    to.place = to.place.align(to.ptr_type().size());
    for _ in 0..count {
        let range = from.load_range(e)?;
        let stored = transfer_string(e, from.context, range, to.context)?;
        to.store_range(e, stored.range(to.ptr_type()))?;
    }
    Ok(())
}

/// Lifts a primitive and lowers it flat; what goes to memory is the low bytes of that.
/// `None` where it is no character.
fn normalise(ty: ValType, bits: u64) -> Option<u64> {
    let low = bits as u32;
    Some(match ty {
        ValType::Bool => u64::from(low != 0),
        ValType::U8 => u64::from(low as u8),
        ValType::S8 => u64::from(i32::from(low as i8) as u32),
        ValType::U16 => u64::from(low as u16),
        ValType::S16 => u64::from(i32::from(low as i16) as u32),
        ValType::Char => char::from_u32(low).map(|c| u64::from(u32::from(c)))?,
        ValType::S64 | ValType::U64 | ValType::F64 => bits,
        _ => u64::from(low),
    })
}

/// A variant's discriminant; the type of the case's payload.
#[inline(never)]
fn walk_discriminant<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    cases: Items,
) -> Raises<Option<ValType>> {
    let bytes = discriminant_size(cases.len());
    let index = from.load(e, bytes)? as u32;
    let store = e.store();
    let case = store.types().item(cases, index).or_raise(&mut store.raiser, Trap::InvalidDiscriminant)?;
    to.store(e, bytes, index.into())?;
    Ok(case)
}

#[inline(never)]
fn walk_list<E: Embedding + ?Sized>(
    e: &mut E,
    from: &mut Reader<'_>,
    to: &mut Writer<'_>,
    element: ValType,
) -> Raises {
    let (begin, count) = from.load_range(e)?;
    let (ptr, to_ptr) = (from.ptr_type(), to.ptr_type());
    let (begin, count) = (ptr.word(begin), ptr.word(count));
    let layout = e.store().layout_of(element)?;
    let length = count.checked_mul(layout.size(ptr) as usize);
    let length = length
        .filter(|length| *length as u64 <= MAX_LIST_BYTE_LENGTH)
        .or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    // Only of elements without a size, which no component has, could there be more.
    let count = u32::try_from(count).ok().or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    check(e, from.context, (begin, layout.align(ptr), length), What::List)?;
    // At most twice as many bytes on the other side.
    let length = count.checked_mul(layout.size(to_ptr)).or_raise(&mut e.store().raiser, Trap::ListTooLong)?;
    let pointer = reallocate(e, to.context, 0, 0, layout.align(to_ptr), length)?;
    transfer_elements(e, from.context, begin, to.context, pointer, element, count)?;
    to.store_range(e, (pointer as u64, count.into()))
}

/// `lift_own`, `lift_borrow`, `lift_stream`, `lift_future`, and their halves on the other side: the new index.
#[inline(never)]
fn move_handle<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    to: &Context,
    def: TypeDef,
    index: u32,
) -> Raises<u32> {
    let (giver, taker) = (from.options.instance, to.options.instance);
    let store = e.store();
    if let TypeDef::Borrow(resource) = def {
        let Scope::Task(task) = to.scope else {
            return store.raiser.raise(Misuse::NoBorrower);
        };
        let rep = store.lift_borrow(giver, index, resource, from.scope)?;
        return store.lower_borrow(taker, rep, resource, task);
    }
    // What has left one table must not be lost for want of room in the other.
    if giver != taker && !store.instance_mut(taker)?.handles.has_room(1) {
        store.blame(taker);
        return store.raiser.raise(Resource::Handles);
    }
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
    from: &Context,
    to: &Context,
    index: u32,
) -> Raises<u64> {
    let store = e.store();
    let id = store.error_context_at(from.options.instance, index)?;
    Ok(store.lower_error_context(to.options.instance, id)?.into())
}

/// The bits of a flags value that have a label.
fn label_mask(labels: u8) -> u64 {
    1u64.checked_shl(labels.into()).unwrap_or(0).wrapping_sub(1) & u64::from(u32::MAX)
}
