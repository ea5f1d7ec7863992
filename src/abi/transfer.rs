//! Spec: Loading, Storing, Flat Lifting, Flat Lowering: the walk over a value, one side read and the other
//! written at the same time.

use super::memory::{check, load_int, memory_of, reallocate, store_int};
use super::strings::transfer_string;
use super::types::{Items, Layout, TypeDef, ValType, align_to, discriminant_size};
use super::{Context, Scope};
use crate::embedding::Embedding;
use crate::error::{Error, Resource, Trap};
use crate::spec::MAX_LIST_BYTE_LENGTH;

/// Where a value is lifted from.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Flat values, from the first on; there may be more than the value takes.
    Flat(&'a [u64]),
    /// An address in the memory of its side.
    Memory(u32),
}

/// Where a value is lowered to.
#[derive(Debug)]
pub enum Dest<'a> {
    /// Flat values, from the first on; those that the value does not take stay as they are.
    Flat(&'a mut [u64]),
    /// An address in the memory of its side.
    Memory(u32),
}

/// Where a part of a value lies in it.
#[derive(Clone, Copy)]
struct At {
    /// In memory, in bytes.
    offset: u32,
    /// Among flat values.
    slot: usize,
}

/// The second word of a list or string.
const SECOND: At = At { offset: 4, slot: 1 };

impl At {
    /// What comes after a part with this layout.
    fn after(self, part: Layout) -> Self {
        Self {
            offset: self.offset.saturating_add(part.size),
            slot: self.slot.saturating_add(part.flat.into()),
        }
    }
}

const UNKNOWN: Error = Error::Misuse("unknown type");
const TOO_FEW: Error = Error::Misuse("too few flat values for the type");

impl<'a> Source<'a> {
    fn part(self, at: At) -> Result<Self, Error> {
        Ok(match self {
            Source::Flat(values) => Source::Flat(values.get(at.slot..).ok_or(TOO_FEW)?),
            Source::Memory(pointer) => {
                Source::Memory(pointer.checked_add(at.offset).ok_or(Trap::OutOfBounds)?)
            }
        })
    }

    fn load<E: Embedding + ?Sized>(self, e: &mut E, context: &Context, bytes: u32) -> Result<u64, Error> {
        match self {
            Source::Flat(values) => values.first().copied().ok_or(TOO_FEW),
            Source::Memory(pointer) => load_int(e, context, pointer, bytes),
        }
    }
}

impl Dest<'_> {
    fn part(&mut self, at: At) -> Result<Dest<'_>, Error> {
        Ok(match self {
            Dest::Flat(values) => Dest::Flat(values.get_mut(at.slot..).ok_or(TOO_FEW)?),
            Dest::Memory(pointer) => Dest::Memory(pointer.checked_add(at.offset).ok_or(Trap::OutOfBounds)?),
        })
    }

    fn store<E: Embedding + ?Sized>(
        &mut self,
        e: &mut E,
        context: &Context,
        bytes: u32,
        value: u64,
    ) -> Result<(), Error> {
        match self {
            Dest::Flat(values) => *values.first_mut().ok_or(TOO_FEW)? = value,
            Dest::Memory(pointer) => store_int(e, context, *pointer, bytes, value)?,
        }
        Ok(())
    }
}

/// Lifts a value and lowers it: `load` or `lift_flat`, and `store` or `lower_flat`, in one walk.
///
/// Flat values are raw bits, those of 32 bits zero-extended; of a source's the upper half is ignored. Lowering
/// a variant sets the slots that its case does not use to 0. In memory the whole value has been checked by
/// [`check_range`](super::check_range) on both sides.
///
/// Runs the destination's `realloc` for lists and strings. O(size of the value); recurses once for each level of the
/// type, at most [`MAX_TYPE_DEPTH`](crate::spec::MAX_TYPE_DEPTH); allocates nothing.
///
/// # Errors
/// The traps of lifting and lowering; `Capacity` where the destination can't hold a handle, and the handle is then
/// still the source's; `Misuse` where a type is unknown, there are too few flat values, or an option or the borrow
/// scope that the type needs is missing. After an error a part of the value may have been moved.
pub fn transfer<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    mut dest: Dest<'_>,
    ty: ValType,
) -> Result<(), Error> {
    let ValType::Defined(id) = ty else {
        if ty == ValType::String {
            let (pointer, units) = load_pair(e, from, source)?;
            let (pointer, units) = transfer_string(e, from, pointer, units, to)?;
            return store_pair(e, to, dest, pointer, units);
        }
        let size = primitive_size(ty)?;
        let bits = source.load(e, from, size)?;
        return dest.store(e, to, size, normalise(ty, bits)?);
    };
    let (def, layout) = {
        let types = e.store().types();
        (types.def(id).ok_or(UNKNOWN)?, types.layout(ty).ok_or(UNKNOWN)?)
    };
    if layout.plain
        && let (Source::Memory(from_pointer), Dest::Memory(to_pointer)) = (source, &dest)
    {
        return transfer_elements(e, from, from_pointer, to, *to_pointer, ty, 1);
    }
    match def {
        TypeDef::Record(fields) => transfer_record(e, from, source, to, dest, fields),
        TypeDef::Variant(cases) => transfer_variant(e, from, source, to, dest, cases, layout),
        TypeDef::List(element) => transfer_list(e, from, source, to, dest, element),
        TypeDef::FixedList(element, length) => {
            transfer_fixed_list(e, from, source, to, dest, element, length)
        }
        TypeDef::Flags(labels) => {
            let bits = source.load(e, from, layout.size)?;
            dest.store(e, to, layout.size, bits & label_mask(labels))
        }
        TypeDef::Own(_) | TypeDef::Borrow(_) | TypeDef::Stream(_) | TypeDef::Future(_) => {
            let index = source.load(e, from, layout.size)? as u32;
            let index = transfer_handle(e, from, to, def, index)?;
            dest.store(e, to, layout.size, index.into())
        }
    }
}

/// Transfers elements that lie one after the other on both sides: the second half of `load_list` and
/// `store_list`. Both ranges have been checked by whoever calls.
///
/// O(size of the elements). Where every bit pattern is a value and there is no padding it is one
/// [`Embedding::copy`].
///
/// # Errors
/// As for [`transfer`].
pub fn transfer_elements<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    mut from_pointer: u32,
    to: &Context,
    mut to_pointer: u32,
    element: ValType,
    count: u32,
) -> Result<(), Error> {
    let layout = layout_of(e, element)?;
    if layout.plain {
        let length = u64::from(count).wrapping_mul(layout.size.into());
        let length = usize::try_from(length).map_err(|_| Trap::OutOfBounds)?;
        let to = (memory_of(to)?, to_pointer as usize);
        return e.copy(to, (memory_of(from)?, from_pointer as usize), length);
    }
    for _ in 0..count {
        transfer(e, from, Source::Memory(from_pointer), to, Dest::Memory(to_pointer), element)?;
        // May reach 2^32 after the last one.
        from_pointer = from_pointer.saturating_add(layout.size);
        to_pointer = to_pointer.saturating_add(layout.size);
    }
    Ok(())
}

fn transfer_record<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    mut dest: Dest<'_>,
    fields: Items,
) -> Result<(), Error> {
    let mut at = At { offset: 0, slot: 0 };
    for index in 0..fields.len() {
        let field = e.store().types().item(fields, index).flatten().ok_or(UNKNOWN)?;
        let layout = layout_of(e, field)?;
        at.offset = align_to(at.offset, layout.align).ok_or(Trap::OutOfBounds)?;
        transfer(e, from, source.part(at)?, to, dest.part(at)?, field)?;
        at = at.after(layout);
    }
    Ok(())
}

fn transfer_variant<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    mut dest: Dest<'_>,
    cases: Items,
    layout: Layout,
) -> Result<(), Error> {
    let size = discriminant_size(cases.len());
    let index = source.load(e, from, size)? as u32;
    let case = e.store().types().item(cases, index).ok_or(Trap::InvalidDiscriminant)?;
    dest.store(e, to, size, index.into())?;
    let mut used = 1;
    if let Some(case) = case {
        // A variant is aligned for its discriminant and for every payload, so the payload is that far in.
        let at = At { offset: layout.align, slot: 1 };
        used = at.after(layout_of(e, case)?).slot;
        transfer(e, from, source.part(at)?, to, dest.part(at)?, case)?;
    }
    if let Dest::Flat(values) = dest {
        let unused = values.get_mut(used..usize::from(layout.flat)).ok_or(TOO_FEW)?;
        unused.iter_mut().for_each(|value| *value = 0);
    }
    Ok(())
}

fn transfer_list<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    dest: Dest<'_>,
    element: ValType,
) -> Result<(), Error> {
    let (begin, count) = load_pair(e, from, source)?;
    let layout = layout_of(e, element)?;
    let length = u32::try_from(u64::from(count).wrapping_mul(layout.size.into()))
        .ok()
        .filter(|length| u64::from(*length) <= MAX_LIST_BYTE_LENGTH)
        .ok_or(Trap::ListTooLong)?;
    check(e, from, (begin, layout.align, length), Trap::Unaligned, Trap::ListOutOfBounds)?;
    let pointer = reallocate(e, to, 0, 0, layout.align, length)?;
    transfer_elements(e, from, begin, to, pointer, element, count)?;
    store_pair(e, to, dest, pointer, count)
}

fn transfer_fixed_list<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    source: Source<'_>,
    to: &Context,
    mut dest: Dest<'_>,
    element: ValType,
    length: u32,
) -> Result<(), Error> {
    let layout = layout_of(e, element)?;
    let mut at = At { offset: 0, slot: 0 };
    for _ in 0..length {
        transfer(e, from, source.part(at)?, to, dest.part(at)?, element)?;
        at = at.after(layout);
    }
    Ok(())
}

/// `lift_own`, `lift_borrow`, `lift_stream`, `lift_future`, and their halves on the other side: the new index.
fn transfer_handle<E: Embedding + ?Sized>(
    e: &mut E,
    from: &Context,
    to: &Context,
    def: TypeDef,
    index: u32,
) -> Result<u32, Error> {
    let (giver, taker) = (from.options.instance, to.options.instance);
    let store = e.store();
    if let TypeDef::Borrow(resource) = def {
        let (Scope::Subtask(subtask), Scope::Task(task)) = (from.scope, to.scope) else {
            return Err(Error::Misuse("a borrow needs a subtask that lends and a task that borrows"));
        };
        let rep = store.lift_borrow(giver, index, resource, subtask)?;
        return store.lower_borrow(taker, rep, resource, task);
    }
    // What has left one table must not be lost for want of room in the other.
    if giver != taker && !store.instance(taker)?.handles.has_room(1) {
        return Err(Error::Capacity(Resource::Handles));
    }
    match def {
        TypeDef::Own(resource) => {
            let rep = store.lift_own(giver, index, resource)?;
            store.lower_own(taker, rep, resource)
        }
        TypeDef::Stream(element) => {
            let end = store.lift_end(giver, index, false, element)?;
            store.lower_end(taker, end)
        }
        TypeDef::Future(element) => {
            let end = store.lift_end(giver, index, true, element)?;
            store.lower_end(taker, end)
        }
        _ => Err(Error::Bug("not the type of a handle")),
    }
}

/// The two words of a list or string.
fn load_pair<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    source: Source<'_>,
) -> Result<(u32, u32), Error> {
    let first = source.load(e, context, 4)? as u32;
    let second = source.part(SECOND)?.load(e, context, 4)? as u32;
    Ok((first, second))
}

fn store_pair<E: Embedding + ?Sized>(
    e: &mut E,
    context: &Context,
    mut dest: Dest<'_>,
    first: u32,
    second: u32,
) -> Result<(), Error> {
    dest.store(e, context, 4, first.into())?;
    dest.part(SECOND)?.store(e, context, 4, second.into())
}

fn layout_of<E: Embedding + ?Sized>(e: &mut E, ty: ValType) -> Result<Layout, Error> {
    e.store().types().layout(ty).ok_or(UNKNOWN)
}

/// The size of a primitive that is one word or less of memory: `elem_size`.
fn primitive_size(ty: ValType) -> Result<u32, Error> {
    Ok(match ty {
        ValType::Bool | ValType::S8 | ValType::U8 => 1,
        ValType::S16 | ValType::U16 => 2,
        ValType::S32 | ValType::U32 | ValType::F32 | ValType::Char => 4,
        ValType::S64 | ValType::U64 | ValType::F64 => 8,
        ValType::ErrorContext => return Err(Error::Misuse("error-context is not implemented")),
        ValType::String | ValType::Defined(_) => return Err(Error::Bug("not one primitive")),
    })
}

/// Lifts a primitive and lowers it flat; what goes to memory is the low bytes of that.
fn normalise(ty: ValType, bits: u64) -> Result<u64, Error> {
    let low = bits as u32;
    Ok(match ty {
        ValType::Bool => u64::from(low != 0),
        ValType::U8 => u64::from(low as u8),
        ValType::S8 => u64::from(i32::from(low as i8) as u32),
        ValType::U16 => u64::from(low as u16),
        ValType::S16 => u64::from(i32::from(low as i16) as u32),
        ValType::Char => char::from_u32(low).map(|c| u64::from(u32::from(c))).ok_or(Trap::InvalidChar)?,
        ValType::S64 | ValType::U64 | ValType::F64 => bits,
        _ => u64::from(low),
    })
}

/// The bits of a flags value that have a label.
fn label_mask(labels: u8) -> u64 {
    1u64.checked_shl(labels.into()).unwrap_or(0).wrapping_sub(1) & u64::from(u32::MAX)
}
