//! Calls of guests, and the values that they pass.

use wasm_encoder::{BlockType, Instruction as I, PrimitiveValType as Prim, ValType};

use super::code::{Code, Fun, Ins, PEEK, Pipe, RESULT, SPILL, TEXT, class};
use super::types::{Named, Ty, cases};
use crate::tape::Tape;

impl Code<'_> {
    pub(super) fn call_func(&mut self, tape: &mut Tape) {
        let at = tape.below(self.scope.funcs.len());
        let Some(sig) = self.scope.funcs.get(at) else { return };
        let types = self.scope.types;
        let Some(sig) = types.sigs.get(*sig) else { return };
        let is_async = tape.byte() % 4 != 3 && sig.is_async;
        let most = if is_async { 4 } else { 16 };
        if !tape.chance(12) {
            sig.params.iter().for_each(|ty| self.ensure(tape, ty));
        }
        self.values(tape, &sig.params, most);
        let flat = sig.result.as_ref().map_or(0, |ty| types.flat(ty).len());
        if flat > usize::from(!is_async) {
            let to = RESULT + 64 * tape.below(4) as i32;
            self.c(to);
        }
        self.call(Fun::Lower(at, is_async));
        let class = sig.result.as_ref().and_then(class_of);
        match (is_async, flat, class) {
            (true, ..) => {
                self.i(I::LocalTee(self.base + 1));
                self.c(4);
                self.i(I::I32ShrU);
                self.i(I::LocalSet(self.base + 1));
                self.keep(class::RUNNING);
            }
            (false, 1, Some(class)) => {
                self.i(I::LocalSet(self.base + 1));
                self.keep(class);
            }
            (false, 1, None) => self.i(I::Drop),
            (false, ..) => {}
        }
    }

    /// Makes what a value of this type needs, where the guest has none.
    pub(super) fn ensure(&mut self, tape: &mut Tape, ty: &Ty) {
        let Some(class) = class_of(ty) else { return };
        if matches!(ty, Ty::Own | Ty::Borrow) && !self.scope.home {
            return;
        }
        let class = if matches!(ty, Ty::Borrow) { class::OWN } else { class };
        self.c(class);
        self.c(0);
        self.out.push(Ins::Local(PEEK));
        self.i(I::I32Eqz);
        self.i(I::If(BlockType::Empty));
        match ty {
            Ty::Stream(at) => self.make(Pipe { future: false, at: *at }),
            Ty::Future(at) => self.make(Pipe { future: true, at: *at }),
            Ty::Prim(_) => self.make_error(tape),
            _ => self.resource(tape, 0),
        }
        self.i(I::End);
    }

    /// Values on the stack, or a pointer to some where they are more than `most`.
    pub(super) fn values(&mut self, tape: &mut Tape, types: &[Ty], most: usize) {
        let flat: Vec<_> = types.iter().flat_map(|ty| self.value(tape, ty)).collect();
        if flat.len() > most {
            let at = SPILL + 8 * tape.below(8) as i32;
            return self.c(at);
        }
        self.out.extend(flat.into_iter().flat_map(|(_, code)| code));
    }

    /// The flat values of a value, each with the code that makes it.
    pub(super) fn value(&mut self, tape: &mut Tape, ty: &Ty) -> Vec<(ValType, Vec<Ins>)> {
        let types = self.scope.types;
        let word = |n: i32| (ValType::I32, vec![Ins::I(I::I32Const(n))]);
        match ty {
            Ty::Prim(Prim::S64 | Prim::U64) => {
                vec![(ValType::I64, vec![Ins::I(I::I64Const(tape.word().into()))])]
            }
            Ty::Prim(Prim::F32) => vec![zero(ValType::F32)],
            Ty::Prim(Prim::F64) => vec![zero(ValType::F64)],
            Ty::Prim(Prim::String) | Ty::List(_) | Ty::Map(_) => {
                let text = matches!(ty, Ty::Prim(_));
                let at = if text { TEXT } else { SPILL } + 8 * tape.below(8) as i32;
                let length = if tape.chance(4) { tape.word() as i32 } else { tape.below(6) as i32 };
                vec![word(at), word(length)]
            }
            Ty::Own | Ty::Borrow | Ty::Stream(_) | Ty::Future(_) | Ty::Prim(Prim::ErrorContext) => {
                let class = if matches!(ty, Ty::Borrow) { Some(class::OWN) } else { class_of(ty) };
                let takes = !matches!(ty, Ty::Borrow | Ty::Prim(_));
                let mut inner = Code::new(self.scope, self.role, self.sig, 0);
                inner.handle(tape, class.unwrap_or(0), takes);
                vec![(ValType::I32, inner.out)]
            }
            Ty::Prim(_) => vec![word(tape.below(128) as i32)],
            Ty::Fixed(ty, n) => (0..*n).flat_map(|_| self.value(tape, ty)).collect(),
            Ty::Tuple(types) => types.iter().flat_map(|ty| self.value(tape, ty)).collect(),
            Ty::Option(_) | Ty::Result(..) => self.case(tape, ty, &cases(ty)),
            Ty::Named(at) => match types.named.get(*at) {
                Some(Named::Record(fields)) => fields.iter().flat_map(|ty| self.value(tape, ty)).collect(),
                Some(Named::Variant(cases)) => {
                    let cases: Vec<_> = cases.iter().map(Option::as_ref).collect();
                    self.case(tape, ty, &cases)
                }
                _ => vec![word(tape.below(2) as i32)],
            },
        }
    }

    pub(super) fn case(
        &mut self,
        tape: &mut Tape,
        ty: &Ty,
        cases: &[Option<&Ty>],
    ) -> Vec<(ValType, Vec<Ins>)> {
        let at = tape.below(cases.len());
        let payload = match cases.get(at) {
            Some(Some(ty)) => self.value(tape, ty),
            _ => Vec::new(),
        };
        let mut flat = vec![(ValType::I32, vec![Ins::I(I::I32Const(at as i32))])];
        for (slot, joined) in self.scope.types.flat(ty).into_iter().skip(1).enumerate() {
            flat.push(match payload.get(slot) {
                Some((ty, code)) if *ty == joined => (joined, code.clone()),
                _ => zero(joined),
            });
        }
        flat
    }
}

/// The list of what a value of this type is taken from, and goes to.
pub fn class_of(ty: &Ty) -> Option<i32> {
    match ty {
        Ty::Own => Some(class::OWN),
        Ty::Borrow => Some(class::BORROW),
        Ty::Stream(at) => Some(class::end(Pipe { future: false, at: *at }, false, class::IDLE)),
        Ty::Future(at) => Some(class::end(Pipe { future: true, at: *at }, false, class::IDLE)),
        Ty::Prim(Prim::ErrorContext) => Some(class::ERROR),
        _ => None,
    }
}

fn zero(ty: ValType) -> (ValType, Vec<Ins>) {
    let ins = match ty {
        ValType::I64 => I::I64Const(0),
        ValType::F32 => I::F32Const(0.0_f32.into()),
        ValType::F64 => I::F64Const(0.0_f64.into()),
        _ => I::I32Const(0),
    };
    (ty, vec![Ins::I(ins)])
}
