//! Random moves of an observer: any operation of the host-facing modules, on anything, stale or not. One that fails leaves everything
//! as it was.

use crate::common::trace::*;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use canon_async::ambient::{self, FunctionAt};
use canon_async::error_context::helpers;
use canon_async::prelude::*;
use core::time::Duration;

/// Draws the same numbers everywhere: splitmix64.
pub struct Dice(pub u64);

impl Dice {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit as u64) as usize
    }

    fn often(&mut self, of: usize) -> bool {
        self.below(of) != 0
    }
}

/// What a move may have changed where it fails.
#[derive(PartialEq)]
enum Kind {
    /// What it ran before it failed.
    Drives,
    /// Nothing.
    Stays,
}

type Move = fn(&mut World, &mut Dice) -> Option<(String, Result<String, Error>)>;

const MOVES: &[(Kind, Move)] = &[
    (Kind::Stays, task_start),
    (Kind::Stays, task_call),
    (Kind::Stays, task_end),
    (Kind::Drives, task_cancel),
    (Kind::Drives, task_wait),
    (Kind::Drives, tick),
    (Kind::Stays, task_poll),
    (Kind::Stays, task_metadata),
    (Kind::Stays, task_cleanup),
    (Kind::Stays, task_run),
    (Kind::Stays, thread_spawn),
    (Kind::Drives, thread_join),
    (Kind::Drives, thread_cancel),
    (Kind::Stays, thread_local),
    (Kind::Stays, set_new),
    (Kind::Stays, set_add_future),
    (Kind::Stays, set_add_set),
    (Kind::Stays, set_remove),
    (Kind::Drives, set_wait),
    (Kind::Stays, set_poll),
    (Kind::Stays, set_drop),
    (Kind::Stays, future_end),
    (Kind::Stays, future_end),
    (Kind::Stays, future_read),
    (Kind::Stays, context_value),
    (Kind::Stays, context_value),
    (Kind::Stays, context_own),
    (Kind::Stays, context_scope),
    (Kind::Stays, error_new),
    (Kind::Stays, error_detail),
    (Kind::Stays, error_detail),
    (Kind::Stays, error_cause),
    (Kind::Stays, error_drop),
    (Kind::Stays, list),
];

/// One move; what failed has changed nothing.
pub fn step(world: &mut World, dice: &mut Dice) {
    let (kind, go) = &MOVES[dice.below(MOVES.len())];
    // What guests have read is seen to with the host's next operation on a future: this is one, of none.
    assert!(FutureHandle::new().complete(None).is_err());
    let before = world.snapshot();
    let Some((what, result)) = go(world, dice) else { return };
    world.note(&what, &result);
    if *kind != Kind::Drives && result.is_err() {
        assert_unchanged(
            &before,
            &world.snapshot(),
            &format_args!(
                "{what} failed with {result:?}, after:
{}",
                world.text
            ),
        );
    }
    forget_stale(world);
}

/// Line for line, but for what the observer has newly got hold of.
pub fn assert_unchanged(before: &str, after: &str, why: &dyn core::fmt::Display) {
    let name = |line: &str| line.split(' ').next().map(String::from);
    let held: Vec<_> = before.lines().map(name).collect();
    let after: Vec<_> = after.lines().filter(|line| held.contains(&name(line))).collect();
    assert_eq!(after, before.lines().collect::<Vec<_>>(), "{why}");
}

/// Lets go of what is gone, but for a few, which are used as what they are.
fn forget_stale(world: &mut World) {
    fn keep<T>(named: &mut Named<T>, gone: impl Fn(&T) -> bool) {
        while named.all.len() > 10 {
            let Some(at) = named.all.iter().position(|(_, thing)| gone(thing)) else { return };
            named.all.remove(at);
        }
    }
    keep(&mut world.tasks, |task| Tasks::task_state(*task).is_err());
    keep(&mut world.threads, |thread| Threads::thread_state(*thread).is_err());
    keep(&mut world.sets, |set| Sets::waitable_set_len(*set).is_err());
    keep(&mut world.futures, |future| future.is_registered() == Ok(false));
    keep(&mut world.errors, |error| Errors::error_context_severity(*error).is_err());
    let room = world.members.all.len().saturating_sub(10);
    world.members.all.drain(..room);
}

/// A text; sometimes as long as one may be, or longer.
fn words(dice: &mut Dice) -> String {
    let most = ambient::limits().expect("not in use").text_bytes as usize;
    match dice.below(8) {
        0 => "x".repeat(most),
        1 => "x".repeat(most + 1),
        _ => format!("w{}", dice.below(10)),
    }
}

/// A value of any kind.
fn value(dice: &mut Dice) -> ComponentValue {
    match dice.below(12) {
        0 => true.into(),
        1 => 'c'.into(),
        2 => 0.5f64.into(),
        3 | 4 => words(dice).as_str().into(),
        _ => (dice.below(100) as i32).into(),
    }
}

fn key(dice: &mut Dice) -> &'static str {
    NAMES[dice.below(KEYS)]
}

fn shown<T: Show>(world: &World, result: Result<T, Error>) -> Result<String, Error> {
    result.map(|value| value.show(world))
}

// Tasks.

fn task_start(world: &mut World, _: &mut Dice) -> Option<(String, Result<String, Error>)> {
    Some(("task_start".into(), Tasks::task_start().map(|task| world.tasks.add(task))))
}

fn guest(dice: &mut Dice) -> (u32, u32) {
    let function = match dice.below(24) {
        0 => TRAPS,
        1 | 2 => CLOSES,
        3 | 4 => OPENS,
        5..12 => YIELDS,
        12..18 => WAITS,
        _ => ADDS,
    };
    (dice.below(3) as u32, function)
}

fn task_call(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (module, function) = guest(dice);
    let args = [1.into()];
    let args = if function == ADDS && dice.often(8) { &args[..] } else { &[] };
    let called = ambient::function(FunctionAt::Index { module, function })
        .and_then(|function| Tasks::task_call(function, args))
        .map(|task| world.tasks.add(task));
    Some((format!("task_call {module}.{function}"), called))
}

fn task_end(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    let value = value(dice);
    if dice.often(3) {
        return Some((format!("task_return {name}"), shown(world, Tasks::task_return(*task, value.into()))));
    }
    Some((format!("task_fail {name}"), shown(world, Tasks::task_fail(*task, value))))
}

fn task_cancel(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    Some((format!("task_cancel {name}"), shown(world, Tasks::task_cancel(*task))))
}

fn task_wait(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    Some((format!("task_wait {name}"), shown(world, Tasks::task_wait(*task))))
}

fn tick(world: &mut World, _: &mut Dice) -> Option<(String, Result<String, Error>)> {
    Some(("tick".into(), shown(world, Tasks::tick())))
}

fn task_poll(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    Some((format!("task_poll {name}"), shown(world, Tasks::task_poll(*task))))
}

fn task_metadata(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    let (key, value) = (key(dice), value(dice));
    if dice.often(4) {
        let set = Tasks::set_task_metadata(*task, key, value);
        return Some((format!("set_task_metadata {name} {key}"), shown(world, set)));
    }
    let removed = Tasks::remove_task_metadata(*task, key);
    Some((format!("remove_task_metadata {name} {key}"), shown(world, removed)))
}

fn task_cleanup(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    if dice.often(4) {
        return None;
    }
    Some(("cleanup_finished_tasks".into(), shown(world, Tasks::cleanup_finished_tasks())))
}

fn task_run(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, task) = world.tasks.pick(dice.below(64))?;
    let (key, value) = (key(dice), value(dice));
    let ran = Tasks::task_run(*task, || Contexts::set_context_value(ContextKey::new(key), value.into()));
    Some((format!("task_run {name} {key}"), shown(world, ran.and_then(|set| set))))
}

// Threads.

fn thread_spawn(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (module, function) = guest(dice);
    let config = ThreadSpawnConfig {
        priority: dice.often(2).then(|| dice.below(8) as u8),
        stack_size: (!dice.often(10)).then_some(1 << 30),
    };
    let parent = world.threads.pick(dice.below(64)).filter(|_| !dice.often(3)).map(|(_, thread)| *thread);
    let spawned = Threads::thread_spawn_indirect(module, function, config, parent);
    let what = format!("thread_spawn {module}.{function} {:?}", config.priority);
    Some((what, spawned.map(|thread| world.threads.add(thread))))
}

fn thread_join(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, thread) = world.threads.pick(dice.below(64))?;
    Some((format!("thread_join {name}"), shown(world, Threads::thread_join(*thread))))
}

fn thread_cancel(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, thread) = world.threads.pick(dice.below(64))?;
    if dice.often(2) {
        return Some((format!("thread_cancel {name}"), shown(world, Threads::thread_cancel(*thread))));
    }
    let cancelled = Threads::cancel_child_threads(*thread);
    Some((format!("cancel_child_threads {name}"), shown(world, cancelled)))
}

fn thread_local(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, thread) = world.threads.pick(dice.below(64))?;
    let (key, value) = (dice.below(KEYS) as u32, value(dice));
    let (what, result) = match dice.below(4) {
        0 => ("remove", Threads::thread_local_remove(*thread, key)),
        1 => ("set", Threads::thread_local_set(*thread, key, value, None)),
        2 => ("set destroys", Threads::thread_local_set(*thread, key, value, Some(DESTROYS))),
        _ => ("set destroyed", Threads::thread_local_set_with(*thread, key, value, destroyed)),
    };
    Some((format!("thread_local {what} {name} {key}"), shown(world, result)))
}

// Waitable sets.

fn set_new(world: &mut World, _: &mut Dice) -> Option<(String, Result<String, Error>)> {
    Some(("set_new".into(), Sets::waitable_set_new().map(|set| world.sets.add(set))))
}

fn set_add_future(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (set_name, set) = world.sets.pick(dice.below(64)).map(|(name, set)| (name, *set))?;
    let known = world.futures.pick(dice.below(64)).filter(|_| !dice.often(4));
    let (name, handle) = match known {
        Some((name, handle)) => (name, *handle),
        None => {
            let handle = FutureHandle::new();
            (world.futures.add(handle), handle)
        }
    };
    let state = match dice.below(6) {
        0 => FutureState::Ready(Some(value(dice))),
        1 => FutureState::Cancelled,
        _ => FutureState::Pending,
    };
    let what = format!("set_add {set_name} {name}");
    let added = Sets::waitable_set_add(set, Waitable::Future(Future { handle, state }));
    Some((what, added.map(|id| world.members.add((set, id)))))
}

fn set_add_set(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, set) = world.sets.pick(dice.below(64)).map(|(name, set)| (name, *set))?;
    let (inner_name, inner) = world.sets.pick(dice.below(64)).map(|(name, set)| (name, *set))?;
    let added = Sets::waitable_set_add(set, Waitable::WaitableSet(inner));
    Some((format!("set_add {name} {inner_name}"), added.map(|id| world.members.add((set, id)))))
}

fn set_remove(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, (set, id)) = world.members.pick(dice.below(64))?;
    Some((format!("set_remove {name}"), shown(world, Sets::waitable_set_remove(*set, *id))))
}

fn set_wait(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, set) = world.sets.pick(dice.below(64))?;
    if dice.often(3) {
        let waited = Sets::waitable_set_wait_for(*set, Duration::from_secs(dice.below(9) as u64));
        return Some((format!("set_wait_for {name}"), shown(world, waited)));
    }
    Some((format!("set_wait {name}"), shown(world, Sets::waitable_set_wait(*set))))
}

fn set_poll(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, set) = world.sets.pick(dice.below(64))?;
    if dice.often(2) {
        return Some((format!("set_poll {name}"), shown(world, Sets::waitable_set_poll(*set))));
    }
    Some((format!("set_poll_all {name}"), shown(world, Sets::waitable_set_poll_all(*set))))
}

fn set_drop(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, set) = world.sets.pick(dice.below(64))?;
    Some((format!("set_drop {name}"), shown(world, Sets::waitable_set_drop(*set))))
}

fn future_end(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, future) = world.futures.pick(dice.below(64))?;
    let value = dice.often(4).then(|| if dice.often(3) { ComponentValue::U32(5) } else { value(dice) });
    let (what, result) = match dice.below(8) {
        0 => ("cancel", future.cancel()),
        1 => ("close", future.close()),
        _ => ("complete", future.complete(value)),
    };
    Some((format!("future_{what} {name}"), shown(world, result)))
}

/// A guest reads a future of the host's: a call of the host's as `canon lower` makes them, waited for in a set.
fn future_read(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, set) = world.sets.pick(dice.below(64)).map(|(name, set)| (name, *set))?;
    if dice.often(3) || Sets::waitable_set_len(set).is_err() {
        return None;
    }
    let module = dice.below(3) as u32;
    let made = FutureHandle::for_guest(Some(ValueType::U32));
    let Ok((handle, readable)) = made else {
        return Some(("future_for_guest".into(), made.map(|_| String::new())));
    };
    let name = format!("future_read {module} {} {name}", world.futures.add(handle));
    // Where that fails the future stays with the host, so it is a move that drives.
    let called = world.call_reads(module, &readable);
    let added = called.map(|subtask| match subtask {
        None => "returned".into(),
        Some(subtask) => match Sets::waitable_set_add(set, Waitable::Subtask(subtask)) {
            Ok(id) => world.members.add((set, id)),
            Err(error) => error.show(world),
        },
    });
    world.note(&name, &added);
    None
}

// Contexts.

fn context_value(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, value) = (key(dice), value(dice));
    let key = ContextKey::new(name);
    if dice.often(4) {
        let set = Contexts::set_context_value(key, value.into());
        return Some((format!("set_context_value {name}"), shown(world, set)));
    }
    let removed = Contexts::remove_context_value(&key);
    Some((format!("remove_context_value {name}"), shown(world, removed)))
}

fn context_own(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let at = dice.below(64);
    Some(match dice.below(6) {
        0 | 1 if world.contexts.all.len() < 10 => {
            ("context_get".into(), Contexts::context_get().map(|context| world.contexts.add(context)))
        }
        2 => {
            let (name, context) = world.contexts.take(at)?;
            let before = Contexts::context_set(context).map(|before| world.contexts.add(before));
            (format!("context_set {name}"), before)
        }
        3 => {
            let (name, context) = world.contexts.take(at)?;
            drop(context);
            (format!("context dropped {name}"), Ok(String::new()))
        }
        _ => {
            let (key, value) = (key(dice), value(dice));
            let number = at.checked_rem(world.contexts.all.len())?;
            let (name, context) = &mut world.contexts.all[number];
            let what = format!("context set c{name} {key}");
            let set = context.set(ContextKey::new(key), value.into());
            (what, shown(world, set))
        }
    })
}

fn context_scope(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let at = dice.below(64);
    let (what, entered) = match dice.below(4) {
        0 => ("enter_empty", AsyncContextScope::enter_empty()),
        1 => ("enter_inherited", AsyncContextScope::enter_inherited()),
        _ => {
            // Mostly the innermost.
            let last = world.scopes.all.len().checked_sub(1)?;
            let (name, scope) = world.scopes.take(if dice.often(3) { last } else { at })?;
            let left = scope.leave().map_err(|(_, error)| error);
            return Some((format!("leave {name}"), shown(world, left)));
        }
    };
    Some((what.into(), entered.map(|scope| world.scopes.add(scope))))
}

// Error contexts.

fn error_new(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let message = words(dice);
    let made = Errors::error_context_new(&message, ErrorSeverity::Warning);
    Some((format!("error_new {message}"), made.map(|error| world.errors.add(error))))
}

fn error_detail(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, error) = world.errors.pick(dice.below(64))?;
    let (key, value) = (key(dice), value(dice));
    let (what, result) = match dice.below(6) {
        0 => ("code", Errors::error_context_set_code(*error, 3).map(|()| None)),
        1 => ("severity", Errors::error_context_set_severity(*error, ErrorSeverity::Critical).map(|()| None)),
        2 => {
            let file = dice.often(3).then(|| words(dice));
            ("frame", Errors::error_context_add_stack_frame(*error, key, file, Some(1), None).map(|()| None))
        }
        3 => ("remove", Errors::error_context_remove_metadata(*error, key)),
        _ => ("metadata", Errors::error_context_set_metadata(*error, key, value)),
    };
    Some((format!("error_{what} {name} {key}"), shown(world, result)))
}

fn error_cause(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, error) = world.errors.pick(dice.below(64)).map(|(name, error)| (name, *error))?;
    let (cause_name, cause) = world.errors.pick(dice.below(64)).map(|(name, error)| (name, *error))?;
    match dice.below(4) {
        0 => Some((
            format!("error_no_cause {name}"),
            shown(world, Errors::error_context_set_cause(error, None)),
        )),
        1 => {
            let wrapped = helpers::wrap(error, "outer", ErrorSeverity::Info);
            Some((format!("error_wrap {name}"), wrapped.map(|outer| world.errors.add(outer))))
        }
        _ => {
            let set = Errors::error_context_set_cause(error, Some(cause));
            Some((format!("error_cause {name} {cause_name}"), shown(world, set)))
        }
    }
}

fn error_drop(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let (name, error) = world.errors.pick(dice.below(64))?;
    Some((format!("error_drop {name}"), shown(world, Errors::error_context_drop(*error))))
}

// Lists.

fn list(world: &mut World, dice: &mut Dice) -> Option<(String, Result<String, Error>)> {
    let length = dice.below(20) as u32;
    let list = match dice.below(3) {
        0 => fixed_list_utils::zero_filled(ValueType::Char, length),
        1 => fixed_list_utils::from_range(-3, length as i32 - 3),
        _ => {
            let items: Vec<_> = (0..length).map(|_| value(dice)).collect();
            FixedLengthList::from_slice(FixedLengthListType::new(ValueType::String, length), &items)
        }
    };
    Some((format!("list {length}"), shown(world, list)))
}
