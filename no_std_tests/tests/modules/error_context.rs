//! Error contexts of the host. The same tests on every tier.

use crate::common::calls;
use crate::common::fresh;
use crate::common::script::{self, Abi, Function, Guest, Here};
use crate::common::sync::{Mutex, MutexGuard};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use canon_async::ambient::{self, Limits, MEMORY, REALLOC};
use canon_async::canon::Builtin;
use canon_async::error_context::helpers;
use canon_async::prelude::*;
use canon_async::state::Options;
use canon_async::store::Counts;
use canon_async::{Embedding, Outcome, Resource, Trap, run};

use ErrorContextBuiltins as Errors;

fn is_misuse<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Misuse(_)))
}

fn counts() -> Counts {
    ambient::core(|core| {
        core.store.check().expect("the invariants hold");
        core.store.counts()
    })
    .expect("not in use")
}

fn new(message: &str) -> Result<ErrorContextId, Error> {
    Errors::error_context_new(message, ErrorSeverity::Error)
}

fn trace(id: ErrorContextId) -> String {
    format!("{}", Errors::error_context_stack_trace(id).expect("it is there"))
}

fn error_context_is_the_cores_in_the_hosts_table() -> Result<(), Error> {
    let _one = fresh();
    let id = new("no link")?;
    let ComponentValue::ErrorContext(handle) = Errors::error_context_value(id)? else { panic!() };
    let message = ambient::core(|core| core.store.host_error_message(handle).map(String::from))??;
    assert_eq!((message.as_str(), &*Errors::error_context_debug_message(id)?), ("no link", "no link"));
    assert_eq!(counts().error_contexts, 1);
    Errors::error_context_drop(id)?;
    assert_eq!(counts(), Counts::default());
    assert!(is_misuse(Errors::error_context_drop(id)));
    assert!(is_misuse(Errors::error_context_debug_message(id)));
    assert!(is_misuse(Errors::error_context_stack_trace(id)));
    assert!(is_misuse(Errors::error_context_add_frame(id, StackFrame::new("f"))));
    assert!(is_misuse(Errors::error_context_set_metadata(id, "a", true.into())));
    Ok(())
}

fn severity_and_code_are_as_they_were_set() -> Result<(), Error> {
    let _one = fresh();
    let all = [ErrorSeverity::Info, ErrorSeverity::Warning, ErrorSeverity::Error, ErrorSeverity::Critical];
    assert!(all.is_sorted());
    assert_eq!(all.map(|severity| format!("{severity}")), ["info", "warning", "error", "critical"]);
    let id = Errors::error_context_new("x", ErrorSeverity::Info)?;
    for severity in all {
        Errors::error_context_set_severity(id, severity)?;
        assert_eq!(Errors::error_context_severity(id)?, severity);
    }
    assert_eq!(Errors::error_context_code(id)?, None);
    Errors::error_context_set_code(id, -5)?;
    assert_eq!((Errors::error_context_code(id)?, trace(id).as_str()), (Some(-5), "critical (code -5): x"));
    Errors::error_context_set_code(id, None)?;
    assert_eq!(Errors::error_context_code(id)?, None);
    Ok(())
}

fn stack_trace_shows_what_is_known_of_each_frame() -> Result<(), Error> {
    let _one = fresh();
    let id = new("x")?;
    Errors::error_context_add_frame(id, StackFrame::new("alone"))?;
    Errors::error_context_add_stack_frame(id, "in_file", Some("a.rs"), None, None)?;
    Errors::error_context_add_stack_frame(id, "in_line", Some("a.rs"), Some(7), None)?;
    Errors::error_context_add_stack_frame(id, "line_alone", None::<&str>, Some(8), Some(9))?;
    let expected = "error: x
   0: alone
   1: in_file
             at a.rs
   2: in_line
             at a.rs:7
   3: line_alone
             at <unknown>:8:9";
    assert_eq!(trace(id), expected);
    assert_eq!(Errors::error_context_frame(id, 0)?, Some(StackFrame::new("alone")));
    assert_eq!(Errors::error_context_frame(id, 4)?, None);
    Ok(())
}

fn metadata_is_shown_in_the_order_in_which_it_was_set() -> Result<(), Error> {
    let _one = fresh();
    let id = new("x")?;
    assert_eq!(Errors::error_context_set_metadata(id, "b", 1.into())?, None);
    Errors::error_context_set_metadata(
        id,
        "a",
        ComponentValue::List(Scalars::of(&[1i32.into(), 2i32.into()])?),
    )?;
    assert_eq!(Errors::error_context_set_metadata(id, "b", 'c'.into())?, Some(1.into()));
    assert_eq!(trace(id), "error: x\n  b: 'c'\n  a: [1, 2]");
    assert_eq!(Errors::error_context_get_metadata(id, "b")?, Some('c'.into()));
    assert_eq!(Errors::error_context_remove_metadata(id, "b")?, Some('c'.into()));
    assert_eq!(Errors::error_context_remove_metadata(id, "b")?, None);
    assert_eq!(Errors::error_context_get_metadata(id, "b".to_string())?, None);
    assert_eq!(trace(id), "error: x\n  a: [1, 2]");
    Ok(())
}

fn chain_is_shown_and_keeps_its_causes() -> Result<(), Error> {
    let _one = fresh();
    let (outer, middle, root) =
        (new("outer")?, new("middle")?, Errors::error_context_new("root", ErrorSeverity::Critical)?);
    Errors::error_context_set_cause(outer, middle)?;
    Errors::error_context_set_cause(middle, root)?;
    Errors::error_context_add_frame(root, StackFrame::new("f"))?;
    for (id, cause) in [(root, outer), (root, root), (middle, outer)] {
        assert!(is_misuse(Errors::error_context_set_cause(id, cause)));
    }
    let expected = "error: outer\nCaused by: error: middle\nCaused by: critical: root\n   0: f";
    assert_eq!(trace(outer), expected);
    assert_eq!(Errors::error_context_cause(outer)?, Some(middle));
    assert_eq!(
        (helpers::root_cause(outer)?, helpers::worst_severity(outer)?),
        (root, ErrorSeverity::Critical)
    );
    // Dropped by the host, and kept by the chain; twice is once too often.
    Errors::error_context_drop(root)?;
    Errors::error_context_drop(middle)?;
    assert!(is_misuse(Errors::error_context_drop(root)));
    assert_eq!((trace(outer).as_str(), counts().error_contexts), (expected, 3));
    Errors::error_context_drop(outer)?;
    assert_eq!(counts(), Counts::default());
    Ok(())
}

fn cause_that_is_replaced_is_freed() -> Result<(), Error> {
    let _one = fresh();
    let (outer, first, second) = (new("outer")?, new("first")?, new("second")?);
    Errors::error_context_set_cause(outer, first)?;
    Errors::error_context_drop(first)?;
    // With itself it is replaced by what is there.
    Errors::error_context_set_cause(outer, first)?;
    assert_eq!(trace(outer), "error: outer\nCaused by: error: first");
    Errors::error_context_set_cause(outer, second)?;
    assert!(is_misuse(Errors::error_context_severity(first)));
    assert_eq!(counts().error_contexts, 2);
    Errors::error_context_set_cause(outer, None)?;
    assert_eq!(trace(outer), "error: outer");
    assert_eq!(Errors::error_context_severity(second)?, ErrorSeverity::Error);
    Ok(())
}

fn trace_of_what_was_dropped_says_so() -> Result<(), Error> {
    let _one = fresh();
    let id = new("x")?;
    let trace = Errors::error_context_stack_trace(id)?;
    Errors::error_context_drop(id)?;
    assert_eq!(format!("{trace}"), "<dropped>");
    Ok(())
}

fn initialize_wipes_nothing_and_a_reset_makes_ids_stale() -> Result<(), Error> {
    let _one = fresh();
    let id = new("x")?;
    Errors::initialize()?;
    assert_eq!(trace(id), "error: x");
    ambient::reset()?;
    let other = new("y")?;
    assert_ne!(id, other);
    assert!(is_misuse(Errors::error_context_drop(id)));
    assert!(is_misuse(Errors::error_context_set_cause(other, id)));
    assert_eq!(trace(other), "error: y");
    Ok(())
}

fn error_contexts_at_every_limit_change_nothing_where_they_are_full() -> Result<(), Error> {
    let _one = fresh();
    for limit in [1, 2, Limits::DEFAULT.core.error_contexts] {
        ambient::reset()?;
        let mut limits = Limits::DEFAULT;
        limits.core.error_contexts = limit;
        ambient::configure(limits)?;
        let all = (0..limit).map(|_| new("x")).collect::<Result<Vec<_>, _>>()?;
        let before = counts();
        assert_eq!(new("y"), Err(Error::capacity(Resource::ErrorContexts)));
        assert_eq!(counts(), before);
        Errors::error_context_drop(all[0])?;
        assert_eq!(trace(new("z")?), "error: z");
    }
    ambient::reset()?;
    let mut limits = Limits::DEFAULT;
    limits.core.handles = 1;
    ambient::configure(limits)?;
    let one = new("x")?;
    assert_eq!(new("y"), Err(Error::capacity(Resource::Handles)));
    Errors::error_context_drop(one)?;
    new("z")?;
    Ok(())
}

fn frames_and_metadata_at_every_limit() -> Result<(), Error> {
    let _one = fresh();
    for limit in [0, 1, 2] {
        ambient::reset()?;
        ambient::configure(Limits::DEFAULT.with_stack_frames(limit).with_error_values(limit))?;
        let (id, other) = (new("x")?, new("y")?);
        let key = |index: u32| format!("k{index}");
        for index in 0..limit {
            Errors::error_context_add_frame(id, StackFrame::new("f"))?;
            Errors::error_context_set_metadata(id, key(index), ComponentValue::U32(index))?;
        }
        let before = trace(id);
        for of in [id, other] {
            let frame = Errors::error_context_add_frame(of, StackFrame::new("g"));
            assert_eq!(frame, Err(Error::capacity(Resource::StackFrames)));
            let value = Errors::error_context_set_metadata(of, key(limit), true.into());
            assert_eq!(value, Err(Error::capacity(Resource::ErrorValues)));
        }
        assert_eq!((trace(id), trace(other).as_str()), (before, "error: y"));
        // All of it is free again.
        Errors::error_context_drop(id)?;
        for index in 0..limit {
            Errors::error_context_add_frame(other, StackFrame::new("f"))?;
            Errors::error_context_set_metadata(other, key(index), ComponentValue::U32(index))?;
        }
    }
    Ok(())
}

fn texts_that_are_too_long_are_refused_on_every_tier() -> Result<(), Error> {
    let _one = fresh();
    let (fits, long) = (
        "x".repeat(Limits::DEFAULT.text_bytes as usize),
        "x".repeat(Limits::DEFAULT.text_bytes as usize + 1),
    );
    let id = new(&fits)?;
    let full = Error::capacity(Resource::TextBytes);
    assert_eq!(new(&long), Err(full));
    assert_eq!(Errors::error_context_new(Text::from(long.as_str()), ErrorSeverity::Info), Err(full));
    assert_eq!(Errors::error_context_add_frame(id, StackFrame::new(&long)), Err(full));
    assert_eq!(Errors::error_context_add_frame(id, StackFrame::new("f").at(&long, 1, 1)), Err(full));
    assert_eq!(Errors::error_context_add_stack_frame(id, "f", Some(&long), None, None), Err(full));
    assert_eq!(Errors::error_context_set_metadata(id, &long, true.into()), Err(full));
    assert_eq!(Errors::error_context_set_metadata(id, "a", long.as_str().into()), Err(full));
    assert_eq!(Errors::error_context_get_metadata(id, &long), Err(full));
    assert_eq!((trace(id), counts().error_contexts), (format!("error: {fits}"), 1));
    Ok(())
}

fn helpers_make_errors_of_errors() -> Result<(), Error> {
    let _one = fresh();
    let cause = helpers::from_error(Error::capacity(Resource::Tasks))?;
    assert_eq!(Errors::error_context_severity(cause)?, ErrorSeverity::Warning);
    let bug = helpers::from_error(Error::Bug("a test's"))?;
    assert_eq!(Errors::error_context_severity(bug)?, ErrorSeverity::Critical);
    let outer = helpers::wrap(cause, "can't start", ErrorSeverity::Error)?;
    let shown = trace(outer);
    assert!(shown.starts_with("error: can't start\nCaused by: warning: limit reached: "), "{shown}");
    assert!(is_misuse(Errors::error_context_drop(cause)));
    // A text that is longer than the limit is cut.
    let long = helpers::from_error(Error::Misuse("ä".repeat(100).leak()))?;
    let message = Errors::error_context_debug_message(long)?;
    let most = Limits::DEFAULT.text_bytes.min(Limits::DEFAULT.core.message_bytes) as usize;
    assert!((most - 1..=most).contains(&message.len()) && message.starts_with("misuse: ä"), "{message}");
    for id in [outer, bug, long] {
        Errors::error_context_drop(id)?;
    }
    assert_eq!(counts(), Counts::default());
    assert!(is_misuse(helpers::wrap(outer, "gone", ErrorSeverity::Info)));
    assert_eq!(counts(), Counts::default());
    Ok(())
}

fn error_context_whose_handle_was_dropped_as_one_takes_no_other_with_it() -> Result<(), Error> {
    let _one = fresh();
    let id = new("first")?;
    let value = Errors::error_context_value(id)?;
    let ComponentValue::ErrorContext(handle) = value else { panic!("an error context") };
    ambient::drive(|e| run::builtin(e, Builtin::ErrorContextDrop, &[handle.into()]))??;
    let other = new("other")?;
    // The handle and what the core keeps of it are used again.
    assert_eq!(Errors::error_context_value(other)?, value);
    Errors::error_context_drop(id)?;
    assert_eq!((counts().error_contexts, counts().handles), (1, 1));
    assert!(is_misuse(Errors::error_context_from_guest(&value)));
    assert_eq!(trace(other), "error: other");
    Errors::error_context_drop(other)?;
    assert_eq!(counts(), Counts::default());
    Ok(())
}

fn wrap_of_what_was_dropped_already_leaves_nothing() -> Result<(), Error> {
    let _one = fresh();
    let cause = new("cause")?;
    let outer = helpers::wrap(cause, "outer", ErrorSeverity::Error)?;
    // The chain keeps it, but it is not the caller's any more.
    assert!(is_misuse(helpers::wrap(cause, "again", ErrorSeverity::Error)));
    assert_eq!(counts().error_contexts, 2);
    assert_eq!(trace(outer), "error: outer\nCaused by: error: cause");
    Errors::error_context_drop(outer)?;
    assert_eq!(counts(), Counts::default());
    Ok(())
}

// With guests.

static SEEN: Mutex<(Option<ErrorContextId>, String)> = Mutex::new((None, String::new()));

/// Writes down the message that it gets, adds to the host's details as a host function that it calls would, and gives it back.
fn looks(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let store = guest.store();
    let instance = store.thread(here.thread).expect("it runs").instance();
    let options = Options { memory: Some(MEMORY), realloc: Some(REALLOC), ..Options::new(instance) };
    let options = store.add_options(options)?;
    let at = guest.call_leaf(REALLOC, &[0, 0, 4, 8])?;
    guest.value(Builtin::ErrorContextDebugMessage(options), &[here.args[0], at])?;
    let memory = guest.memory(MEMORY)?;
    let word = |at: usize| u32::from_le_bytes(memory[at..at + 4].try_into().expect("four")) as usize;
    let (begin, len) = (word(at as usize), word(at as usize + 4));
    let mut seen = SEEN.lock();
    seen.1 = String::from_utf8(memory[begin..begin + len].to_vec()).expect("text");
    if let Some(id) = seen.0 {
        Errors::error_context_add_frame(id, StackFrame::new("guest"))?;
        Errors::error_context_set_metadata(id, "seen", true.into())?;
        assert!(trace(id).ends_with("\n   1: guest"));
        assert!(is_misuse(Errors::error_context_drop(id)));
        assert!(is_misuse(new("while the store is driven")));
    }
    guest.task_return(here, here.args[0])?;
    Ok(Outcome::Returned(0))
}

/// Gives an error context of its own.
fn fails(guest: &mut Guest<'_>, here: Here<'_>) -> Result<Outcome, Error> {
    let store = guest.store();
    let instance = store.thread(here.thread).expect("it runs").instance();
    let options = Options { memory: Some(MEMORY), realloc: Some(REALLOC), ..Options::new(instance) };
    let options = store.add_options(options)?;
    let at = guest.call_leaf(REALLOC, &[0, 0, 1, 4])?;
    guest.memory(MEMORY)?[at as usize..][..4].copy_from_slice(b"mine");
    let handle = guest.value(Builtin::ErrorContextNew(options), &[at, 4])?;
    guest.task_return(here, handle)?;
    guest.value(Builtin::ErrorContextDrop, &[handle])?;
    Ok(Outcome::Returned(0))
}

fn exits(_: &mut Guest<'_>, _: Here<'_>) -> Result<Outcome, Error> {
    Ok(Outcome::Returned(0))
}

const ERROR: Option<ValueType> = Some(ValueType::ErrorContext);
static FUNCTIONS: &[Function] = &[
    Function { code: looks, params: &[ValueType::ErrorContext], result: ERROR, abi: Abi::Callback(2) },
    Function { code: fails, params: &[], result: ERROR, abi: Abi::Callback(2) },
    Function { code: exits, params: &[], result: None, abi: Abi::Core },
];

fn guests() -> MutexGuard<'static, ()> {
    let one = fresh();
    script::register(FUNCTIONS).expect("there is none");
    *SEEN.lock() = (None, String::new());
    one
}

fn guest_sees_the_message_alone_and_the_host_finds_its_details_again() -> Result<(), Error> {
    let _one = guests();
    let id = new("no link")?;
    Errors::error_context_set_code(id, 4)?;
    Errors::error_context_add_frame(id, StackFrame::new("host"))?;
    SEEN.lock().0 = Some(id);
    let back = calls::call(0, &[Errors::error_context_value(id)?], ERROR)?.result()?;
    assert_eq!(SEEN.lock().1, "no link");
    // Another handle, and the same error context: what the guest gave is the host's to drop, too.
    assert_ne!(back, Errors::error_context_value(id)?);
    assert_eq!(Errors::error_context_from_guest(&back)?, id);
    assert!(is_misuse(Errors::error_context_from_guest(&back)));
    assert_eq!(trace(id), "error (code 4): no link\n  seen: true\n   0: host\n   1: guest");
    Errors::error_context_drop(id)?;
    assert_eq!(Errors::error_context_code(id)?, Some(4));
    Errors::error_context_drop(id)?;
    assert!(is_misuse(Errors::error_context_drop(id)));
    // The guest still has its handle.
    assert_eq!(counts().error_contexts, 1);
    Ok(())
}

fn error_context_of_a_guest_can_be_given_details() -> Result<(), Error> {
    let _one = guests();
    let value = calls::call(1, &[], ERROR)?.result()?;
    let id = Errors::error_context_from_guest(&value)?;
    assert!(is_misuse(Errors::error_context_from_guest(&value)));
    assert!(is_misuse(Errors::error_context_from_guest(&ComponentValue::ErrorContext(77))));
    assert!(is_misuse(Errors::error_context_from_guest(&ComponentValue::U32(1))));
    let outer = helpers::wrap(id, "call failed", ErrorSeverity::Warning)?;
    assert_eq!(trace(outer), "warning: call failed\nCaused by: error: mine");
    Errors::error_context_drop(outer)?;
    assert_eq!(counts(), Counts::default());
    Ok(())
}

fn trap_is_an_error_as_any_other() -> Result<(), Error> {
    let _one = fresh();
    let id = helpers::from_error(Trap::Deadlock.into())?;
    assert!(trace(id).starts_with("error: wasm trap: deadlock"), "{}", trace(id));
    Ok(())
}

tests! {
    error_context_is_the_cores_in_the_hosts_table,
    severity_and_code_are_as_they_were_set,
    stack_trace_shows_what_is_known_of_each_frame,
    metadata_is_shown_in_the_order_in_which_it_was_set,
    chain_is_shown_and_keeps_its_causes,
    cause_that_is_replaced_is_freed,
    trace_of_what_was_dropped_says_so,
    initialize_wipes_nothing_and_a_reset_makes_ids_stale,
    error_contexts_at_every_limit_change_nothing_where_they_are_full,
    frames_and_metadata_at_every_limit,
    texts_that_are_too_long_are_refused_on_every_tier,
    helpers_make_errors_of_errors,
    error_context_whose_handle_was_dropped_as_one_takes_no_other_with_it,
    wrap_of_what_was_dropped_already_leaves_nothing,
    guest_sees_the_message_alone_and_the_host_finds_its_details_again,
    error_context_of_a_guest_can_be_given_details,
    trap_is_an_error_as_any_other,
}
