//! An engine for tests of values on their way from one instance to another: two memories and a bump allocator, which is
//! all that the walk over a value needs.

use canon_async::abi::types::{NewType, TypeItem, ValType};
use canon_async::abi::{Context, Dest, Scope, Source, copy_in_chunks, transfer};
use canon_async::id::{FuncRef, HostCall, InstanceId, MemoryRef, TableRef, ThreadId};
use canon_async::spec::PtrType;
use canon_async::state::{Options, StringEncoding};
use canon_async::{Embedding, Error, Heap, Outcome, Store, Trap};

/// What memories are full of before anything is written.
pub const FILL: u8 = 0xaa;

/// What `realloc` does.
#[derive(Clone, Copy, Debug)]
pub enum Realloc {
    /// Takes from the end; shrinks in place.
    Bump,
    /// Always answers this.
    Answer(u64),
    /// As `Bump` the first time, and then answers this.
    Later(u64),
    /// Traps.
    Trap,
    /// As `Bump`, and overwrites all of the other memory with this byte first.
    Meddle(u8),
}

/// An engine of two memories, one of each of two instances.
#[derive(Debug)]
pub struct Memories {
    /// The store, for its types and instances.
    pub store: Store<Heap>,
    /// The memories, `FILL` at first: values go from the first to the second.
    pub memories: [Vec<u8>; 2],
    /// Where the next `realloc` of each finds room.
    pub next: [u32; 2],
    /// How `realloc` behaves.
    pub realloc: Realloc,
    /// The arguments of each call of `realloc`.
    pub log: Vec<[u32; 4]>,
    /// What was charged: bytes and elements.
    pub charged: Vec<(usize, u32)>,
    /// How often a charge is accepted.
    pub charges_left: usize,
    /// What copies between memories fail with.
    pub copy_fails: Option<Trap>,
    /// The two sides.
    pub contexts: [Context; 2],
    /// Their instances.
    pub instances: [InstanceId; 2],
}

/// What a charge is refused with.
pub const OUT_OF_FUEL: Error = Error::Trap(Trap::Engine(8));

fn misuse<T>() -> Result<T, Error> {
    Err(Error::Misuse("this test does not need it"))
}

impl Embedding for Memories {
    type Profile = Heap;

    fn store(&mut self) -> &mut Store<Heap> {
        &mut self.store
    }

    fn memory(&mut self, memory: MemoryRef) -> Result<&mut [u8], Error> {
        self.memories.get_mut(memory.index()).map(|m| &mut m[..]).ok_or(Error::Misuse("no such memory"))
    }

    fn call_leaf(&mut self, func: FuncRef, args: &[u64]) -> Result<u64, Error> {
        let side = func.index();
        let instance = self.instances[side];
        assert!(!self.store.instance(instance).unwrap().may_leave(), "realloc must not leave");
        let [old, old_size, align, new_size] =
            args.try_into().map(|a: [u64; 4]| a.map(|a| a as u32)).unwrap();
        self.log.push([old, old_size, align, new_size]);
        match self.realloc {
            Realloc::Answer(pointer) => return Ok(pointer),
            Realloc::Later(pointer) if self.log.len() > 1 => return Ok(pointer),
            Realloc::Trap => return Err(Trap::Engine(7).into()),
            Realloc::Meddle(byte) => self.memories[1 - side].fill(byte),
            Realloc::Bump | Realloc::Later(_) => {}
        }
        if old != 0 && new_size < old_size {
            return Ok(u64::from(old.next_multiple_of(align)));
        }
        let pointer = self.next[side].next_multiple_of(align);
        self.next[side] = pointer + new_size;
        let (from, to) = (old as usize, pointer as usize);
        self.memories[side].copy_within(from..from + old_size as usize, to);
        Ok(pointer.into())
    }

    fn copy(&mut self, to: (MemoryRef, usize), from: (MemoryRef, usize), len: usize) -> Result<(), Error> {
        match self.copy_fails {
            Some(trap) => Err(trap.into()),
            None => copy_in_chunks(self, to, from, len),
        }
    }

    fn charge(&mut self, bytes: usize, elements: u32) -> Result<(), Error> {
        self.charges_left = self.charges_left.checked_sub(1).ok_or(OUT_OF_FUEL)?;
        self.charged.push((bytes, elements));
        Ok(())
    }

    fn call(&mut self, _: ThreadId, _: FuncRef, _: &[u64]) -> Result<Outcome, Error> {
        misuse()
    }
    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        misuse()
    }
    fn discard(&mut self, _: ThreadId) {}
    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u64) -> Result<(), Error> {
        misuse()
    }
    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        misuse()
    }
    fn host_args(&mut self, _: HostCall, _: &mut [u64]) -> Result<(), Error> {
        misuse()
    }
    fn host_result(&mut self, _: HostCall, _: Option<&[u64]>) -> Result<(), Error> {
        misuse()
    }
}

impl Memories {
    /// Two memories of these sizes, whose instances have these encodings.
    pub fn new(sizes: [usize; 2], encodings: [StringEncoding; 2]) -> Self {
        Self::with_pointers(sizes, encodings, [PtrType::I32; 2])
    }

    /// The same, with addresses of these widths.
    pub fn with_pointers(sizes: [usize; 2], encodings: [StringEncoding; 2], pointers: [PtrType; 2]) -> Self {
        let mut store = Store::default();
        let instances = [(); 2].map(|()| store.add_instance(None).unwrap());
        let mut context = |index: u32, encoding| {
            let instance = instances[index as usize];
            let memory = MemoryRef::from_index(index).with_addresses(pointers[index as usize]);
            let memory = Some(memory);
            let realloc = Some(FuncRef::from_index(index));
            let options = Options { memory, realloc, encoding, ..Options::new(instance) };
            Context { options: store.add_options(options).unwrap(), scope: Scope::None }
        };
        let contexts = [context(0, encodings[0]), context(1, encodings[1])];
        let memories = sizes.map(|size| vec![FILL; size]);
        Self {
            store,
            memories,
            next: [64; 2],
            realloc: Realloc::Bump,
            log: Vec::new(),
            copy_fails: None,
            charged: Vec::new(),
            charges_left: usize::MAX,
            contexts,
            instances,
        }
    }

    /// 4 KiB each, in UTF-8.
    pub fn plain() -> Self {
        Self::new([4096; 2], [StringEncoding::Utf8; 2])
    }

    /// Changes one side's options.
    pub fn change(&mut self, side: usize, change: impl FnOnce(&mut Options)) {
        let mut options = self.store.options(self.contexts[side].options).unwrap();
        change(&mut options);
        self.contexts[side].options = self.store.add_options(options).unwrap();
    }

    /// Defines a type.
    pub fn intern(&mut self, ty: NewType<'_>) -> ValType {
        ValType::Defined(self.store.types_mut().intern(ty, 0).unwrap())
    }

    /// Defines a record.
    pub fn record(&mut self, fields: &[ValType]) -> ValType {
        let fields: Vec<TypeItem> = fields.iter().map(|f| Some(*f)).collect();
        self.intern(NewType::Record(&fields))
    }

    /// Writes to the first memory.
    pub fn put(&mut self, at: usize, bytes: &[u8]) {
        self.memories[0][at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Reads from the second.
    pub fn got(&self, at: u32, len: usize) -> &[u8] {
        &self.memories[1][at as usize..][..len]
    }

    /// Moves a value from the first side to the second.
    pub fn go(&mut self, source: Source<'_>, dest: Dest<'_>, ty: ValType) -> Result<(), Error> {
        let [from, to] = self.contexts;
        let result = transfer(self, &from, source, &to, dest, ty);
        assert!(self.instances.iter().all(|i| self.store.instance(*i).unwrap().may_leave()));
        result
    }

    /// Flat to flat.
    pub fn flat<const N: usize>(&mut self, values: &[u64], ty: ValType) -> Result<[u64; N], Error> {
        let mut out = [0xdead; N];
        self.go(Source::Flat(values), Dest::Flat(&mut out), ty).map(|()| out)
    }

    /// From the bytes at 8 of the source's memory to those at 16 of the destination's, which are `FILL` before.
    pub fn bytes<const N: usize>(&mut self, bytes: [u8; N], ty: ValType) -> Result<[u8; N], Error> {
        self.put(8, &bytes);
        self.memories[1].fill(FILL);
        self.go(Source::Memory(8), Dest::Memory(16), ty).map(|()| self.got(16, N).try_into().unwrap())
    }
}
