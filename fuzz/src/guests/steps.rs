//! Steps of guests: built-ins, with the handles that they take and give.

use wasm_encoder::{BlockType, Instruction as I};

use super::code::{
    BACKPRESSURE, Code, EVENT, Fun, Ins, MOVE, PUSH, Pipe, RESULT, Role, SETTLE, SPILL, TEXT, class, word,
};
use crate::tape::Tape;

impl Code<'_> {
    pub(super) fn new_pipe(&mut self, tape: &mut Tape) {
        let pipe = self.pipe(tape);
        self.make(pipe);
    }

    pub(super) fn make(&mut self, pipe: Pipe) {
        self.call(Fun::New(pipe));
        self.i(I::LocalTee(self.base + 2));
        self.i(I::I32WrapI64);
        self.i(I::LocalSet(self.base + 1));
        self.keep(class::end(pipe, false, class::IDLE));
        self.i(I::LocalGet(self.base + 2));
        self.i(I::I64Const(32));
        self.i(I::I64ShrU);
        self.i(I::I32WrapI64);
        self.i(I::LocalSet(self.base + 1));
        self.keep(class::end(pipe, true, class::IDLE));
    }

    pub(super) fn copy(&mut self, tape: &mut Tape, write: bool) {
        let pipe = self.pipe(tape);
        let is_async = self.role == Role::Leaf || tape.byte() % 4 != 3;
        let count = tape.below(6) as i32;
        let at = if write { SPILL } else { RESULT } + 8 * tape.below(16) as i32;
        let count = if tape.chance(4) { tape.word() as i32 } else { count };
        self.with(tape, class::end(pipe, write, class::IDLE), true, |code, _| {
            code.i(I::LocalGet(code.base));
            code.c(at);
            if !pipe.future {
                code.c(count);
            }
            code.call(if write { Fun::Write(pipe, is_async) } else { Fun::Read(pipe, is_async) });
            code.copied(pipe, write);
        });
    }

    /// Puts the end in local 0 where the result on the stack says.
    pub(super) fn copied(&mut self, pipe: Pipe, write: bool) {
        let end = |state| class::end(pipe, write, state);
        self.i(I::LocalSet(self.base + 1));
        // BLOCKED: busy; DROPPED, and all that is over for a future: done.
        self.c(end(class::BUSY));
        self.c(end(class::DONE));
        self.c(end(class::IDLE));
        self.i(I::LocalGet(self.base + 1));
        self.c(15);
        self.i(I::I32And);
        if pipe.future {
            self.c(2);
            self.i(I::I32Ne);
        } else {
            self.c(1);
            self.i(I::I32Eq);
        }
        self.i(I::Select);
        self.i(I::LocalGet(self.base + 1));
        self.c(-1);
        self.i(I::I32Eq);
        self.i(I::Select);
        self.i(I::LocalGet(self.base));
        self.out.push(Ins::Local(PUSH));
    }

    pub(super) fn cancel_copy(&mut self, tape: &mut Tape, write: bool) {
        let pipe = self.pipe(tape);
        let is_async = self.role == Role::Leaf || tape.byte() % 4 != 3;
        self.with(tape, class::end(pipe, write, class::BUSY), true, |code, _| {
            code.i(I::LocalGet(code.base));
            code.call(match write {
                true => Fun::CancelWrite(pipe, is_async),
                false => Fun::CancelRead(pipe, is_async),
            });
            code.copied(pipe, write);
        });
    }

    pub(super) fn drop_end(&mut self, tape: &mut Tape, write: bool) {
        let pipe = self.pipe(tape);
        let done = tape.byte() % 4 != 3 || (write && pipe.future);
        let state = if done { class::DONE } else { class::IDLE };
        let fun = if write { Fun::DropWritable(pipe) } else { Fun::DropReadable(pipe) };
        self.with(tape, class::end(pipe, write, state), true, |code, _| code.one(fun, false));
    }

    /// An end that is idle may be in a set, and then forwarding it traps.
    pub(super) fn forward(&mut self, tape: &mut Tape) {
        let pipe = self.pipe(tape);
        self.with(tape, class::end(pipe, false, class::IDLE), true, |code, tape| {
            code.handle(tape, class::end(pipe, true, class::IDLE), true);
            code.i(I::LocalTee(code.base + 1));
            code.i(I::If(BlockType::Empty));
            code.i(I::LocalGet(code.base));
            code.i(I::LocalGet(code.base + 1));
            code.call(Fun::Forward(pipe));
            code.i(I::End);
        });
    }

    pub(super) fn join(&mut self, tape: &mut Tape) {
        let pipe = self.pipe(tape);
        let from = match tape.below(8) {
            0 => class::RESOLVED,
            1..=3 => class::RUNNING,
            _ => class::end(pipe, tape.byte() % 2 == 0, class::BUSY),
        };
        let leaves = tape.chance(32);
        self.with(tape, from, false, |code, tape| {
            code.i(I::LocalGet(code.base));
            match leaves {
                true => code.c(0),
                false => code.handle(tape, class::SET, false),
            }
            code.call(Fun::Join);
        });
    }

    pub(super) fn wait(&mut self, tape: &mut Tape, poll: bool) {
        let drops = tape.chance(24);
        if drops {
            return self.with(tape, class::SET, true, |code, _| code.one(Fun::SetDrop, false));
        }
        let poll = poll || self.role == Role::Leaf;
        self.with(tape, class::SET, false, |code, _| {
            code.i(I::LocalGet(code.base));
            code.c(EVENT);
            code.call(if poll { Fun::SetPoll } else { Fun::SetWait });
            code.load(EVENT as u32);
            code.load(EVENT as u32 + 4);
            code.out.push(Ins::Local(SETTLE));
        });
    }

    pub(super) fn subtask(&mut self, tape: &mut Tape, what: u8) {
        if what % 2 == 0 {
            return self.with(tape, class::RESOLVED, true, |code, _| code.one(Fun::SubtaskDrop, false));
        }
        let is_async = what % 4 == 1;
        self.with(tape, class::RUNNING, false, |code, _| {
            // One in a set is not cancelled, which is a trap: now and then.
            if what / 4 % 8 != 7 {
                code.i(I::LocalGet(code.base));
                code.c(0);
                code.call(Fun::Join);
            }
            code.one(Fun::SubtaskCancel(is_async), false);
            code.c(-1);
            code.i(I::I32Ne);
            code.i(I::If(BlockType::Empty));
            code.c(class::RUNNING);
            code.c(class::RESOLVED);
            code.i(I::LocalGet(code.base));
            code.out.push(Ins::Local(MOVE));
            code.i(I::End);
        });
    }

    pub(super) fn thread(&mut self, tape: &mut Tape, what: u8) {
        match what {
            0..=7 => {
                let func = tape.below(2) as i32 + if tape.chance(8) { 2 } else { 0 };
                self.c(func);
                self.c(what.into());
                self.call(Fun::ThreadNew);
                self.i(I::LocalSet(self.base + 1));
                self.keep(class::SUSPENDED);
            }
            8..=12 => self.with(tape, class::SUSPENDED, true, |code, _| {
                code.one(Fun::ResumeLater, false);
                code.i(I::LocalGet(code.base));
                code.i(I::LocalSet(code.base + 1));
                code.keep(class::READY);
            }),
            13..=15 => {
                self.call(Fun::Yield);
                self.i(I::Drop);
            }
            16..=18 => {
                // So that others can resume it.
                self.call(Fun::ThreadIndex);
                self.i(I::LocalSet(self.base + 1));
                self.keep(class::SUSPENDED);
                self.call(Fun::Suspend);
                self.i(I::Drop);
            }
            19..=22 => self.with(tape, class::SUSPENDED, true, |c, _| c.one(Fun::YieldThenResume, true)),
            23 | 24 => {
                self.with(tape, class::SUSPENDED, true, |code, _| {
                    code.call(Fun::ThreadIndex);
                    code.i(I::LocalSet(code.base + 1));
                    code.keep(class::SUSPENDED);
                    code.one(Fun::SuspendThenResume, true);
                });
            }
            25..=27 => self.with(tape, class::READY, true, |c, _| c.one(Fun::YieldThenPromote, true)),
            _ => self.with(tape, class::READY, true, |code, _| {
                code.call(Fun::ThreadIndex);
                code.i(I::LocalSet(code.base + 1));
                code.keep(class::SUSPENDED);
                code.one(Fun::SuspendThenPromote, true);
            }),
        }
    }

    pub(super) fn error_context(&mut self, tape: &mut Tape, what: u8) {
        match what {
            0 => self.make_error(tape),
            1 => self.with(tape, class::ERROR, false, |code, _| {
                code.i(I::LocalGet(code.base));
                code.c(RESULT);
                code.call(Fun::ErrorMessage);
            }),
            _ => self.with(tape, class::ERROR, true, |code, _| code.one(Fun::ErrorDrop, false)),
        }
    }

    pub(super) fn make_error(&mut self, tape: &mut Tape) {
        let length = 2 * tape.below(20) as i32;
        self.c(TEXT);
        self.c(length);
        self.call(Fun::ErrorNew);
        self.i(I::LocalSet(self.base + 1));
        self.keep(class::ERROR);
    }

    pub(super) fn resource(&mut self, tape: &mut Tape, what: u8) {
        match what {
            0 if self.scope.home => {
                self.c(77);
                self.call(Fun::ResourceNew);
                self.i(I::LocalSet(self.base + 1));
                self.keep(class::OWN);
            }
            1 if self.scope.home => {
                self.with(tape, class::OWN, false, |code, _| code.one(Fun::ResourceRep, true));
            }
            0 | 1 => self.with(tape, class::BORROW, true, |code, _| code.one(Fun::ResourceDrop, false)),
            _ => self.with(tape, class::OWN, true, |code, _| code.one(Fun::ResourceDrop, false)),
        }
    }

    pub(super) fn backpressure(&mut self, more: bool) {
        if more {
            self.call(Fun::Inc);
            self.c(0);
            self.load(BACKPRESSURE);
            self.c(1);
            self.i(I::I32Add);
            self.i(I::I32Store(word(BACKPRESSURE)));
            return;
        }
        self.load(BACKPRESSURE);
        self.i(I::If(BlockType::Empty));
        self.call(Fun::Dec);
        self.c(0);
        self.load(BACKPRESSURE);
        self.c(1);
        self.i(I::I32Sub);
        self.i(I::I32Store(word(BACKPRESSURE)));
        self.i(I::End);
    }

    pub(super) fn context(&mut self, tape: &mut Tape, get: bool) {
        let slot = u32::from(!tape.chance(16));
        if get {
            self.call(Fun::ContextGet(slot));
            self.i(I::Drop);
        } else {
            self.c(5);
            self.call(Fun::ContextSet(slot));
        }
    }
}
