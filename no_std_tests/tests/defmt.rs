//! Which types `defmt` prints: all public ones that are values (`Clone` and `Debug`), and texts and lists among what they hold.

use canon_async::abi::types as abi;
use canon_async::{ambient, canon, context, embedding, error, error_context, fixed_list, id};
use canon_async::{spec, state, storage, store, task, threading, waitable_set};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

fn prints<T: defmt::Format>() {}

macro_rules! printed {
    ($($module:ident: $($name:ident $([$($arg:tt)*])?)*;)*) => {
        /// Compiles where each of them is printed.
        #[test]
        fn defmt_prints_each_public_value() {
            $($(prints::<$module::$name $(<$($arg)*>)?>();)*)*
        }

        const PRINTED: &[&str] = &[$($(stringify!($name)),*),*];
    };
}

printed! {
    error: Error LimitOwner Resource Trap HandleKind EndAction;
    id: ThreadId TaskId WaitableId SetId SharedId ErrorContextId ArgsId LendId ContextId HostTaskId HostErrorId PairId SignalId
        InstanceId TypeId FuncTypeId ResourceId OptsId LiftId LowerId FuncRef HostCall HostThreadId MemoryRef TableRef;
    spec: PtrType EventCode CallbackCode CopyResult SubtaskState Features;
    embedding: Outcome Then;
    canon: Builtin;
    state: Direction CopyState Buffer Handle InstanceKind StringEncoding Options Lift Lower QueuedArgs Rep ResourceHandle Lend Scope
        TaskState Caller Status Point Priority Queue Event;
    store: Counts Entrance Choose;
    storage: Limit Limits Capacities Link Entry[u32] Hashed[u32];
    abi: Layout ValType TypeDef Items NewType['static] TypeInfo FuncType ResourceType;
    ambient: FunctionAt Host Limits ComponentValue Scalars;
    context: ContextKey ContextValue AsyncContextManager;
    error_context: ErrorContextBuiltins StackTrace ErrorContextId ErrorSeverity StackFrame;
    fixed_list: FixedList[u8, 3] FixedLengthList FrozenList FixedLengthListType ListTypeError;
    task: TaskReturn TaskState TaskOutcome TaskFailure CancellationToken TaskBuiltins;
    threading: ThreadValueType FunctionSignature FunctionReference ThreadSpawnConfig AdvancedThreadingBuiltins;
    waitable_set: WaitableSetBuiltins WaitableSetId WaitableId FutureHandle StreamHandle Future FutureState Stream StreamState Subtask
        Waitable WaitableEntry WaitResult;
}

#[test]
fn defmt_prints_texts_lists_and_limits() {
    prints::<ambient::Text>();
    prints::<ambient::Seq<error::Trap>>();
    prints::<error::LimitReached>();
    prints::<canon_async::abi::Context>();
    prints::<canon_async::abi::Source<'static>>();
}

/// What `defmt` can't print: a function, and an instant of the operating system.
const NOT_PRINTED: [&str; 2] = ["Reaction", "StdClock"];
/// Printed, and in no module of the list's.
const BESIDE: [&str; 2] = ["Context", "Source"];

/// Counts the public types that are `Clone` and `Debug`, by name. Ids are made by macros, whose names are not seen here.
fn values(folder: &Path, found: &mut BTreeMap<String, usize>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            values(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source file");
        for item in source.split("#[derive(").skip(1) {
            let (derived, rest) = item.split_once(")]").expect("a derive's end");
            let mut rest =
                rest.lines().map(str::trim).skip_while(|line| line.is_empty() || line.starts_with("#["));
            let line = rest.next().unwrap_or("");
            let name = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum "));
            let name = name.and_then(|name| name.split(|c: char| !c.is_alphanumeric()).next());
            if let Some(name) = name.filter(|name| !name.is_empty())
                && derived.contains("Clone")
                && derived.contains("Debug")
            {
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
}

#[test]
fn defmt_leaves_out_no_public_value() {
    let mut found = BTreeMap::new();
    values(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../src"), &mut found);
    assert!(found.len() > 80, "the sources were read");
    let listed = |name: &str| PRINTED.iter().chain(&BESIDE).filter(|listed| **listed == name).count();
    let missing: Vec<_> = found
        .iter()
        .filter(|(name, count)| !NOT_PRINTED.contains(&name.as_str()) && listed(name) < **count)
        .collect();
    assert!(missing.is_empty(), "not in the list: {missing:?}");
    assert!(NOT_PRINTED.iter().all(|name| found.contains_key(*name)));
}
