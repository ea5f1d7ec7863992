//! The code of guests: sequences of built-ins that are legal more often than not.
//!
//! A guest keeps the handles that it has in lists in its memory, a list for each state that a handle can be
//! in, and a built-in takes its operand from the list whose handles it can legally take; where that list is
//! empty, it is left out. Now and then an operand is a small number instead.

use wasm_encoder::{BlockType, Instruction as I, MemArg, MemArgTarget};

use super::types::{Sig, Types};
use super::values::class_of;
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
    Forward(Pipe),
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

/// How many callbacks may yet go on; how often backpressure was increased; where events and results come,
/// what is passed by pointer lies, and text.
pub const COUNTER: u32 = 640;
pub const BACKPRESSURE: u32 = 644;
pub const EVENT: i32 = 648;
pub const SPILL: i32 = 1024;
pub const RESULT: i32 = 3072;
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
    pub scope: Scope<'a>,
    pub role: Role,
    /// The signature of the lifted function.
    pub sig: Option<usize>,
    /// The first local that is not a parameter: two `i32`, then an `i64`.
    pub base: u32,
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

    pub(super) fn c(&mut self, n: i32) {
        self.i(I::I32Const(n));
    }

    pub(super) fn call(&mut self, fun: Fun) {
        self.out.push(Ins::Call(fun));
    }

    pub(super) fn load(&mut self, at: u32) {
        self.c(0);
        self.i(I::I32Load(word(at)));
    }

    /// Pushes the handle that local 1 has on a list.
    pub(super) fn keep(&mut self, class: i32) {
        self.c(class);
        self.i(I::LocalGet(self.base + 1));
        self.out.push(Ins::Local(PUSH));
    }

    /// Takes a handle from a list, or looks at one, into local 0, and runs `then` where there is one.
    pub(super) fn with(
        &mut self,
        tape: &mut Tape,
        class: i32,
        takes: bool,
        then: impl FnOnce(&mut Self, &mut Tape),
    ) {
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
    pub(super) fn handle(&mut self, tape: &mut Tape, class: i32, takes: bool) {
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
    pub(super) fn one(&mut self, fun: Fun, returns: bool) {
        self.i(I::LocalGet(self.base));
        self.call(fun);
        if returns {
            self.i(I::Drop);
        }
    }

    pub(super) fn pipe(&self, tape: &mut Tape) -> Pipe {
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

    pub(super) fn step(&mut self, tape: &mut Tape, depth: u32) {
        let Some(left) = self.steps.checked_sub(1) else { return };
        self.steps = left;
        let what = tape.byte();
        match what {
            0..=39 => self.copy(tape, what % 2 == 0),
            40..=55 => self.new_pipe(tape),
            56..=67 => self.cancel_copy(tape, what % 2 == 0),
            68..=77 => self.drop_end(tape, what % 2 == 0),
            78..=79 => self.forward(tape),
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

    pub(super) fn repeat(&mut self, tape: &mut Tape, depth: u32) {
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
}

/// A word at this address.
pub fn word(at: u32) -> MemArg {
    MemArg { offset: at.into(), align: 2, target: MemArgTarget::Memory(0), ordering: None }
}
