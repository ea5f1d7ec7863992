//! Which strings are UTF-8, and which would be if they went on: what core says of them, also where its code is too large to be linked.

use canon_async::abi::types::ValType;
use canon_async::abi::{Context, Dest, Scope, Source, transfer};
use canon_async::id::{FuncRef, HostCall, MemoryRef, TableRef, ThreadId};
use canon_async::state::Options;
use canon_async::{Embedding, Error, Outcome, Store, Trap, bounded};

tests! {
    strings_of_all_boundary_bytes_are_utf8_where_core_says_so,
}

bounded! {
    Tiny {
        instances: 1, handles: 1, thread_indices: 1, tasks: 1, threads: 1, waitables: 1, sets: 1, streams: 1, error_contexts: 1,
        message_bytes: 8, queued: 1, lends: 1, types: 1, type_items: 1, resources: 1, functions: 1, depth: 1,
    }
}

/// A memory whose first half the string is in; `realloc` gives the second.
struct Memory(Store<Tiny>, [u8; 16]);

const NOTHING_RUNS: Error = Error::Misuse("nothing runs here");

impl Embedding for Memory {
    type Profile = Tiny;
    fn store(&mut self) -> &mut Store<Tiny> {
        &mut self.0
    }
    fn memory(&mut self, _: MemoryRef) -> Result<&mut [u8], Error> {
        Ok(&mut self.1)
    }
    fn call(&mut self, _: ThreadId, _: FuncRef, _: &[u64]) -> Result<Outcome, Error> {
        Err(NOTHING_RUNS)
    }
    fn resume(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(NOTHING_RUNS)
    }
    fn call_leaf(&mut self, _: FuncRef, _: &[u64]) -> Result<u64, Error> {
        Ok(8)
    }
    fn discard(&mut self, _: ThreadId) {}
    fn thread_func(&mut self, _: ThreadId, _: TableRef, _: u64) -> Result<(), Error> {
        Err(NOTHING_RUNS)
    }
    fn start_thread(&mut self, _: ThreadId, _: u64) -> Result<Outcome, Error> {
        Err(NOTHING_RUNS)
    }
    fn host_args(&mut self, _: HostCall, _: &mut [u64]) -> Result<(), Error> {
        Err(NOTHING_RUNS)
    }
    fn host_result(&mut self, _: HostCall, _: Option<&[u64]>) -> Result<(), Error> {
        Err(NOTHING_RUNS)
    }
}

/// The first and the last of each kind of byte, and of what may follow a lead byte.
const BYTES: [u8; 20] = [
    0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed, 0xef, 0xf0,
    0xf4, 0xf5, 0xff,
];

fn strings_of_all_boundary_bytes_are_utf8_where_core_says_so() -> Result<(), Error> {
    let mut e = Memory(Store::new(), [0; 16]);
    let instance = e.0.add_instance(None)?;
    let memory = Some(MemoryRef::from_index(0));
    let options = Options { memory, realloc: Some(FuncRef::from_index(0)), ..Options::new(instance) };
    let context = Context { options: e.0.add_options(options)?, scope: Scope::None };
    let mut valid = 0;
    for length in 1..=4u32 {
        for mut which in 0..20u32.pow(length) {
            let mut string = [0; 4];
            for byte in &mut string[..length as usize] {
                *byte = BYTES[which as usize % 20];
                which /= 20;
            }
            let string = &string[..length as usize];
            e.1[..string.len()].copy_from_slice(string);
            let mut flat = [0; 2];
            let dest = Dest::Flat(&mut flat);
            let result = transfer(
                &mut e,
                &context,
                Source::Flat(&[0, length.into()]),
                &context,
                dest,
                ValType::String,
            );
            match core::str::from_utf8(string) {
                Ok(_) => {
                    assert_eq!((result, flat), (Ok(()), [8, length.into()]), "{string:x?}");
                    assert_eq!(&e.1[8..8 + string.len()], string);
                    valid += 1;
                }
                Err(error) if error.error_len().is_none() => {
                    assert_eq!(result, Err(Trap::IncompleteUtf8.into()), "{string:x?}");
                }
                Err(_) => assert_eq!(result, Err(Trap::InvalidUtf8.into()), "{string:x?}"),
            }
        }
    }
    assert!(valid > 100, "{valid}");
    Ok(())
}
