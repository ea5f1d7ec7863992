//! What linking a plan and calling it take of a store, as a profile.
//!
//! What linking takes is known. What calls take is not: a guest may make a thousand streams in a loop. It is
//! estimated as what calls take in which each core module uses each built-in that it imports once.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Display, Formatter};

use canon_async::Limits;

use super::{Escaped, Needs, needs};
use crate::plan::{BuiltinKind, CoreItem, Export, ExportItem, Func, MAX_NESTING, Plan, Step};
use crate::types::{FuncType, TypeDef, TypeTable, ValType};

/// The bytes of messages of error contexts, where there are any.
const MESSAGE_BYTES: u32 = 64;

/// Each limit with its name, which is also that of the capacity in [`bounded!`](canon_async::bounded).
pub fn entries(limits: &Limits) -> [(&'static str, u32); 17] {
    [
        ("instances", limits.instances),
        ("handles", limits.handles),
        ("thread_indices", limits.thread_indices),
        ("tasks", limits.tasks),
        ("threads", limits.threads),
        ("waitables", limits.waitables),
        ("sets", limits.sets),
        ("streams", limits.streams),
        ("error_contexts", limits.error_contexts),
        ("message_bytes", limits.message_bytes),
        ("queued", limits.queued),
        ("lends", limits.lends),
        ("types", limits.types),
        ("type_items", limits.type_items),
        ("resources", limits.resources),
        ("functions", limits.functions),
        ("depth", limits.depth),
    ]
}

/// The limits, or capacities, that a store needs for a plan of which the host calls `calls` exports at a
/// time, at least 1.
///
/// `instances`, `types`, `type_items`, `resources` and `functions` are what linking takes at most. The others
/// are an estimate: in each call every use of a built-in, and every call of another component, is under way
/// once. O(the plan).
pub fn capacities(plan: &Plan, calls: u32) -> Limits {
    let uses = Uses::of(plan);
    let times = |count: u32| count.saturating_mul(calls.max(1));
    let all = uses.all;
    let most = |of: fn(&Held) -> u32| times(uses.instances.values().map(of).max().unwrap_or_default());
    let Needs { instances, types, type_items, functions, resources } = needs(plan);
    Limits::STORAGE
        .with_instances(instances)
        .with_types(types)
        .with_type_items(type_items)
        .with_functions(functions)
        .with_resources(resources)
        .with_handles(most(|held| held.handles))
        .with_thread_indices(most(|held| held.threads))
        .with_tasks(times(all.tasks))
        .with_threads(times(all.threads))
        .with_waitables(times(all.waitables))
        .with_sets(times(all.sets))
        .with_streams(times(all.streams))
        .with_error_contexts(times(all.error_contexts))
        .with_message_bytes(if all.error_contexts > 0 { MESSAGE_BYTES } else { 0 })
        .with_queued(times(all.tasks))
        .with_lends(times(all.lends))
        // The host calls one instance, which calls another.
        .with_depth(u32::try_from(uses.instances.len()).unwrap_or(u32::MAX).saturating_add(1))
}

/// What is held at a time.
#[derive(Clone, Copy, Default)]
struct Held {
    tasks: u32,
    threads: u32,
    waitables: u32,
    sets: u32,
    streams: u32,
    error_contexts: u32,
    lends: u32,
    handles: u32,
}

impl Held {
    fn plus(&self, other: &Self) -> Self {
        Self {
            tasks: self.tasks.saturating_add(other.tasks),
            threads: self.threads.saturating_add(other.threads),
            waitables: self.waitables.saturating_add(other.waitables),
            sets: self.sets.saturating_add(other.sets),
            streams: self.streams.saturating_add(other.streams),
            error_contexts: self.error_contexts.saturating_add(other.error_contexts),
            lends: self.lends.saturating_add(other.lends),
            handles: self.handles.saturating_add(other.handles),
        }
    }

    /// Of a task, with its thread.
    const TASK: Self = Self {
        tasks: 1,
        threads: 1,
        waitables: 0,
        sets: 0,
        streams: 0,
        error_contexts: 0,
        lends: 0,
        handles: 0,
    };
}

/// What is held while everything is used once.
struct Uses<'a> {
    plan: &'a Plan,
    passed: Passed,
    /// In each component instance.
    instances: BTreeMap<u32, Held>,
    /// In all instances.
    all: Held,
}

impl<'a> Uses<'a> {
    fn of(plan: &'a Plan) -> Self {
        let passed = Passed::of(&plan.types);
        let mut uses = Self { plan, passed, instances: BTreeMap::new(), all: Held::default() };
        for step in &plan.steps {
            let Step::InstantiateCore { instance, imports, .. } = step else { continue };
            for import in imports {
                let CoreItem::Builtin(index) = import.item else { continue };
                let Some(builtin) = plan.builtins.get(index as usize) else { continue };
                uses.builtin(*instance, &builtin.kind);
            }
        }
        uses.exports();
        uses
    }

    fn add(&mut self, instance: u32, held: Held) {
        let own = self.instances.entry(instance).or_default();
        *own = own.plus(&held);
        self.all = self.all.plus(&held);
    }

    fn builtin(&mut self, instance: u32, kind: &BuiltinKind) {
        let held = match kind {
            BuiltinKind::Lower { func, options } => return self.lower(instance, *func, *options),
            BuiltinKind::StreamNew { .. } | BuiltinKind::FutureNew { .. } => {
                Held { streams: 1, waitables: 2, handles: 2, ..Held::default() }
            }
            BuiltinKind::WaitableSetNew => Held { sets: 1, handles: 1, ..Held::default() },
            BuiltinKind::ErrorContextNew { .. } => Held { error_contexts: 1, handles: 1, ..Held::default() },
            BuiltinKind::ResourceNew { .. } => Held { handles: 1, ..Held::default() },
            BuiltinKind::ThreadNewIndirect { .. } => Held { threads: 1, ..Held::default() },
            _ => return,
        };
        self.add(instance, held);
    }

    /// A call: a subtask of the caller, and a task of the callee. Ends are counted where they are made, or as
    /// the host's: here they change hands.
    fn lower(&mut self, instance: u32, func: Func, options: u32) {
        let is_async = self.plan.options.get(options as usize).is_some_and(|options| options.is_async);
        let passed = self.passed.call(self.plan.func_type(func));
        let handles = passed.handles.saturating_add(u32::from(is_async));
        self.add(instance, Held { waitables: 1, handles, lends: passed.lends, ..Held::default() });
        match func {
            Func::Lift(lift) => {
                let callee = self.plan.lifts.get(lift as usize);
                let callee = callee.map_or(0, |lift| instance_of(self.plan, lift.options));
                self.add(callee, Held { handles: passed.handles, ..Held::TASK });
            }
            // A thread of the host, which runs while the call does.
            Func::Import(_) => self.all = self.all.plus(&Held::TASK),
        }
    }

    /// The call of an export by the host, and what the host holds meanwhile.
    fn exports(&mut self) {
        let plan = self.plan;
        let mut called: BTreeMap<u32, Held> = BTreeMap::new();
        let mut host = Held::TASK;
        let mut passes = |passed: &Held| {
            host.streams = host.streams.max(passed.waitables);
            host.waitables = host.waitables.max(passed.waitables.saturating_mul(2));
            host.lends = host.lends.max(passed.lends);
        };
        let mut exported = BTreeSet::new();
        add_exported(&plan.exports, 0, &mut exported);
        for lift in exported.into_iter().filter_map(|lift| plan.lifts.get(lift as usize)) {
            let passed = self.passed.call(plan.types.func(lift.ty));
            passes(&passed);
            let most = called.entry(instance_of(plan, lift.options)).or_insert(Held::TASK);
            most.handles = most.handles.max(passed.handles);
        }
        for func in &plan.import_funcs {
            passes(&self.passed.call(plan.types.func(func.ty)));
        }
        self.all = self.all.plus(&host);
        for (instance, held) in called {
            let own = self.instances.entry(instance).or_default();
            *own = own.plus(&held);
        }
    }
}

/// The lifted functions that the host can call.
fn add_exported(exports: &[Export], depth: u32, to: &mut BTreeSet<u32>) {
    for export in exports {
        match &export.item {
            ExportItem::Func(Func::Lift(lift)) => _ = to.insert(*lift),
            ExportItem::Instance(inner) if depth < MAX_NESTING => {
                add_exported(inner, depth.saturating_add(1), to);
            }
            _ => {}
        }
    }
}

fn instance_of(plan: &Plan, options: u32) -> u32 {
    plan.options.get(options as usize).map_or(0, |options| options.instance)
}

/// What values are to who passes or gets them; those in a list are one. A type contains only types before it.
struct Passed(Vec<Held>);

impl Passed {
    fn of(types: &TypeTable) -> Self {
        let mut passed = Self(Vec::with_capacity(types.defs.len()));
        for def in &types.defs {
            let mut held = match def {
                TypeDef::Own(_) => Held { handles: 1, ..Held::default() },
                TypeDef::Borrow(_) => Held { handles: 1, lends: 1, ..Held::default() },
                TypeDef::Stream(_) | TypeDef::Future(_) => {
                    Held { handles: 1, waitables: 1, ..Held::default() }
                }
                _ => Held::default(),
            };
            def.for_each(|ty| held = held.plus(&passed.value(ty)));
            passed.0.push(held);
        }
        passed
    }

    fn value(&self, ty: ValType) -> Held {
        match ty {
            ValType::Defined(index) => self.0.get(index as usize).copied().unwrap_or_default(),
            ValType::ErrorContext => Held { handles: 1, ..Held::default() },
            _ => Held::default(),
        }
    }

    /// The arguments and the result of a call.
    fn call(&self, ty: Option<&FuncType>) -> Held {
        let Some(ty) = ty else { return Held::default() };
        let values = ty.params.iter().map(|param| param.ty).chain(ty.result);
        values.fold(Held::default(), |held, ty| held.plus(&self.value(ty)))
    }
}

/// A profile as Rust code: `Display` is what a crate pastes. Made by [`profile`].
#[derive(Clone, Debug)]
pub struct Profile {
    capacities: Limits,
    calls: u32,
    component: Option<String>,
}

/// The profile as Rust code, for a component of this name, with the [`capacities`] for so many calls.
pub fn profile(capacities: Limits, component: Option<&str>, calls: u32) -> Profile {
    Profile { capacities, calls: calls.max(1), component: component.map(Into::into) }
}

impl Display for Profile {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let name = self.component.as_deref().unwrap_or("the component");
        let calls = self.calls;
        f.write_str("canon_async::bounded! {\n")?;
        writeln!(f, "    /// What {} needs of a store.", Escaped(name))?;
        f.write_str(
            "    ///\n    /// instances, types, type_items, resources and functions: what linking takes, at most.\n",
        )?;
        writeln!(
            f,
            "    /// The others: an estimate for {calls} {} of the host at a time, in which each use of a built-in",
            if calls == 1 { "call" } else { "calls" }
        )?;
        f.write_str(
            "    /// is under way once. The error of a capacity that is too small names it.\n    \
             /// For one component alone, give it everything: `store.set_root_limits(Limits::STORAGE)`.\n    \
             pub Profile {\n",
        )?;
        for (name, capacity) in entries(&self.capacities) {
            writeln!(f, "        {name}: {capacity},")?;
        }
        f.write_str("    }\n}\n")
    }
}
