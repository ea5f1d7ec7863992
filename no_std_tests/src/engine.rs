//! An engine without wasm: runs scripts, and sets a script aside where a built-in suspends.

use crate::op::{Op, Script, Val};
use crate::world::{Core, Ended, FAILED, Failed, Frame, World};
use canon_async::canon::{self, Builtin};
use canon_async::error::{Error, Trap};
use canon_async::id::{FuncRef, HostCall, MemoryRef, TableRef, ThreadId};
use canon_async::run as core_run;
use canon_async::storage::Profile;
use canon_async::{Embedding, Outcome, Store, Then};

impl<P: Profile> World<P> {
    fn value(&self, frame: &Frame, val: Val) -> u64 {
        match val {
            Val::R(index) => frame.registers[index as usize],
            Val::K(value) => value,
            Val::G(index) => self.globals[index as usize],
        }
    }

    fn fail(&mut self, frame: &Frame, found: u64, expected: u64, error: Option<Error>) -> Error {
        self.failed.get_or_insert(Failed { op: frame.pc, found, expected, error });
        Trap::Engine(FAILED).into()
    }

    /// Runs a frame until it returns or suspends; one that suspends is set aside.
    fn interpret(&mut self, mut frame: Frame) -> Result<Outcome, Error> {
        self.depth += 1;
        self.max_depth = self.max_depth.max(self.depth);
        let result = loop {
            match self.step(&mut frame) {
                Ok(None) => {}
                Ok(Some(outcome)) => break Ok(outcome),
                Err(error) => break Err(error),
            }
        };
        self.depth -= 1;
        if result == Ok(Outcome::Blocked) {
            if let Some(error) = self.suspend_fails.take() {
                return Err(error);
            }
            let thread = frame.thread.expect("a leaf suspended");
            let slot = &mut self.frames[thread.index()];
            assert!(slot.is_none(), "two frames of one thread");
            *slot = Some(frame);
        }
        result
    }

    fn step(&mut self, frame: &mut Frame) -> Result<Option<Outcome>, Error> {
        let Some(op) = frame.script.get(frame.pc) else { return Ok(Some(Outcome::Returned(0))) };
        frame.pc += 1;
        match *op {
            Op::Call(builtin, args, to) => return self.builtin(frame, builtin, args, to),
            Op::Set(to, val) => frame.registers[to as usize] = self.value(frame, val),
            Op::SetG(to, val) => self.globals[to as usize] = self.value(frame, val),
            Op::Add(to, val) => {
                let val = self.value(frame, val);
                let to = &mut frame.registers[to as usize];
                *to = to.wrapping_add(val);
            }
            Op::Shr(to, n) => frame.registers[to as usize] >>= n,
            Op::And(to, mask) => frame.registers[to as usize] &= mask,
            Op::Eq(a, b) => {
                let (a, b) = (self.value(frame, a), self.value(frame, b));
                if a != b {
                    return Err(self.fail(frame, a, b, None));
                }
            }
            Op::Load32(to, at) => {
                let at = self.value(frame, at) as usize;
                let bytes = self.memories[frame.instance as usize][at..].first_chunk().expect("an address");
                frame.registers[to as usize] = u32::from_le_bytes(*bytes).into();
            }
            Op::Load8(to, at) => {
                let at = self.value(frame, at) as usize;
                frame.registers[to as usize] = self.memories[frame.instance as usize][at].into();
            }
            Op::Store32(at, val) => {
                let (at, val) = (self.value(frame, at) as usize, self.value(frame, val) as u32);
                self.memories[frame.instance as usize][at..][..4].copy_from_slice(&val.to_le_bytes());
            }
            Op::Store8(at, val) => {
                let (at, val) = (self.value(frame, at) as usize, self.value(frame, val) as u8);
                self.memories[frame.instance as usize][at] = val;
            }
            Op::Jump(val, to) => {
                if self.value(frame, val) != 0 {
                    frame.pc = to.into();
                }
            }
            Op::Loop(counter, to) => {
                let counter = &mut frame.registers[counter as usize];
                *counter = counter.wrapping_sub(1);
                if *counter != 0 {
                    frame.pc = to.into();
                }
            }
            Op::Mark(number) => {
                self.marks[self.marked] = number;
                self.marked += 1;
            }
            Op::Ret(val) => return Ok(Some(Outcome::Returned(self.value(frame, val)))),
            Op::Trap(code) => return Err(Trap::Engine(code).into()),
            Op::Leaf(func) => {
                self.call_leaf(FuncRef::from_index(func), &[])?;
            }
            Op::Invoke(func, number, expected) => {
                self.ended[number as usize] = Ended::No;
                let error = core_run::call(self, func, HostCall::from_index(number)).err();
                if error != expected {
                    if let Some(Error::Capacity(what)) = error {
                        return Err(Error::Capacity(what));
                    }
                    return Err(self.fail(frame, 0, 0, error));
                }
            }
            Op::Later => {
                let thread = frame.thread.expect("a thread of the host");
                self.store.answer_later(thread)?;
                let free = self.later.iter_mut().find(|slot| slot.is_none()).expect("room for an answer");
                *free = Some(thread);
                frame.to = 7;
                return Ok(Some(Outcome::Blocked));
            }
            Op::LaterThen(trap) => {
                self.store.answer_later(frame.thread.expect("a thread of the host"))?;
                return Err(trap.into());
            }
            Op::Tick => {
                let result = core_run::tick(self);
                if !matches!(result, Err(Error::Misuse(_))) {
                    return Err(self.fail(frame, 0, 0, result.err()));
                }
            }
        }
        Ok(None)
    }

    fn builtin(
        &mut self,
        frame: &mut Frame,
        builtin: Builtin,
        args: &[Val],
        to: u8,
    ) -> Result<Option<Outcome>, Error> {
        let mut values = [0; 6];
        for (value, arg) in values.iter_mut().zip(args) {
            *value = self.value(frame, *arg);
        }
        match canon::call(self, builtin, &values[..args.len()])? {
            Then::Value(value) => {
                frame.registers[to as usize] = value;
                Ok(None)
            }
            Then::Suspend => {
                assert!(builtin.may_suspend(), "{builtin:?} suspended, and says that it never does");
                frame.to = to;
                Ok(Some(Outcome::Blocked))
            }
        }
    }

    fn frame(&self, thread: Option<ThreadId>, instance: u32, script: Script, args: &[u64]) -> Frame {
        let mut registers = [0; 8];
        for (register, arg) in registers.iter_mut().zip(args) {
            *register = *arg;
        }
        Frame { thread, instance, script, pc: 0, registers, to: 0 }
    }

    fn core(&self, func: FuncRef) -> Result<Core, Error> {
        self.funcs.get(func.index()).copied().flatten().ok_or(Error::Misuse("no such function"))
    }

    fn realloc(&mut self, instance: u32, args: &[u64]) -> u64 {
        let [old, old_size, align, size] = *args else { panic!("realloc takes four arguments") };
        let heap = &mut self.heaps[instance as usize];
        let align = align as u32;
        let pointer = (*heap + align - 1) & !(align - 1);
        *heap = pointer + size as u32;
        let (old, kept) = (old as usize, old_size.min(size) as usize);
        let memory = &mut self.memories[instance as usize];
        if pointer as usize + kept <= memory.len() {
            memory.copy_within(old..old + kept, pointer as usize);
        }
        pointer.into()
    }
}

impl<P: Profile> Embedding for World<P> {
    type Profile = P;

    fn store(&mut self) -> &mut Store<P> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        match self.memories.get_mut(memory.index()) {
            Some(memory) => Ok(memory),
            None => Err(Error::Misuse("no such memory")),
        }
    }

    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        match self.core(func)? {
            Core::Script(instance, script) => {
                let frame = self.frame(Some(thread), instance, script, args);
                self.interpret(frame)
            }
            Core::Realloc(_) => Err(Error::Misuse("realloc is no function of a thread")),
        }
    }

    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        let mut frame = self.frames[thread.index()].take().expect("a frame to resume");
        assert_eq!(frame.thread, Some(thread), "the frame of another thread was resumed");
        frame.registers[frame.to as usize] = value;
        self.interpret(frame)
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        match self.core(func)? {
            Core::Realloc(instance) => Ok(self.realloc(instance, args)),
            Core::Script(instance, script) => {
                let frame = self.frame(None, instance, script, args);
                match self.interpret(frame)? {
                    Outcome::Returned(value) => Ok(value),
                    Outcome::Blocked => unreachable!("a leaf suspended"),
                }
            }
        }
    }

    fn discard(&mut self, thread: ThreadId) {
        // A thread past the last place never was set aside.
        if let Some(frame) = self.frames.get_mut(thread.index()) {
            frame.take_if(|frame| frame.thread == Some(thread));
        }
        if let Some(start) = self.starts.get_mut(thread.index()) {
            start.take_if(|(id, ..)| *id == thread);
        }
    }

    fn thread_func(&mut self, thread: ThreadId, _: TableRef, index: u64) -> Result<(), Error> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let found = self.table.get(index as usize).copied().flatten();
        let (instance, script) = found.ok_or(Trap::UnknownTableElement(index))?;
        if script.is_empty() {
            // Stands for a function of another type.
            return Err(Trap::ThreadFuncType(index).into());
        }
        let slot = &mut self.starts[thread.index()];
        assert!(slot.is_none(), "a thread's function is left");
        *slot = Some((thread, instance, script));
        Ok(())
    }

    fn thread_ref(&mut self, thread: ThreadId, func: FuncRef) -> Result<(), Error> {
        let Core::Script(instance, script) = self.core(func)? else {
            return Err(Error::Misuse("realloc is no function of a thread"));
        };
        let slot = &mut self.starts[thread.index()];
        assert!(slot.is_none(), "a thread's function is left");
        *slot = Some((thread, instance, script));
        Ok(())
    }

    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error> {
        let (id, instance, script) = self.starts[thread.index()].take().expect("a thread to start");
        assert_eq!(id, thread, "the function of another thread was started");
        let frame = self.frame(Some(thread), instance, script, &[arg]);
        self.interpret(frame)
    }

    fn can_suspend(&self) -> bool {
        self.can_suspend
    }

    fn host_cancel(&mut self, thread: ThreadId) -> bool {
        if self.host_insists {
            return false;
        }
        self.discard(thread);
        self.later.iter_mut().for_each(|slot| *slot = slot.take().filter(|later| *later != thread));
        true
    }

    fn poll_answers(&mut self) -> Result<(), Error> {
        if self.answer_on_poll {
            self.answer()?;
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<bool, Error> {
        Ok(self.answer_on_idle && self.answer()?)
    }

    fn charge(&mut self, _: usize, _: u32) -> Result<(), Error> {
        self.refuses_work.map_or(Ok(()), |trap| Err(trap.into()))
    }

    fn host_args(&mut self, _: HostCall, args: &mut [u64]) -> Result<(), Error> {
        for (to, from) in args.iter_mut().zip(self.args) {
            *to = from;
        }
        Ok(())
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        let ended = &mut self.ended[call.index()];
        assert_eq!(*ended, Ended::No, "a call ended twice");
        *ended = match results {
            Some(results) => Ended::Returned(results.first().copied().unwrap_or(0)),
            None => Ended::Cancelled,
        };
        Ok(())
    }

    fn host_lost(&mut self, call: HostCall) {
        let ended = &mut self.ended[call.index()];
        assert_eq!(*ended, Ended::No, "a call ended twice");
        *ended = Ended::Lost;
    }
}
