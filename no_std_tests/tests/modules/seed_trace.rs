//! What an observer sees is the same on every tier: the traces here are compared with those in `golden/`, which each tier does.
//! Where a change is meant, `CANON_ASYNC_BLESS=1 cargo test -p no_std_tests --test modules seed_trace` writes them anew, on one tier; the others then show
//! whether they agree.

use crate::common::fresh;
use crate::common::moves::{Dice, step};
use crate::common::trace::*;
use alloc::string::String;
use canon_async::ambient::{self, FunctionAt, Limits};
use canon_async::prelude::*;
use core::fmt::Write;
use core::time::Duration;

/// Compares with a file, or writes it where that is asked for.
fn golden(name: &str, wanted: &str, seen: &str) {
    #[cfg(not(target_os = "none"))]
    if std::env::var_os("CANON_ASYNC_BLESS").is_some() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/modules/golden");
        std::fs::write(folder.join(name), seen).expect("the file can be written");
        return;
    }
    for (number, (seen, wanted)) in seen.lines().zip(wanted.lines()).enumerate() {
        assert_eq!(seen, wanted, "{name} differs in line {}", number + 1);
    }
    assert_eq!(seen.lines().count(), wanted.lines().count(), "{name} has other lines");
}

fn number(value: i32) -> ContextValue {
    value.into()
}

fn key(name: &str) -> ContextKey {
    ContextKey::new(name)
}

/// Contexts: nested scopes, and what tasks and threads begin with.
fn contexts(world: &mut World) -> Result<(), Error> {
    world.note("set a 1", &Contexts::set_context_value(key("a"), number(1)));
    {
        let _outer = AsyncContextScope::enter_inherited()?;
        world.note("set a 2 inside", &Contexts::set_context_value(key("a"), number(2)));
        world.note("set b", &Contexts::set_context_value(key("b"), "text".into()));
        let _inner = AsyncContextScope::enter_empty()?;
        world.note("a in an empty one", &Contexts::get_context_value(&key("a")));
    }
    world.note("a after the scopes", &Contexts::get_context_value(&key("a")));
    world.note("b after the scopes", &Contexts::get_context_value(&key("b")));
    let long = "k".repeat(Limits::DEFAULT.text_bytes as usize + 1);
    world.note("set a key that is too long", &Contexts::set_context_value(key(&long), number(1)));
    let mut kept = alloc::vec::Vec::new();
    for index in 0..=Limits::DEFAULT.contexts as i32 {
        let mut context = AsyncContext::new();
        world.note("a context more", &context.set(key("a"), number(index)).map(drop));
        kept.push(context);
    }
    Ok(())
}

/// Tasks of the host's own and of guests: how each of them ends.
fn tasks(world: &mut World) -> Result<(), Error> {
    let own = Tasks::task_start()?;
    world.tasks.add(own);
    world.note("metadata", &Tasks::set_task_metadata(own, "priority", 5.into()));
    world.note("wait for what nobody ends", &Tasks::task_wait(own));
    world.note("return", &Tasks::task_return(own, true.into()));
    world.note("return again", &Tasks::task_return(own, false.into()));
    world.note("wait", &Tasks::task_wait(own));
    let call = |module, function, args: &[ComponentValue]| {
        Tasks::task_call(ambient::function(FunctionAt::Index { module, function })?, args)
    };
    Contexts::set_context_value(key("a"), number(7))?;
    let tasks = [
        ("returns", call(0, ADDS, &[41.into()])),
        ("yields", call(0, YIELDS, &[])),
        ("waits", call(1, WAITS, &[])),
        ("waits behind the lock", call(0, WAITS, &[])),
        ("is given too much", call(0, YIELDS, &[1.into()])),
        ("closes", call(0, CLOSES, &[])),
        ("is sync and starts all the same", call(0, ADDS, &[1.into()])),
        ("can't start", call(0, YIELDS, &[])),
    ];
    let mut called = alloc::vec::Vec::new();
    for (what, task) in tasks {
        let named = task.map(|task| {
            called.push(task);
            world.tasks.add(task)
        });
        world.note(what, &named);
    }
    let snapshot = world.snapshot();
    world.text.push_str(&snapshot);
    let [adds, yields, waits, removed, _, _, starts] = called[..] else { panic!("one was refused") };
    world.note("cancel what has returned", &Tasks::task_cancel(adds));
    world.note("cancel what yields", &Tasks::task_cancel(yields));
    world.note("cancel what waits", &Tasks::task_cancel(waits));
    world.note("cancel what has not started", &Tasks::task_cancel(removed));
    for task in [yields, waits, removed, starts] {
        world.note("wait", &Tasks::task_wait(task));
    }
    world.note("opens", &call(0, OPENS, &[]).and_then(Tasks::task_wait));
    world.note("wait again", &Tasks::task_wait(starts));
    world.note("free", &Tasks::cleanup_finished_tasks());
    world.note("wait for what was freed", &Tasks::task_wait(starts));
    let mut started = alloc::vec::Vec::new();
    while started.last().is_none_or(Result::is_ok) {
        started.push(Tasks::task_start());
        world.note("start", &started[started.len() - 1].map(drop));
    }
    for task in started.into_iter().flatten() {
        Tasks::task_cancel(task)?;
    }
    Ok(())
}

/// Threads: priorities, parents, local values, and one that traps.
fn threads(world: &mut World) -> Result<(), Error> {
    let spawn = |function, priority, parent| {
        let config = ThreadSpawnConfig { priority: Some(priority), stack_size: Some(4096) };
        Threads::thread_spawn_indirect(0, function, config, parent)
    };
    Contexts::set_context_value(key("a"), number(7))?;
    let (low, high) = (spawn(YIELDS, 0, None)?, spawn(YIELDS, 7, None)?);
    let (child, other) = (spawn(YIELDS, 3, Some(low))?, spawn(YIELDS, 3, Some(low))?);
    for thread in [low, high, child, other] {
        world.threads.add(thread);
    }
    Threads::thread_local_set_with(low, 1, 10.into(), destroyed)?;
    Threads::thread_local_set(low, 2, 20.into(), Some(DESTROYS))?;
    Threads::thread_local_set_with(child, 3, 30.into(), destroyed)?;
    world.note("a priority of 8", &spawn(YIELDS, 8, None).map(drop));
    world.note("tick", &Tasks::tick());
    world.note("cancel children", &Threads::cancel_child_threads(low));
    let snapshot = world.snapshot();
    world.text.push_str(&snapshot);
    for thread in [low, high, child, other] {
        world.note("join", &Threads::thread_join(thread));
    }
    let traps = Threads::thread_spawn_indirect(1, TRAPS, ThreadSpawnConfig::default(), None)?;
    Threads::thread_local_set(traps, 1, 10.into(), Some(DESTROYS))?;
    Threads::thread_local_set_with(traps, 2, 20.into(), destroyed)?;
    world.note("join what traps", &Threads::thread_join(traps));
    world.note("destructors that are lost", &Threads::lost_destructors(traps));
    let dead = Threads::thread_spawn_indirect(1, ADDS, ThreadSpawnConfig::default(), None);
    world.note("spawn where it trapped", &dead.map(drop));
    let stack_size = Some(ambient::max_stack_bytes()? + 1);
    let config = ThreadSpawnConfig { stack_size, priority: None };
    world.note("too large a stack", &Threads::thread_spawn_indirect(0, ADDS, config, None).map(drop));
    Ok(())
}

/// Waitable sets: the order of readiness, deadlines, sets in sets, and a guest that reads what the host completes.
fn waits(world: &mut World) -> Result<(), Error> {
    let (outer, inner) = (Sets::waitable_set_new()?, Sets::waitable_set_new()?);
    world.sets.add(outer);
    world.sets.add(inner);
    let futures = [FutureHandle::new(), FutureHandle::new(), FutureHandle::new()];
    for (set, future) in [outer, outer, inner].into_iter().zip(futures) {
        world.futures.add(future);
        Sets::waitable_set_add(set, Waitable::Future(future.into()))?;
    }
    Sets::waitable_set_add(outer, Waitable::WaitableSet(inner))?;
    world.note("wait for nothing", &Sets::waitable_set_wait(outer));
    let start = ambient::now()?;
    world.note("wait until a deadline", &Sets::waitable_set_wait_for(outer, Duration::from_millis(1500)));
    world.note("milliseconds", &Ok((ambient::now()? - start).as_millis() as u32));
    for (at, value) in [(2, 2.into()), (1, "one".into()), (0, 0.5f64.into())] {
        world.note("complete", &futures[at].complete(Some(value)));
    }
    world.note("complete again", &futures[0].complete(None));
    world.note("poll all", &Sets::waitable_set_poll_all(outer));
    world.note("poll inside", &Sets::waitable_set_poll(inner));
    world.note("poll", &Sets::waitable_set_poll(outer));
    world.note("drop what is not empty", &Sets::waitable_set_drop(outer));
    for _ in 0..2 {
        let (future, readable) = FutureHandle::for_guest(Some(ValueType::U32))?;
        world.futures.add(future);
        let subtask = world.call_reads(2, &readable)?.expect("nothing is written yet");
        Sets::waitable_set_add(outer, Waitable::Subtask(subtask))?;
        world.note("wait for the guest", &Sets::waitable_set_wait(outer));
        world.note("a text for a number", &future.complete(ComponentValue::from("text")));
        world.note("complete what the guest reads", &future.complete(ComponentValue::U32(41)));
        world.note("wait for the guest", &Sets::waitable_set_wait(outer));
    }
    let mut added = Ok(());
    while added.is_ok() {
        added = Sets::waitable_set_add(inner, Waitable::Future(Future::new())).map(drop);
        world.note("add", &added);
    }
    let snapshot = world.snapshot();
    world.text.push_str(&snapshot);
    Ok(())
}

/// Error contexts and lists.
fn values(world: &mut World) -> Result<(), Error> {
    let root = Errors::error_context_new("no link", ErrorSeverity::Critical)?;
    let outer = Errors::error_context_new("connection failed", ErrorSeverity::Error)?;
    world.errors.add(root);
    world.errors.add(outer);
    Errors::error_context_set_code(outer, 111)?;
    Errors::error_context_set_cause(outer, Some(root))?;
    Errors::error_context_add_stack_frame(outer, "connect", Some("net.rs"), Some(142), Some(15))?;
    Errors::error_context_set_metadata(
        outer,
        "ports",
        ComponentValue::List(Scalars::of(&[1.into(), 2.into()])?),
    )?;
    world.note("drop the cause", &Errors::error_context_drop(root));
    world.note("its own cause", &Errors::error_context_set_cause(root, Some(outer)));
    let snapshot = world.snapshot();
    world.text.push_str(&snapshot);
    let mut made = Ok(());
    while made.is_ok() {
        made = Errors::error_context_new("more", ErrorSeverity::Info).map(drop);
        world.note("an error context more", &made);
    }
    world.note("drop", &Errors::error_context_drop(outer));
    let range = fixed_list_utils::from_range(-2, 3)?;
    world.note("range", &Ok(range.clone()));
    world.note("slice", &fixed_list_utils::slice(&range, 1..3));
    world.note("zeros", &fixed_list_utils::zero_filled(ValueType::String, 2));
    world.note("too long", &fixed_list_utils::zero_filled(ValueType::U8, Limits::DEFAULT.list_items + 1));
    world.note("none", &fixed_list_utils::zero_filled(ValueType::U8, 0));
    Ok(())
}

fn scenario_is_seen_alike_on_every_tier() -> Result<(), Error> {
    let _one = fresh();
    let mut seen = String::new();
    for part in [contexts, tasks, threads, waits, values] {
        let mut world = World::new(Limits::DEFAULT)?;
        part(&mut world)?;
        writeln!(seen, "{}", world.text).expect("a String");
    }
    golden("scenario.txt", include_str!("golden/scenario.txt"), &seen);
    Ok(())
}

/// Limits for a sequence: the defaults, and some that are soon reached.
fn limits(seed: u64) -> Limits {
    let mut limits = Limits::DEFAULT;
    if seed % 2 == 1 {
        (limits.core.tasks, limits.core.threads, limits.core.sets) = (4, 3, 3);
        (limits.core.waitables, limits.core.streams, limits.core.error_contexts) = (6, 2, 3);
        (limits.core.handles, limits.core.thread_indices, limits.core.message_bytes) = (7, 2, 4);
        (limits.host_tasks, limits.task_metadata, limits.thread_locals) = (5, 3, 2);
        (limits.contexts, limits.context_values, limits.context_scopes) = (3, 5, 2);
        (limits.host_waitables, limits.stack_frames, limits.error_values) = (3, 2, 2);
        (limits.text_bytes, limits.list_items, limits.host_bytes) = (8, 3, 64);
    }
    limits
}

fn random_sequences_are_seen_alike_on_every_tier() -> Result<(), Error> {
    // An emulated core takes seconds for each.
    const SEEDS: u64 = if cfg!(target_os = "none") { 4 } else { 16 };
    const MOVES: usize = 400;
    let _one = fresh();
    let mut seen = String::new();
    for seed in 0..SEEDS {
        let mut world = World::new(limits(seed))?;
        let mut dice = Dice(seed);
        for at in 0..MOVES {
            step(&mut world, &mut dice);
            // Where a sequence goes another way is seen to a stretch.
            if at % 100 == 99 {
                let (trace, state) = (world.trace(), digest(&world.snapshot()));
                writeln!(seen, "seed {seed}, {} moves: {trace:016x} {state:016x}", at + 1).expect("a String");
            }
        }
        #[cfg(not(target_os = "none"))]
        if let Some(folder) = std::env::var_os("CANON_ASYNC_TRACES") {
            let path = std::path::Path::new(&folder).join(alloc::format!("{seed}.txt"));
            std::fs::write(path, &world.text).expect("the file can be written");
        }
    }
    let wanted = include_str!("golden/random.txt");
    let (wanted, _) = wanted.split_once(&alloc::format!("seed {SEEDS},")).unwrap_or((wanted, ""));
    golden("random.txt", wanted, &seen);
    Ok(())
}

tests! {
    scenario_is_seen_alike_on_every_tier,
    random_sequences_are_seen_alike_on_every_tier,
}
