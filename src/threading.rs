//! Threads of the host: guests' functions that run side by side, each until it blocks.
//!
//! A thread is a task of the host ([`task`]) that calls a function of the engine registered with the ambient store: the function begins when the
//! store is next driven, and not before. All that holds for tasks holds for threads: [`HostThreadId::task`] gives metadata, the state, the
//! context, the cancellation token. What they have beside that:
//! * **a place to begin**: a function of a module ([`FunctionReference`]) or an element of a table, of numbers alone;
//! * **a priority**, 0 to 7 and 4 where none is said: of the threads that are ready, those of the highest run first, and those of one priority take turns.
//!   They take turns with all that is ready beside them, so that no priority starves a guest's own threads;
//! * **a stack**: how many bytes it asks for the engine is told when the function begins ([`own::stack_bytes`](crate::ambient::own::stack_bytes)), and
//!   what it gives is its affair; more than it ever gives is refused at once;
//! * **a parent**, if it is said which: [`cancel_child_threads`](AdvancedThreadingBuiltins::cancel_child_threads) cancels the children of one, of which
//!   one that has not begun is removed, and any other is asked;
//! * **local values**, each with a destructor if it has one. When the thread ends, however it ends, they are destroyed, the one that was set last first,
//!   before anybody is told that it has ended. The host's destructors run exactly once. A guest's run once the function has returned or was cancelled; where
//!   the instance trapped nothing of it runs any more, and they are counted
//!   ([`lost_destructors`](AdvancedThreadingBuiltins::lost_destructors)). They run where this module or `task` drives the store.
//!
//! A thread enters its instance as one does that the guest makes itself: whatever the instance's backpressure, and without its exclusive lock. So its function
//! uses no stack in linear memory that other code of the instance uses at the same time. A synchronous call that waits runs none of them in between.

use crate::ambient::text::{check_text, keep};
use crate::ambient::{self, AsText, ComponentValue, FunctionAt, Seq, Text, Tier, ValueType};
use crate::error::{Error, Resource};
pub use crate::id::HostThreadId;
use crate::id::LiftId;
use crate::state::Priority;
use crate::storage::Blank;
use crate::store::Store;
use crate::task::{self, Begin, Destructor, Flat, Local, TaskBuiltins, TaskOutcome, TaskState};
use core::time::Duration;

/// A type of core wasm that threads take and give.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[allow(missing_docs, reason = "each is the type of that name")]
#[non_exhaustive]
pub enum ThreadValueType {
    I32,
    I64,
    F32,
    F64,
}

impl ThreadValueType {
    /// What a number, a bool or a char is in core wasm.
    pub const fn of(ty: ValueType) -> Option<Self> {
        Some(match ty {
            ValueType::S64 | ValueType::U64 => Self::I64,
            ValueType::F32 => Self::F32,
            ValueType::F64 => Self::F64,
            ValueType::String | ValueType::ErrorContext | ValueType::Defined(_) => return None,
            _ => Self::I32,
        })
    }
}

impl Blank for ThreadValueType {
    const BLANK: Self = Self::I32;
}

/// What a thread's function takes and gives.
#[derive(Clone, PartialEq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FunctionSignature {
    /// Its parameters.
    pub params: Seq<ThreadValueType>,
    /// Its results: none, or one.
    pub results: Seq<ThreadValueType>,
}

/// A function of a module, as whoever spawns a thread knows it.
#[derive(Clone, PartialEq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct FunctionReference {
    name: Text,
    signature: FunctionSignature,
    module_index: u32,
    function_index: u32,
}

impl FunctionReference {
    /// The function at an index of a module, as the engine numbers these. The name is for people; one that is longer than the limit is
    /// refused where the reference is used: `Capacity(TextBytes)`. The signature is checked there, too.
    pub fn new(
        name: impl AsText,
        signature: FunctionSignature,
        module_index: u32,
        function_index: u32,
    ) -> Self {
        Self { name: keep(&name), signature, module_index, function_index }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The signature.
    pub fn signature(&self) -> &FunctionSignature {
        &self.signature
    }

    fn at(&self) -> FunctionAt {
        FunctionAt::Index { module: self.module_index, function: self.function_index }
    }
}

/// How a thread is spawned.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct ThreadSpawnConfig {
    /// Bytes of stack to ask the engine for, at most [`ambient::max_stack_bytes`]; `None` for as many as it gives. An engine whose threads
    /// all have one size, as wasmi's, holds it to that limit and no more.
    pub stack_size: Option<u32>,
    /// 0 to 7, of which 7 runs first; `None` for 4.
    pub priority: Option<u8>,
}

impl ThreadSpawnConfig {
    /// The priority where none is said.
    pub const DEFAULT_PRIORITY: u8 = 4;

    /// How a thread begins at a place.
    fn begin(&self, at: FunctionAt) -> Result<Begin, Error> {
        let priority = Priority::new(self.priority.unwrap_or(Self::DEFAULT_PRIORITY));
        let priority = priority.ok_or(Error::Misuse("a thread's priority is 0 to 7"))?;
        let most = ambient::max_stack_bytes()?;
        if self.stack_size.unwrap_or(0) > most {
            return Err(Error::limit_reached(Resource::StackBytes, most as usize));
        }
        Ok(Begin { at, priority, stack: self.stack_size })
    }
}

/// The threads of the host.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AdvancedThreadingBuiltins;

impl AdvancedThreadingBuiltins {
    /// Sets the ambient store up, which the first use does too. What is there stays.
    ///
    /// # Errors
    /// As [`ambient::core`].
    pub fn initialize() -> Result<(), Error> {
        ambient::core(|_| ())
    }

    /// [`Self::thread_spawn_ref_with_args`] with the zeros of the parameters' types.
    ///
    /// # Errors
    /// As there.
    pub fn thread_spawn_ref(
        function: FunctionReference,
        config: ThreadSpawnConfig,
        parent: Option<HostThreadId>,
    ) -> Result<HostThreadId, Error> {
        Self::thread_spawn_ref_with_args(function, config, parent, &[])
    }

    /// Spawns a thread that will call a function, in a snapshot of the current context. Parameters without an argument get the zero of their type. O(1), but for
    /// how the engine finds its functions.
    ///
    /// # Errors
    /// `Misuse` where no engine is registered, it knows no such function or one of another signature, the arguments are not of its types, the priority is
    /// above 7, the parent was freed, or while the store is driven. `Capacity(HostTasks | Tasks | Threads | ThreadIndices | StackBytes | TextBytes)`.
    /// `Trap(CannotEnter)` where the instance has trapped.
    pub fn thread_spawn_ref_with_args(
        function: FunctionReference,
        config: ThreadSpawnConfig,
        parent: Option<HostThreadId>,
        args: &[ComponentValue],
    ) -> Result<HostThreadId, Error> {
        let begin = config.begin(function.at())?;
        check_text(&function.name, ambient::limits()?.text_bytes)?;
        let flatten = |store: &Store<Tier>, at| flatten(store, at, Some(&function.signature), args);
        task::spawn(begin, parent.map(HostThreadId::task), flatten).map(HostThreadId)
    }

    /// [`Self::thread_spawn_indirect_with_args`] with the zeros of the parameters' types.
    ///
    /// # Errors
    /// As [`Self::thread_spawn_ref_with_args`].
    pub fn thread_spawn_indirect(
        table_index: u32,
        function_index: u32,
        config: ThreadSpawnConfig,
        parent: Option<HostThreadId>,
    ) -> Result<HostThreadId, Error> {
        Self::thread_spawn_indirect_with_args(table_index, function_index, config, parent, &[])
    }

    /// Spawns a thread that will call an element of a table, as [`Self::thread_spawn_ref_with_args`] does with a function of a module.
    ///
    /// # Errors
    /// As there.
    pub fn thread_spawn_indirect_with_args(
        table_index: u32,
        function_index: u32,
        config: ThreadSpawnConfig,
        parent: Option<HostThreadId>,
        args: &[ComponentValue],
    ) -> Result<HostThreadId, Error> {
        let at = FunctionAt::Table { table: table_index, index: function_index };
        let flatten = |store: &Store<Tier>, at| flatten(store, at, None, args);
        task::spawn(config.begin(at)?, parent.map(HostThreadId::task), flatten).map(HostThreadId)
    }

    /// Drives the store until a thread has ended and its values are destroyed: its result, that it was cancelled, or its trap. It may be joined again until it
    /// is freed.
    ///
    /// # Errors
    /// As [`TaskBuiltins::task_wait`].
    pub fn thread_join(thread: HostThreadId) -> Result<TaskOutcome, Error> {
        TaskBuiltins::task_wait(thread.0)
    }

    /// [`Self::thread_join`] until a time of [`ambient::now`]: `None` where the thread has not ended by then.
    ///
    /// # Errors
    /// As [`TaskBuiltins::task_wait_until`].
    pub fn thread_join_until(thread: HostThreadId, deadline: Duration) -> Result<Option<TaskOutcome>, Error> {
        TaskBuiltins::task_wait_until(thread.0, deadline)
    }

    /// Where a thread is: pending until its function begins, and running until its values are destroyed. O(1).
    ///
    /// # Errors
    /// `Misuse` where it was freed.
    pub fn thread_state(thread: HostThreadId) -> Result<TaskState, Error> {
        TaskBuiltins::task_state(thread.0)
    }

    /// Cancels a thread: one that has not begun is removed, and any other is asked; one that has ended stays as it is.
    ///
    /// # Errors
    /// As [`TaskBuiltins::task_cancel`].
    pub fn thread_cancel(thread: HostThreadId) -> Result<(), Error> {
        TaskBuiltins::task_cancel(thread.0)
    }

    /// Cancels all children of a thread, and not theirs; how many it was that were removed or asked. Of those whose function is over, and whose values
    /// are perhaps being destroyed, there is nothing to cancel. O(children).
    ///
    /// # Errors
    /// `Misuse` where the parent was freed; as [`TaskBuiltins::task_cancel`].
    pub fn cancel_child_threads(parent: HostThreadId) -> Result<u32, Error> {
        let (mut next, mut count) = (Self::child(parent, None)?, 0u32);
        while let Some(child) = next {
            next = Self::child(parent, next)?;
            if ambient::host(|host| host.task.is_live(child.0))? {
                count = count.saturating_add(1);
                Self::thread_cancel(child)?;
            }
        }
        Ok(count)
    }

    /// Who was said to be a thread's parent; `None` where nobody was, or it was freed. O(1).
    ///
    /// # Errors
    /// `Misuse` where the thread was freed.
    pub fn thread_parent(thread: HostThreadId) -> Result<Option<HostThreadId>, Error> {
        Ok(ambient::host(|host| host.task.parent(thread.0))??.map(HostThreadId))
    }

    /// The first child of a thread that is not freed, or the one after another child of it, in the order in which they were spawned. O(1).
    ///
    /// # Errors
    /// `Misuse` where the parent was freed, or the other is no child of it.
    pub fn child(parent: HostThreadId, after: Option<HostThreadId>) -> Result<Option<HostThreadId>, Error> {
        if let Some(after) = after
            && Self::thread_parent(after)? != Some(parent)
        {
            return Err(Error::Misuse("the thread is no child of this parent"));
        }
        let after = after.map(HostThreadId::task);
        Ok(ambient::host(|host| host.task.child(parent.0, after))??.map(HostThreadId))
    }

    /// The thread whose code runs, as host functions find it that it calls; `None` where none of the host's does. O(1).
    ///
    /// # Errors
    /// `Misuse` where the host's state is in use.
    pub fn current_thread() -> Result<Option<HostThreadId>, Error> {
        ambient::host(|host| {
            host.task.running.filter(|id| host.task.thread_at(*id).is_ok()).map(HostThreadId)
        })
    }

    /// Sets a value that is local to a thread; the one that the key had, whose destructor is not run. The destructor, if one is given, is a function of the
    /// thread's module, or for a thread that was spawned by a table, an element of that table. It takes up to two numbers: the key, an `i32` in core wasm, and
    /// the value, of its type there, or 0 where it is no number. O(values of the thread).
    ///
    /// # Errors
    /// `Trap(TaskResolved)` where the thread has ended; `Capacity(ThreadLocals | TextBytes | ListItems)`; `Misuse` where there is no such function, or it takes something else,
    /// or, with a destructor, while the store is driven.
    pub fn thread_local_set(
        thread: HostThreadId,
        key: u32,
        value: ComponentValue,
        destructor: Option<u32>,
    ) -> Result<Option<ComponentValue>, Error> {
        let destructor = match destructor {
            Some(index) => Destructor::Guest(destructor_of(thread, index, &value)?),
            None => Destructor::None,
        };
        set_local(thread, key, Local { value, destructor })
    }

    /// [`Self::thread_local_set`] with a destructor of the host's, which gets the key and the value. It runs in the context of the thread, while nobody drives the
    /// store, so it may drive it.
    ///
    /// # Errors
    /// As there.
    pub fn thread_local_set_with(
        thread: HostThreadId,
        key: u32,
        value: ComponentValue,
        destructor: fn(u32, ComponentValue),
    ) -> Result<Option<ComponentValue>, Error> {
        set_local(thread, key, Local { value, destructor: Destructor::Host(destructor) })
    }

    /// A value that is local to a thread. O(values of the thread).
    ///
    /// # Errors
    /// `Misuse` where the thread was freed.
    pub fn thread_local_get(thread: HostThreadId, key: u32) -> Result<Option<ComponentValue>, Error> {
        ambient::host(|host| host.task.local(thread.0, key))?
    }

    /// Takes a value back that is local to a thread: its destructor is not run. O(values of the thread).
    ///
    /// # Errors
    /// `Misuse` where the thread was freed.
    pub fn thread_local_remove(thread: HostThreadId, key: u32) -> Result<Option<ComponentValue>, Error> {
        ambient::host(|host| host.task.remove_local(thread.0, key))?
    }

    /// How many destructors of the guest did not run to their end, since the instance trapped. O(1).
    ///
    /// # Errors
    /// `Misuse` where the thread was freed.
    pub fn lost_destructors(thread: HostThreadId) -> Result<u32, Error> {
        ambient::host(|host| host.task.lost_destructors(thread.0))?
    }
}

fn set_local(thread: HostThreadId, key: u32, local: Local) -> Result<Option<ComponentValue>, Error> {
    ambient::host(|host| {
        let limits = host.limits();
        local.value.check(&limits)?;
        host.task.set_local(thread.0, key, local, &limits)
    })?
}

/// What a number is in core wasm; a bool or a char is none, since not all that core wasm has is one.
fn number(ty: ValueType) -> Option<ThreadValueType> {
    ThreadValueType::of(ty).filter(|_| !matches!(ty, ValueType::Bool | ValueType::Char))
}

fn destructor_of(thread: HostThreadId, index: u32, value: &ComponentValue) -> Result<LiftId, Error> {
    const TAKES: Error =
        Error::Misuse("a destructor takes up to two numbers: the key, an i32, and the value, of its type");
    let at = match ambient::host(|host| host.task.thread_at(thread.0))?? {
        FunctionAt::Index { module, .. } => FunctionAt::Index { module, function: index },
        FunctionAt::Table { table, .. } => FunctionAt::Table { table, index },
    };
    let function = ambient::function(at)?;
    ambient::core(|core| {
        let store = &core.store;
        if store.options(store.lift(function)?.options)?.is_async {
            return Err(Error::Misuse("a destructor is a guest's function that is lifted without `async`"));
        }
        let (params, _) = task::types(store, function)?;
        let param = |index| store.types().item(params, index).flatten().map(number);
        let takes_key = param(0).is_none_or(|param| param == Some(ThreadValueType::I32));
        let value = value.value_type().and_then(number);
        let takes_value = param(1).is_none_or(|param| param.is_some() && (value.is_none() || value == param));
        if params.len() > 2 || !takes_key || !takes_value {
            return Err(TAKES);
        }
        Ok(function)
    })?
}

/// The flat arguments of a thread, and the type of its result.
fn flatten(
    store: &Store<Tier>,
    function: LiftId,
    signature: Option<&FunctionSignature>,
    args: &[ComponentValue],
) -> Result<(Flat, Option<ValueType>), Error> {
    const NUMBERS: Error = Error::Misuse("a thread's function takes numbers, and gives one or none");
    const SIGNATURE: Error = Error::Misuse("the function has another signature than the reference says");
    let (params, result) = task::types(store, function)?;
    let gives = result.map(|ty| ThreadValueType::of(ty).ok_or(NUMBERS)).transpose()?;
    if let Some(signature) = signature
        && (signature.params.len() != params.len() as usize || signature.results.iter().copied().ne(gives))
    {
        return Err(SIGNATURE);
    }
    if args.len() > params.len() as usize {
        return Err(Error::Misuse("more arguments than the thread's function takes"));
    }
    let mut flat = Flat::new();
    for index in 0..params.len() {
        let place = index as usize;
        let ty = store.types().item(params, index).flatten().and_then(ThreadValueType::of).ok_or(NUMBERS)?;
        if signature.is_some_and(|signature| signature.params.get(place) != Some(&ty)) {
            return Err(SIGNATURE);
        }
        let bits = match args.get(place) {
            None => Some(0),
            Some(arg) => {
                let fits = arg.value_type().and_then(ThreadValueType::of) == Some(ty);
                arg.to_bits().filter(|_| fits)
            }
        };
        flat.push(bits.ok_or(Error::Misuse("an argument is not of its parameter's type"))?)?;
    }
    Ok((flat, result))
}
