//! How functions of guests end: with a result, by `task.return`, or with what their callback is to wait for.

use wasm_encoder::{BlockType, Instruction as I};

use super::code::{COUNTER, Code, Fun, Ins, Role, SETTLE, class, word};
use super::types::Sig;
use crate::tape::Tape;

impl Code<'_> {
    pub(super) fn task_return(&mut self, tape: &mut Tape) {
        let Some(at) = self.sig.or(Some(0)) else { return };
        let Some(sig) = self.scope.types.sigs.get(at) else { return };
        if let Some(ty) = &sig.result {
            self.ensure(tape, ty);
            self.values(tape, std::slice::from_ref(ty), 16);
        }
        self.call(Fun::TaskReturn(at));
        self.c(1);
        self.call(Fun::ContextSet(0));
    }

    /// Returns by `task.return` where that was not done, unless the tape says otherwise.
    pub(super) fn resolve(&mut self, tape: &mut Tape) {
        if tape.chance(8) {
            return;
        }
        self.call(Fun::ContextGet(0));
        self.i(I::I32Eqz);
        self.i(I::If(BlockType::Empty));
        self.task_return(tape);
        self.i(I::End);
    }

    /// What a callback begins with: the event is settled, and a cancellation taken.
    pub fn callback(&mut self, tape: &mut Tape) {
        (0..3).for_each(|at| self.i(I::LocalGet(at)));
        self.out.push(Ins::Local(SETTLE));
        if tape.byte() % 4 != 3 {
            self.i(I::LocalGet(0));
            self.c(6);
            self.i(I::I32Eq);
            self.call(Fun::ContextGet(0));
            self.i(I::I32Eqz);
            self.i(I::I32And);
            self.i(I::If(BlockType::Empty));
            self.call(Fun::TaskCancel);
            self.c(1);
            self.call(Fun::ContextSet(0));
            self.i(I::End);
        }
    }

    pub(super) fn finish(&mut self, tape: &mut Tape) {
        match self.role {
            Role::Sync => {
                let sig: Option<&Sig> = self.sig.and_then(|at| self.scope.types.sigs.get(at));
                if let Some(ty) = sig.and_then(|sig| sig.result.as_ref()) {
                    self.ensure(tape, ty);
                    self.values(tape, std::slice::from_ref(ty), 1);
                }
            }
            Role::Stackful => self.resolve(tape),
            Role::Callback => self.next(tape),
            Role::Thread | Role::Leaf => {}
        }
    }

    /// The code that a callback's function returns.
    pub(super) fn next(&mut self, tape: &mut Tape) {
        let how = tape.below(8);
        if tape.byte() % 2 == 0 {
            self.resolve(tape);
        }
        if how < 5 {
            self.load(COUNTER);
            self.i(I::If(BlockType::Empty));
            self.c(0);
            self.load(COUNTER);
            self.c(1);
            self.i(I::I32Sub);
            self.i(I::I32Store(word(COUNTER)));
            if how < 4 {
                self.with(tape, class::SET, false, |code, _| {
                    code.i(I::LocalGet(code.base));
                    code.c(4);
                    code.i(I::I32Shl);
                    code.c(2);
                    code.i(I::I32Or);
                    code.i(I::Return);
                });
            }
            self.c(1);
            self.i(I::Return);
            self.i(I::End);
        }
        self.resolve(tape);
        let code = if tape.chance(6) { tape.word() as i32 } else { 0 };
        self.c(code);
    }
}
