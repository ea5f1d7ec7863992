//! The engine: frames are nothing but a thread's name, since a guest's next step is on the tape.

use super::*;
use canon_async::Embedding;

impl<P: Profile> Machine<P> {
    pub(super) fn park(&mut self, thread: ThreadId, event: Option<u64>) {
        assert!(self.parked.insert(thread, event).is_none(), "two frames of one thread\n{}", self.tail());
    }

    /// The event that lies at an address of an instance's memory: its index and its payload.
    pub(super) fn event_at(&self, instance: u32, at: Option<u64>) -> String {
        let Some(at) = at else { return String::new() };
        let word = |at: usize| {
            let bytes = self.memories[instance as usize].get(at..).and_then(|rest| rest.first_chunk());
            u32::from_le_bytes(*bytes.expect("an event lies in memory"))
        };
        format!(" {} {}", word(at as usize), word(at as usize + 4))
    }

    /// Whether something is set aside in the engine.
    pub(super) fn holds_frames(&self) -> bool {
        !self.parked.is_empty() || !self.starts.is_empty()
    }

    fn enter_guest(&mut self, thread: ThreadId, what: String) -> Result<Outcome, Error> {
        self.entered += 1;
        let who = self.who(thread);
        self.log(what);
        let result = self.guest(thread);
        if let Ok(Outcome::Returned(value)) = result {
            self.log(format!("return {who} {value}"));
        }
        result
    }
}

impl<P: Profile> Embedding for Machine<P> {
    type Profile = P;

    fn store(&mut self) -> &mut Store<P> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        Ok(&mut self.memories[memory.index()])
    }

    fn call(&mut self, thread: ThreadId, func: FuncRef, args: &[u64]) -> Result<Outcome, Error> {
        let which = func.as_u32() % 16;
        if which == Kind::Janitor as u32 {
            self.entered += 1;
            self.janitor(thread)?;
            return Ok(Outcome::Returned(0));
        }
        let who = self.who(thread);
        let args: Vec<String> = args.iter().map(u64::to_string).collect();
        let what = match which {
            CALLBACK => "callback".into(),
            _ => format!("enter {}", self.whose(thread)),
        };
        let memories = self.checksum();
        self.enter_guest(thread, format!("{what} as {who} with {} {memories:x}", args.join(" ")))
    }

    fn resume(&mut self, thread: ThreadId, value: u64) -> Result<Outcome, Error> {
        let event = self.parked.remove(&thread);
        let event = event.unwrap_or_else(|| panic!("no frames to resume\n{}", self.tail()));
        let who = self.who(thread);
        let event = self.event_at(self.here(thread).instance, event);
        let memories = self.checksum();
        self.enter_guest(thread, format!("resume {who} {value} {memories:x}{event}"))
    }

    fn call_leaf(&mut self, _: FuncRef, args: &[u64]) -> Result<u64, Error> {
        assert_eq!(args.len(), 4);
        Ok(64)
    }

    fn discard(&mut self, thread: ThreadId) {
        self.parked.remove(&thread);
        self.starts.remove(&thread);
    }

    fn thread_func(&mut self, thread: ThreadId, _: TableRef, index: u64) -> Result<(), Error> {
        if index > 0 {
            return Err(Trap::UnknownTableElement(index as u32).into());
        }
        self.starts.insert(thread);
        Ok(())
    }

    fn start_thread(&mut self, thread: ThreadId, arg: u64) -> Result<Outcome, Error> {
        assert!(self.starts.remove(&thread), "no function to start\n{}", self.tail());
        let who = self.who(thread);
        let memories = self.checksum();
        self.enter_guest(thread, format!("start {who} {arg} {memories:x}"))
    }

    fn host_args(&mut self, _: HostCall, args: &mut [u64]) -> Result<(), Error> {
        args[0] = 5;
        Ok(())
    }

    fn host_result(&mut self, call: HostCall, results: Option<&[u64]>) -> Result<(), Error> {
        let results = match results {
            Some(results) => format!("returned {}", results.iter().map(u64::to_string).collect::<String>()),
            None => "cancelled".into(),
        };
        self.log(format!("resolve {} {results}", call.index()));
        Ok(())
    }
}
