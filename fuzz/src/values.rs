//! Component values of any type, from choices.

use canon_async_component::types::{TypeDef, TypeTable, ValType};
use canon_async_wasmi::Val;

use crate::tape::Tape;

/// How long lists and strings get.
const LONG: usize = 5;
/// How deep values nest before the cases without payload are taken.
const DEEP: u32 = 12;

/// The handles that the host holds, as the values that it got them in.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// Resources, streams, futures, error contexts: the host tells them apart by where they came from only.
    pub handles: Vec<Val>,
}

impl Held {
    /// The most that are kept; more than that are dropped from the list, and stay in the table.
    const MOST: usize = 64;

    /// Keeps every handle in a value.
    pub fn keep(&mut self, val: &Val) {
        let room = self.handles.len() < Self::MOST;
        match val {
            Val::Resource(_) | Val::Stream(_) | Val::Future(_) | Val::ErrorContext(_) if room => {
                self.handles.push(val.clone());
            }
            Val::List(items) | Val::Tuple(items) => items.iter().for_each(|item| self.keep(item)),
            Val::Record(fields) => fields.iter().for_each(|(_, field)| self.keep(field)),
            Val::Map(entries) => entries.iter().for_each(|(key, value)| {
                self.keep(key);
                self.keep(value);
            }),
            Val::Variant(_, Some(val))
            | Val::Option(Some(val))
            | Val::Result(Ok(Some(val)) | Err(Some(val))) => self.keep(val),
            _ => {}
        }
    }

    /// Whether there is one for a parameter of this type, where it is a handle.
    pub fn has(&self, types: &TypeTable, ty: ValType) -> bool {
        let like = |want: fn(&Val) -> bool| self.handles.iter().any(want);
        match ty {
            ValType::ErrorContext => like(|held| matches!(held, Val::ErrorContext(_))),
            ValType::Defined(index) => match types.def(index) {
                Some(TypeDef::Own(_) | TypeDef::Borrow(_)) => like(|held| matches!(held, Val::Resource(_))),
                Some(TypeDef::Stream(_)) => like(|held| matches!(held, Val::Stream(_))),
                Some(TypeDef::Future(_)) => like(|held| matches!(held, Val::Future(_))),
                _ => true,
            },
            _ => true,
        }
    }

    /// The index of a handle like this, which is forgotten if the value takes it away.
    fn handle(&mut self, tape: &mut Tape, takes: bool, like: impl Fn(&Val) -> Option<u32>) -> u32 {
        if tape.chance(16) {
            return tape.word();
        }
        let sel = tape.below(8);
        let fits: Vec<usize> = (0..self.handles.len())
            .filter(|at| self.handles.get(*at).is_some_and(|h| like(h).is_some()))
            .collect();
        let Some(at) = sel.checked_rem(fits.len()).and_then(|at| fits.get(at)).copied() else { return 1 };
        let index = self.handles.get(at).and_then(&like).unwrap_or(0);
        if takes {
            self.handles.swap_remove(at);
        }
        index
    }
}

/// A value of a type.
pub fn value(tape: &mut Tape, held: &mut Held, types: &TypeTable, ty: ValType) -> Val {
    nested(tape, held, types, ty, 0)
}

fn nested(tape: &mut Tape, held: &mut Held, types: &TypeTable, ty: ValType, depth: u32) -> Val {
    match ty {
        ValType::Bool => Val::Bool(tape.byte() % 2 == 1),
        ValType::S8 => Val::S8(tape.byte() as i8),
        ValType::U8 => Val::U8(tape.byte()),
        ValType::S16 => Val::S16(tape.word() as i16),
        ValType::U16 => Val::U16(tape.word() as u16),
        ValType::S32 => Val::S32(tape.word() as i32),
        ValType::U32 => Val::U32(tape.word()),
        ValType::S64 => Val::S64(i64::from(tape.word() as i32)),
        ValType::U64 => Val::U64(u64::from(tape.word()) << 16),
        ValType::F32 => Val::F32(f32::from_bits(tape.word())),
        ValType::F64 => Val::F64(f64::from_bits(u64::from(tape.word()) << 32)),
        ValType::Char => Val::Char(char::from_u32(tape.word()).unwrap_or('\u{10ffff}')),
        ValType::String => {
            let length = tape.below(LONG);
            Val::String((0..length).map(|_| char::from_u32(tape.word()).unwrap_or('\u{fffd}')).collect())
        }
        ValType::ErrorContext => {
            let index =
                held.handle(tape, false, |h| if let Val::ErrorContext(i) = h { Some(*i) } else { None });
            Val::ErrorContext(index)
        }
        ValType::Defined(index) => match types.def(index) {
            Some(def) => defined(tape, held, types, def, depth.saturating_add(1)),
            None => Val::U32(0),
        },
        other => panic!("nothing here makes a {other:?}"),
    }
}

fn defined(tape: &mut Tape, held: &mut Held, types: &TypeTable, def: &TypeDef, depth: u32) -> Val {
    let deep = depth > DEEP;
    let length = |tape: &mut Tape| if deep { 0 } else { tape.below(LONG) };
    let mut one = |tape: &mut Tape, ty: ValType| nested(tape, held, types, ty, depth);
    match def {
        TypeDef::Record(fields) => {
            Val::Record(fields.iter().map(|field| (field.name.clone(), one(tape, field.ty))).collect())
        }
        TypeDef::Variant(cases) => {
            let at = tape.below(cases.len());
            let Some(case) = cases.get(at) else { return Val::Bool(false) };
            Val::Variant(case.name.clone(), case.ty.map(|ty| Box::new(one(tape, ty))))
        }
        TypeDef::List(ty) => Val::List((0..length(tape)).map(|_| one(tape, *ty)).collect()),
        // One of a million elements is not worth its memory here.
        TypeDef::FixedList(ty, n) => Val::List((0..(*n).min(64)).map(|_| one(tape, *ty)).collect()),
        TypeDef::Tuple(types) => Val::Tuple(types.iter().map(|ty| one(tape, *ty)).collect()),
        TypeDef::Flags(labels) => {
            Val::Flags(labels.iter().filter(|_| tape.byte() % 2 == 1).cloned().collect())
        }
        TypeDef::Enum(labels) => {
            let at = tape.below(labels.len());
            Val::Enum(labels.get(at).cloned().unwrap_or_default())
        }
        TypeDef::Option(ty) => {
            let some = !deep && tape.byte() % 4 != 3;
            Val::Option(some.then(|| Box::new(one(tape, *ty))))
        }
        TypeDef::Result { ok, err } => {
            let is_ok = tape.byte() % 4 != 3;
            let mut payload = |ty: &Option<ValType>| ty.map(|ty| Box::new(one(tape, ty)));
            Val::Result(if is_ok { Ok(payload(ok)) } else { Err(payload(err)) })
        }
        TypeDef::Map(key, value) => {
            Val::Map((0..length(tape)).map(|_| (one(tape, *key), one(tape, *value))).collect())
        }
        TypeDef::Own(_) => Val::Resource(held.handle(tape, true, resource)),
        TypeDef::Borrow(_) => Val::Resource(held.handle(tape, false, resource)),
        TypeDef::Stream(_) => {
            let index = held.handle(tape, true, |h| if let Val::Stream(i) = h { Some(*i) } else { None });
            Val::Stream(index)
        }
        TypeDef::Future(_) => {
            let index = held.handle(tape, true, |h| if let Val::Future(i) = h { Some(*i) } else { None });
            Val::Future(index)
        }
        other => panic!("nothing here makes a {other:?}"),
    }
}

fn resource(val: &Val) -> Option<u32> {
    if let Val::Resource(index) = val { Some(*index) } else { None }
}
