//! The code of guests: sequences of built-ins that are legal more often than not.
//!
//! A guest keeps the handles that it has in lists in its memory, a list for each state that a handle can be in, and a built-in
//! takes its operand from the list whose handles it can legally take; where that list is empty, it is left out. Now and then
//! an operand is a small number instead.

use wasm_encoder::{BlockType, Instruction as I, MemArg, MemArgTarget, PrimitiveValType as Prim, ValType};

use super::types::{Sig, Ty, Types, cases};
use crate::tape::Tape;

/// An instruction, before the numbers of functions are known.
#[derive(Clone, Debug)]
pub enum Ins {
    I(I<'static>),
    /// Calls a core function that the component gives.
    Call(Fun),
    /// Calls a function of the module: its number among those that it defines.
    Local(u32),
}

/// A stream or future type: its number among all of these, streams first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pipe {
    pub future: bool,
    pub at: usize,
}

/// A core function that the component gives: a lowered one, or a built-in. `bool` is whether it is `async`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fun {
    Lower(usize, bool),
    /// Of the result of this signature.
    TaskReturn(usize),
    TaskCancel,
    ContextGet(u32),
    ContextSet(u32),
    Inc,
    Dec,
    SetNew,
    SetWait,
    SetPoll,
    SetDrop,
    Join,
    SubtaskCancel(bool),
    SubtaskDrop,
    New(Pipe),
    Read(Pipe, bool),
    Write(Pipe, bool),
    CancelRead(Pipe, bool),
    CancelWrite(Pipe, bool),
    DropReadable(Pipe),
    DropWritable(Pipe),
    ThreadIndex,
    ThreadNew,
    ResumeLater,
    Suspend,
    Yield,
    SuspendThenResume,
    YieldThenResume,
    SuspendThenPromote,
    YieldThenPromote,
    ErrorNew,
    ErrorMessage,
    ErrorDrop,
    ResourceNew,
    ResourceRep,
    ResourceDrop,
}

/// Lists of handles, by where they are in memory.
pub mod class {
    use super::Pipe;

    pub const RUNNING: i32 = 16;
    pub const RESOLVED: i32 = 32;
    pub const SET: i32 = 48;
    pub const SUSPENDED: i32 = 64;
    pub const READY: i32 = 80;
    pub const ERROR: i32 = 96;
    pub const OWN: i32 = 112;
    pub const BORROW: i32 = 128;
    /// What the lists of one end of a pipe are: idle, copying, done.
    pub const IDLE: i32 = 0;
    pub const BUSY: i32 = 16;
    pub const DONE: i32 = 32;

    /// The list of a pipe's ends.
    pub const fn end(pipe: Pipe, write: bool, state: i32) -> i32 {
        let number = pipe.at as i32 + if pipe.future { 3 } else { 0 };
        144 + number * 96 + if write { 48 } else { 0 } + state
    }
}

/// How many callbacks may yet go on; how often backpressure was increased; where events and results come, what is passed by
/// pointer lies, and text.
pub const COUNTER: u32 = 640;
const BACKPRESSURE: u32 = 644;
const EVENT: i32 = 648;
pub const SPILL: i32 = 1024;
const RESULT: i32 = 3072;
pub const TEXT: i32 = 2048;

/// The functions that every module has, by their numbers.
pub const PUSH: u32 = 0;
pub const TAKE: u32 = 1;
pub const PEEK: u32 = 2;
pub const MOVE: u32 = 3;
pub const SETTLE: u32 = 4;

/// What a function is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Returns its result.
    Sync,
    /// Returns by `task.return`, and has frames.
    Stackful,
    /// Returns by `task.return`; this is its first function or its callback.
    Callback,
    /// A thread that a guest made.
    Thread,
    /// Where a guest may not block or leave: destructors, `post-return`, `realloc`.
    Leaf,
}

/// What the code of one component may use.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub types: &'a Types,
    /// The signatures of the functions that it can call.
    pub funcs: &'a [usize],
    /// Whether the resource is its own.
    pub home: bool,
}

/// Writes the code of one function.
#[derive(Debug)]
pub struct Code<'a> {
    scope: Scope<'a>,
    role: Role,
    /// The signature of the lifted function.
    sig: Option<usize>,
    /// The first local that is not a parameter: two `i32`, then an `i64`.
    base: u32,
    /// The steps that are left.
    steps: u32,
    pub out: Vec<Ins>,
}

impl<'a> Code<'a> {
    pub fn new(scope: Scope<'a>, role: Role, sig: Option<usize>, params: usize) -> Self {
        Self { scope, role, sig, base: params as u32, steps: 24, out: Vec::new() }
    }

    pub fn i(&mut self, ins: I<'static>) {
        self.out.push(Ins::I(ins));
    }

    fn c(&mut self, n: i32) {
        self.i(I::I32Const(n));
    }

    fn call(&mut self, fun: Fun) {
        self.out.push(Ins::Call(fun));
    }

    fn load(&mut self, at: u32) {
        self.c(0);
        self.i(I::I32Load(word(at)));
    }

    /// Pushes the handle that local 1 has on a list.
    fn keep(&mut self, class: i32) {
        self.c(class);
        self.i(I::LocalGet(self.base + 1));
        self.out.push(Ins::Local(PUSH));
    }

    /// Takes a handle from a list, or looks at one, into local 0, and runs `then` where there is one.
    fn with(&mut self, tape: &mut Tape, class: i32, takes: bool, then: impl FnOnce(&mut Self, &mut Tape)) {
        if tape.chance(6) {
            let wild = tape.word() as i32;
            self.c(wild);
            self.i(I::LocalSet(self.base));
            return then(self, tape);
        }
        self.handle(tape, class, takes);
        self.i(I::LocalTee(self.base));
        self.i(I::If(BlockType::Empty));
        then(self, tape);
        self.i(I::End);
    }

    /// A handle of a list, or 0.
    fn handle(&mut self, tape: &mut Tape, class: i32, takes: bool) {
        self.c(class);
        if takes {
            self.out.push(Ins::Local(TAKE));
        } else {
            let which = tape.below(3) as i32;
            self.c(which);
            self.out.push(Ins::Local(PEEK));
        }
    }

    /// Calls a built-in with the handle in local 0, and drops what it returns.
    fn one(&mut self, fun: Fun, returns: bool) {
        self.i(I::LocalGet(self.base));
        self.call(fun);
        if returns {
            self.i(I::Drop);
        }
    }

    fn pipe(&self, tape: &mut Tape) -> Pipe {
        let (streams, futures) = (self.scope.types.streams.len(), self.scope.types.futures.len());
        let at = tape.below(streams + futures);
        if at < streams { Pipe { future: false, at } } else { Pipe { future: true, at: at - streams } }
    }

    /// Keeps the handles among the parameters.
    pub fn params(&mut self, sig: &Sig) {
        let types = self.scope.types;
        if types.flat_all(&sig.params).len() > 16 {
            return;
        }
        let mut at = 0;
        for ty in &sig.params {
            if let Some(class) = class_of(ty) {
                self.c(class);
                self.i(I::LocalGet(at));
                self.out.push(Ins::Local(PUSH));
            }
            at += types.flat(ty).len() as u32;
        }
    }

    /// Any steps, then the end of the function.
    pub fn body(&mut self, tape: &mut Tape) {
        let steps = 1 + tape.below(if self.role == Role::Leaf { 3 } else { 10 });
        for _ in 0..steps {
            self.step(tape, 0);
        }
        self.finish(tape);
    }

    fn step(&mut self, tape: &mut Tape, depth: u32) {
        let Some(left) = self.steps.checked_sub(1) else { return };
        self.steps = left;
        let what = tape.byte();
        match what {
            0..=39 => self.copy(tape, what % 2 == 0),
            40..=55 => self.new_pipe(tape),
            56..=67 => self.cancel_copy(tape, what % 2 == 0),
            68..=79 => self.drop_end(tape, what % 2 == 0),
            80..=119 => self.call_func(tape),
            120..=127 => {
                self.call(Fun::SetNew);
                self.i(I::LocalSet(self.base + 1));
                self.keep(class::SET);
            }
            128..=143 => self.join(tape),
            144..=159 => self.wait(tape, what >= 152),
            160..=171 => self.subtask(tape, what),
            172..=201 => self.thread(tape, what - 172),
            202..=213 => self.error_context(tape, what % 3),
            214..=225 => self.resource(tape, what % 3),
            226..=231 => self.backpressure(what % 2 == 0),
            232..=235 => self.context(tape, what % 2 == 0),
            236..=241 if depth < 2 => self.repeat(tape, depth),
            242..=246 => self.task_return(tape),
            247 => self.call(Fun::TaskCancel),
            248 => self.i(I::Unreachable),
            249 | 250 => {
                self.c(1);
                self.i(I::MemoryGrow(0));
                self.i(I::Drop);
            }
            251 => {
                let (to, len) = (tape.word() as i32, tape.word() as i32);
                self.c(to);
                self.c(7);
                self.c(len);
                self.i(I::MemoryFill(0));
            }
            // For ever: fuel ends it.
            252 => {
                self.i(I::Loop(BlockType::Empty));
                self.step(tape, 2);
                self.i(I::Br(0));
                self.i(I::End);
            }
            _ => self.new_pipe(tape),
        }
    }

    fn repeat(&mut self, tape: &mut Tape, depth: u32) {
        let times = 1 + tape.below(6) as i32;
        let (counter, steps) = (self.base + 3, 1 + tape.below(3));
        self.c(times);
        self.i(I::LocalSet(counter));
        self.i(I::Loop(BlockType::Empty));
        for _ in 0..steps {
            self.step(tape, depth + 2);
        }
        self.i(I::LocalGet(counter));
        self.c(1);
        self.i(I::I32Sub);
        self.i(I::LocalTee(counter));
        self.i(I::BrIf(0));
        self.i(I::End);
    }

    fn new_pipe(&mut self, tape: &mut Tape) {
        let pipe = self.pipe(tape);
        self.make(pipe);
    }

    fn make(&mut self, pipe: Pipe) {
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

    fn copy(&mut self, tape: &mut Tape, write: bool) {
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
    fn copied(&mut self, pipe: Pipe, write: bool) {
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

    fn cancel_copy(&mut self, tape: &mut Tape, write: bool) {
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

    fn drop_end(&mut self, tape: &mut Tape, write: bool) {
        let pipe = self.pipe(tape);
        let done = tape.byte() % 4 != 3 || (write && pipe.future);
        let state = if done { class::DONE } else { class::IDLE };
        let fun = if write { Fun::DropWritable(pipe) } else { Fun::DropReadable(pipe) };
        self.with(tape, class::end(pipe, write, state), true, |code, _| code.one(fun, false));
    }

    fn join(&mut self, tape: &mut Tape) {
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

    fn wait(&mut self, tape: &mut Tape, poll: bool) {
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

    fn subtask(&mut self, tape: &mut Tape, what: u8) {
        if what % 2 == 0 {
            return self.with(tape, class::RESOLVED, true, |code, _| code.one(Fun::SubtaskDrop, false));
        }
        let is_async = what % 4 == 1;
        self.with(tape, class::RUNNING, false, |code, _| {
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

    fn thread(&mut self, tape: &mut Tape, what: u8) {
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

    fn error_context(&mut self, tape: &mut Tape, what: u8) {
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

    fn make_error(&mut self, tape: &mut Tape) {
        let length = 2 * tape.below(20) as i32;
        self.c(TEXT);
        self.c(length);
        self.call(Fun::ErrorNew);
        self.i(I::LocalSet(self.base + 1));
        self.keep(class::ERROR);
    }

    fn resource(&mut self, tape: &mut Tape, what: u8) {
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

    fn backpressure(&mut self, more: bool) {
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

    fn context(&mut self, tape: &mut Tape, get: bool) {
        let slot = u32::from(!tape.chance(16));
        if get {
            self.call(Fun::ContextGet(slot));
            self.i(I::Drop);
        } else {
            self.c(5);
            self.call(Fun::ContextSet(slot));
        }
    }

    fn call_func(&mut self, tape: &mut Tape) {
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
    fn ensure(&mut self, tape: &mut Tape, ty: &Ty) {
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
    fn values(&mut self, tape: &mut Tape, types: &[Ty], most: usize) {
        let flat: Vec<_> = types.iter().flat_map(|ty| self.value(tape, ty)).collect();
        if flat.len() > most {
            let at = SPILL + 8 * tape.below(8) as i32;
            return self.c(at);
        }
        self.out.extend(flat.into_iter().flat_map(|(_, code)| code));
    }

    /// The flat values of a value, each with the code that makes it.
    fn value(&mut self, tape: &mut Tape, ty: &Ty) -> Vec<(ValType, Vec<Ins>)> {
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
                Some(super::types::Named::Record(fields)) => {
                    fields.iter().flat_map(|ty| self.value(tape, ty)).collect()
                }
                Some(super::types::Named::Variant(cases)) => {
                    let cases: Vec<_> = cases.iter().map(Option::as_ref).collect();
                    self.case(tape, ty, &cases)
                }
                _ => vec![word(tape.below(2) as i32)],
            },
        }
    }

    fn case(&mut self, tape: &mut Tape, ty: &Ty, cases: &[Option<&Ty>]) -> Vec<(ValType, Vec<Ins>)> {
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

    fn task_return(&mut self, tape: &mut Tape) {
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
    fn resolve(&mut self, tape: &mut Tape) {
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

    fn finish(&mut self, tape: &mut Tape) {
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
    fn next(&mut self, tape: &mut Tape) {
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

/// A word at this address.
pub fn word(at: u32) -> MemArg {
    MemArg { offset: at.into(), align: 2, target: MemArgTarget::Memory(0), ordering: None }
}
