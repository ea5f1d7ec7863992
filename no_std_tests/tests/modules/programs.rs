//! The roles of the ambient store, and programs that fill them: each makes one thing again and again, and says what that takes.

use crate::common::moves::assert_unchanged;
use crate::common::trace::*;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use canon_async::Resource::{
    self, ContextScopes, ContextValues, ErrorContexts, ErrorValues, Functions, Handles, HostBytes, HostTasks,
    HostWaitables, Instances, Lends, ListItems, QueuedCalls, ResourceTypes, Signals, StackFrames, Streams,
    TaskMetadata, TextBytes, ThreadIndices, ThreadLocals, TypeItems, Types, WaitableSets, Waitables,
};
use canon_async::abi::types::{NewType, ResourceType};
use canon_async::ambient::{self, FunctionAt, Limits, Reaction, Signal};
use canon_async::canon::Builtin;
use canon_async::id::ResourceId;
use canon_async::prelude::*;
use canon_async::run;
use canon_async::state::{Lower, Options};

/// Where a role's limit is.
pub type Of = fn(&mut Limits) -> &mut u32;

/// Every role, and the variable that sets its capacity: but the depth, which ends in a trap, and the bytes of a message, which is cut.
pub const ROLES: [(Resource, &str, Of); 28] = [
    (Instances, "INSTANCES", |limits| &mut limits.core.instances),
    (Handles, "HANDLES", |limits| &mut limits.core.handles),
    (ThreadIndices, "THREAD_INDICES", |limits| &mut limits.core.thread_indices),
    (Resource::Tasks, "TASKS", |limits| &mut limits.core.tasks),
    (Resource::Threads, "THREADS", |limits| &mut limits.core.threads),
    (Waitables, "WAITABLES", |limits| &mut limits.core.waitables),
    (WaitableSets, "SETS", |limits| &mut limits.core.sets),
    (Streams, "STREAMS", |limits| &mut limits.core.streams),
    (ErrorContexts, "ERROR_CONTEXTS", |limits| &mut limits.core.error_contexts),
    (QueuedCalls, "QUEUED", |limits| &mut limits.core.queued),
    (Lends, "LENDS", |limits| &mut limits.core.lends),
    (Types, "TYPES", |limits| &mut limits.core.types),
    (TypeItems, "TYPE_ITEMS", |limits| &mut limits.core.type_items),
    (ResourceTypes, "RESOURCES", |limits| &mut limits.core.resources),
    (Functions, "FUNCTIONS", |limits| &mut limits.core.functions),
    (TextBytes, "TEXT_BYTES", |limits| &mut limits.text_bytes),
    (ListItems, "LIST_ITEMS", |limits| &mut limits.list_items),
    (HostBytes, "HOST_BYTES", |limits| &mut limits.host_bytes),
    (Resource::Contexts, "CONTEXTS", |limits| &mut limits.contexts),
    (ContextValues, "CONTEXT_VALUES", |limits| &mut limits.context_values),
    (ContextScopes, "CONTEXT_SCOPES", |limits| &mut limits.context_scopes),
    (HostWaitables, "HOST_WAITABLES", |limits| &mut limits.host_waitables),
    (StackFrames, "STACK_FRAMES", |limits| &mut limits.stack_frames),
    (ErrorValues, "ERROR_VALUES", |limits| &mut limits.error_values),
    (HostTasks, "HOST_TASKS", |limits| &mut limits.host_tasks),
    (TaskMetadata, "TASK_METADATA", |limits| &mut limits.task_metadata),
    (ThreadLocals, "THREAD_LOCALS", |limits| &mut limits.thread_locals),
    (Signals, "SIGNALS", |limits| &mut limits.signals),
];

fn of(limits: &Limits, what: Resource) -> u32 {
    let (.., role) = ROLES.iter().find(|(role, ..)| *role == what).expect("a role");
    *role(&mut limits.clone())
}

/// So much of a role.
pub type Amounts = &'static [(Resource, u32)];

/// Makes the thing of this number, or takes it back.
type Act = fn(&mut World, u32) -> Result<(), Error>;

/// Something that is made again and again until there is no room.
#[derive(Clone, Copy)]
pub struct Program {
    pub name: &'static str,
    /// What is there before the first, beside what is in every world, and what was there in between.
    base: Amounts,
    passing: Amounts,
    /// What each takes, and what the first does.
    pub each: Amounts,
    first: Amounts,
    begin: fn(&mut World) -> Result<(), Error>,
    make: Act,
    /// Takes one back, where that can be done.
    undo: Option<Act>,
}

/// A world: the host, its two sets of options, and a type.
const WORLD: Amounts = &[(Instances, 1), (Functions, 2), (Types, 1)];

impl Program {
    /// How much of a role so many take.
    pub fn needs(&self, what: Resource, count: u32) -> u32 {
        let sum =
            |amounts: Amounts| amounts.iter().filter(|(of, _)| *of == what).map(|(_, n)| n).sum::<u32>();
        let first = if count > 0 { sum(self.first) } else { 0 };
        let before = sum(WORLD) + sum(self.base);
        (before + sum(self.passing)).max(before + first + count * sum(self.each))
    }

    /// Of what there is too little for so many.
    pub fn short(&self, limits: &Limits, count: u32) -> Vec<Resource> {
        let roles = ROLES.iter().map(|(what, ..)| *what);
        roles.filter(|what| self.needs(*what, count) > of(limits, *what)).collect()
    }

    /// Plays it with these limits: how many there was room for.
    pub fn play(&self, limits: Limits) -> Result<u32, Error> {
        let mut world = match World::new(limits)
            .and_then(|mut world| (self.begin)(&mut world).map(|()| world))
        {
            Ok(world) => world,
            Err(Error::Capacity(what)) if self.short(&limits, 0).contains(&what.resource()) => return Ok(0),
            other => return other.map(|_| 0),
        };
        assert_eq!(self.short(&limits, 0), [], "{}: there is room for none", self.name);
        let mut made = 0;
        loop {
            let short = self.short(&limits, made + 1);
            let before = if short.is_empty() { String::new() } else { world.snapshot() };
            let result = (self.make)(&mut world, made);
            match result {
                Ok(()) => assert_eq!(short, [], "{} {made}: there is room for more", self.name),
                Err(Error::Capacity(what)) if short.contains(&what.resource()) => {
                    // Nothing has changed, and it is the same again.
                    assert_unchanged(&before, &world.snapshot(), &self.name);
                    assert_eq!((self.make)(&mut world, made), result, "{}", self.name);
                    assert_unchanged(&before, &world.snapshot(), &self.name);
                    break;
                }
                Err(error) => panic!("{} {made}: {error:?}, with too little of {short:?}", self.name),
            }
            made += 1;
            assert!(made < MOST, "{}: so many in {limits:?}", self.name);
        }
        // One less, and there is room for one.
        if let Some(undo) = self.undo.filter(|_| made > 0) {
            for _ in 0..2 {
                undo(&mut world, made - 1)?;
                (self.make)(&mut world, made - 1)?;
                assert!((self.make)(&mut world, made).is_err(), "{}", self.name);
            }
        }
        Ok(made)
    }
}

/// More than any capacity that these tests are built with has room for.
const MOST: u32 = 400;

static SIGNALS: [Signal; MOST as usize] = [const { Signal::new() }; MOST as usize];

const MADE: &str = "it was made";

fn key(number: u32) -> String {
    format!("{number:03}")
}

fn last<T: Copy>(named: &mut Named<T>) -> T {
    named.all.pop().expect(MADE).1
}

fn start(world: &mut World) -> Result<(), Error> {
    world.tasks.add(Tasks::task_start()?);
    Ok(())
}

fn set(world: &mut World) -> Result<(), Error> {
    world.sets.add(Sets::waitable_set_new()?);
    Ok(())
}

fn error(world: &mut World) -> Result<(), Error> {
    world.errors.add(Errors::error_context_new("", ErrorSeverity::Info)?);
    Ok(())
}

fn spawn(world: &mut World) -> Result<(), Error> {
    world.threads.add(Threads::thread_spawn_indirect(0, YIELDS, ThreadSpawnConfig::default(), None)?);
    Ok(())
}

fn builtin(builtin: Builtin, args: &[u64]) -> Result<u64, Error> {
    ambient::drive(|e| run::builtin(e, builtin, args))?
}

fn intern(ty: NewType<'_>) -> Result<(), Error> {
    ambient::core(|core| core.store.types_mut().intern(ty, 0).map(drop))?
}

const KINDS: [ValueType; 12] = [
    ValueType::Bool,
    ValueType::S8,
    ValueType::U8,
    ValueType::S16,
    ValueType::U16,
    ValueType::S32,
    ValueType::U32,
    ValueType::S64,
    ValueType::U64,
    ValueType::F32,
    ValueType::F64,
    ValueType::Char,
];

const RESOURCE: ResourceId = ResourceId::from_index(0);

fn define_resource(_: &mut World) -> Result<(), Error> {
    ambient::core(|core| {
        let instance = core.host()?.instance;
        core.store.types_mut().define_resource(ResourceType { instance, dtor: None }).map(drop)
    })?
}

/// A function that the host calls as `canon lower` with `async` makes it.
fn lower(world: &mut World, function: u32) -> Result<(), Error> {
    let callee = ambient::function(FunctionAt::Index { module: 0, function })?;
    let lower = ambient::core(|core| {
        let options = core.host()?.async_options;
        core.store.add_lower(Lower { callee, options })
    })??;
    world.lowers.push((0, lower, 0));
    Ok(())
}

/// Calls it; it does not return.
fn call(world: &mut World, args: &[u64]) -> Result<(), Error> {
    let answer = builtin(Builtin::Lower(world.lowers[0].1), args)?;
    world.handles.push(Subtask::from_call(answer).expect("it is under way").handle.into());
    Ok(())
}

/// A module that lets nobody in.
fn close(world: &mut World) -> Result<(), Error> {
    let close = ambient::function(FunctionAt::Index { module: 0, function: CLOSES })?;
    lower(world, KEEPS_NUMBER)?;
    let task = Tasks::task_call(close, &[])?;
    Tasks::task_wait(task)?;
    // It takes no room from here on.
    Tasks::cleanup_finished_tasks().map(drop)
}

/// A resource of the host's, and a function that borrows it.
fn lend(world: &mut World) -> Result<(), Error> {
    define_resource(world)?;
    intern(NewType::Borrow(RESOURCE))?;
    lower(world, KEEPS_BORROW)?;
    world.lent = builtin(Builtin::ResourceNew(RESOURCE), &[5])?;
    Ok(())
}

/// What most programs have nothing of.
const NONE: Program = Program {
    name: "",
    base: &[],
    passing: &[],
    each: &[],
    first: &[],
    begin: |_| Ok(()),
    make: |_, _| Ok(()),
    undo: None,
};

pub const PROGRAMS: &[Program] = &[
    Program {
        name: "instances",
        each: &[(Instances, 1)],
        make: |_, _| ambient::core(|core| core.store.add_instance(None).map(drop))?,
        ..NONE
    },
    Program {
        name: "handles",
        base: &[(ResourceTypes, 1)],
        each: &[(Handles, 1)],
        begin: define_resource,
        make: |world, number| {
            let handle = builtin(Builtin::ResourceNew(RESOURCE), &[number.into()])?;
            world.handles.push(handle);
            Ok(())
        },
        undo: Some(|world, _| {
            builtin(Builtin::ResourceDrop(RESOURCE), &[world.handles.pop().expect(MADE)]).map(drop)
        }),
        ..NONE
    },
    Program {
        name: "threads",
        base: &[(Instances, 1), (Functions, 1), (Types, 1)],
        each: &[(Resource::Tasks, 1), (Resource::Threads, 1), (ThreadIndices, 1), (HostTasks, 1)],
        begin: |_| ambient::function(FunctionAt::Index { module: 0, function: YIELDS }).map(drop),
        make: |world, _| spawn(world),
        undo: Some(|world, _| Threads::thread_cancel(last(&mut world.threads))),
        ..NONE
    },
    Program {
        name: "tasks",
        each: &[(Resource::Tasks, 1), (HostTasks, 1)],
        make: |world, _| start(world),
        undo: Some(|world, _| Tasks::task_cancel(last(&mut world.tasks))),
        ..NONE
    },
    Program {
        name: "sets",
        each: &[(WaitableSets, 1), (Handles, 1)],
        make: |world, _| set(world),
        undo: Some(|world, _| Sets::waitable_set_drop(last(&mut world.sets))),
        ..NONE
    },
    Program {
        name: "futures",
        base: &[(WaitableSets, 1), (Handles, 1)],
        each: &[(Waitables, 2), (Streams, 1), (Handles, 2), (HostWaitables, 1)],
        begin: set,
        make: |world, _| {
            let (future, set) = (FutureHandle::new(), world.sets.all[0].1);
            Sets::waitable_set_add(set, Waitable::Future(future.into()))?;
            world.futures.add(future);
            Ok(())
        },
        undo: Some(|world, _| last(&mut world.futures).close()),
        ..NONE
    },
    Program {
        name: "error contexts",
        each: &[(ErrorContexts, 1), (Handles, 1)],
        make: |world, _| error(world),
        undo: Some(|world, _| Errors::error_context_drop(last(&mut world.errors))),
        ..NONE
    },
    Program {
        name: "queued calls",
        base: &[(Instances, 1), (Functions, 2), (Types, 2), (TypeItems, 1)],
        passing: &[(Resource::Tasks, 1), (Resource::Threads, 1), (HostTasks, 1)],
        each: &[(QueuedCalls, 1), (Waitables, 1), (Handles, 1), (Resource::Tasks, 1), (Resource::Threads, 1)],
        begin: close,
        make: |world, _| call(world, &[1]),
        undo: Some(|world, _| {
            let subtask = world.handles.pop().expect(MADE);
            builtin(Builtin::SubtaskCancel { is_async: true }, &[subtask])?;
            builtin(Builtin::SubtaskDrop, &[subtask]).map(drop)
        }),
        ..NONE
    },
    Program {
        name: "lends",
        base: &[(Instances, 1), (Functions, 1), (Types, 2), (TypeItems, 1), (ResourceTypes, 1), (Handles, 1)],
        each: &[
            (Lends, 1),
            (Waitables, 1),
            (Handles, 1),
            (Resource::Tasks, 1),
            (Resource::Threads, 1),
            (ThreadIndices, 1),
        ],
        begin: lend,
        make: |world, _| call(world, &[world.lent]),
        ..NONE
    },
    Program {
        name: "types",
        each: &[(Types, 1)],
        make: |_, number| intern(NewType::FixedList(ValueType::U8, number + 1)),
        ..NONE
    },
    Program {
        name: "types with fields",
        each: &[(Types, 1), (TypeItems, 2)],
        make: |_, number| {
            let kind = |at: u32| Some(KINDS[at as usize % KINDS.len()]);
            intern(NewType::Record(&[kind(number / KINDS.len() as u32), kind(number)]))
        },
        ..NONE
    },
    Program {
        name: "resource types",
        each: &[(ResourceTypes, 1)],
        make: |world, _| define_resource(world),
        ..NONE
    },
    Program {
        name: "options",
        each: &[(Functions, 1)],
        make: |_, _| {
            ambient::core(|core| {
                let options = Options::new(core.host()?.instance);
                core.store.add_options(options).map(drop)
            })?
        },
        ..NONE
    },
    Program {
        name: "text",
        each: &[(TextBytes, 1)],
        first: &[(Resource::Contexts, 1), (ContextValues, 1)],
        make: |_, number| {
            let key = || ContextKey::new("x".repeat(number as usize + 1));
            Contexts::set_context_value(key(), true.into())?;
            Contexts::remove_context_value(&key()).map(drop)
        },
        ..NONE
    },
    Program {
        name: "list",
        each: &[(ListItems, 1)],
        make: |_, number| fixed_list_utils::zero_filled(ValueType::U8, number + 1).map(drop),
        ..NONE
    },
    Program {
        name: "memory",
        each: &[(HostBytes, 24)],
        make: |world, _| {
            let block = ambient::core(|core| core.memory.alloc(16))??;
            world.handles.push(block.into());
            Ok(())
        },
        undo: Some(|world, _| {
            ambient::core(|core| core.memory.free(world.handles.pop().expect(MADE) as u32))?
        }),
        ..NONE
    },
    Program {
        name: "contexts",
        each: &[(Resource::Contexts, 1), (ContextValues, 1)],
        first: &[(TextBytes, 1)],
        make: |world, _| {
            let mut context = AsyncContext::new();
            context.set(ContextKey::new("a"), true.into())?;
            world.contexts.add(context);
            Ok(())
        },
        undo: Some(|world, _| {
            drop(world.contexts.all.pop().expect(MADE));
            Ok(())
        }),
        ..NONE
    },
    Program {
        name: "values",
        each: &[(ContextValues, 1)],
        first: &[(Resource::Contexts, 1), (TextBytes, 3)],
        make: |_, number| Contexts::set_context_value(ContextKey::new(key(number)), true.into()).map(drop),
        undo: Some(|_, number| Contexts::remove_context_value(&ContextKey::new(key(number))).map(drop)),
        ..NONE
    },
    Program {
        name: "scopes",
        each: &[(ContextScopes, 1)],
        make: |world, _| {
            world.scopes.add(AsyncContextScope::enter_inherited()?);
            Ok(())
        },
        undo: Some(|world, _| {
            drop(world.scopes.all.pop().expect(MADE));
            Ok(())
        }),
        ..NONE
    },
    Program {
        name: "frames",
        base: &[(ErrorContexts, 1), (Handles, 1)],
        each: &[(StackFrames, 1)],
        first: &[(TextBytes, 1)],
        begin: error,
        make: |world, _| Errors::error_context_add_frame(world.errors.all[0].1, StackFrame::new("f")),
        ..NONE
    },
    Program {
        name: "metadata of errors",
        base: &[(ErrorContexts, 1), (Handles, 1)],
        each: &[(ErrorValues, 1)],
        first: &[(TextBytes, 3)],
        begin: error,
        make: |world, number| {
            Errors::error_context_set_metadata(world.errors.all[0].1, key(number), true.into()).map(drop)
        },
        undo: Some(|world, number| {
            Errors::error_context_remove_metadata(world.errors.all[0].1, key(number)).map(drop)
        }),
        ..NONE
    },
    Program {
        name: "metadata of tasks",
        base: &[(Resource::Tasks, 1), (HostTasks, 1)],
        each: &[(TaskMetadata, 1)],
        first: &[(TextBytes, 3)],
        begin: start,
        make: |world, number| {
            Tasks::set_task_metadata(world.tasks.all[0].1, key(number), true.into()).map(drop)
        },
        undo: Some(|world, number| Tasks::remove_task_metadata(world.tasks.all[0].1, key(number)).map(drop)),
        ..NONE
    },
    Program {
        name: "locals",
        base: &[
            (Instances, 1),
            (Functions, 1),
            (Types, 1),
            (Resource::Tasks, 1),
            (Resource::Threads, 1),
            (ThreadIndices, 1),
            (HostTasks, 1),
        ],
        each: &[(ThreadLocals, 1)],
        begin: spawn,
        make: |world, number| {
            Threads::thread_local_set(world.threads.all[0].1, number, true.into(), None).map(drop)
        },
        undo: Some(|world, number| Threads::thread_local_remove(world.threads.all[0].1, number).map(drop)),
        ..NONE
    },
    Program {
        name: "signals",
        each: &[(Signals, 1)],
        make: |_, number| SIGNALS[number as usize].arm(Reaction::Run(|| Ok(()))),
        undo: Some(|_, number| SIGNALS[number as usize].disarm()),
        ..NONE
    },
];
