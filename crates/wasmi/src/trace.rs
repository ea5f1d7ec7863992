//! How a [`Backtrace`] comes about: what is noted while an error passes from the guest that it came up in to
//! the host, and what the plans say of it.
//!
//! Nothing is noted of a call that does not fail. An error unwinds one call between components after the
//! other, and of each the core tells by [`Embedding::trapped`](canon_async::Embedding::trapped); before that
//! the built-in that failed and the core function that wasmi was running are known where the error passes
//! them. Names are looked up once the host gets the error.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use canon_async::canon::Builtin;
use canon_async::id::{FuncRef, InstanceId, LiftId, OptsId, ThreadId};
use canon_async::state::{Caller, InstanceKind, Point};
use canon_async::{Error, Heap, Store};
use canon_async_component::Made;
use canon_async_component::plan::{CoreItem, ModuleRef, Options, Plan, Step, cut_name};

use crate::backtrace::{Backtrace, CoreFunction, Frame, MAX_FRAMES, MAX_MESSAGES, Next, Task};
use crate::component::Component;
use crate::names;

/// What is known of a store's guests beside what the core knows, and of the error that is on its way.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    roots: Vec<Root>,
    /// Which of them is being linked.
    linking: Option<usize>,
    /// The built-in that failed last, until it is known in which thread.
    builtin: Option<Builtin>,
    /// The core function at which wasmi was entered last of those that failed, until it is known in which
    /// thread.
    entered: Option<FuncRef>,
    noted: Vec<Noted>,
    omitted: u32,
    /// Of error contexts that the innermost component held.
    messages: Vec<String>,
    /// The error that these are of, and how deep the last of them was nested.
    error: Option<Error>,
    depth: u32,
    /// A backtrace of guests that a host function called, and whose error it returned.
    inner: Option<(Error, Box<Backtrace>)>,
}

/// A component that was linked, and what was made of its plan.
#[derive(Debug)]
struct Root {
    component: Component,
    made: Vec<Made>,
}

/// A call of a component, by ids.
#[derive(Clone, Copy, Debug)]
struct Noted {
    instance: Option<InstanceId>,
    what: What,
    entered: Option<FuncRef>,
    builtin: Option<Builtin>,
    /// How it came to run, as far as it is known by itself.
    caller: From,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum What {
    Lift(Option<LiftId>),
    Start,
    /// `realloc` or `post-return`.
    Leaf,
    Caller,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum From {
    /// What is noted next, if that made the call; else what ran it.
    Next,
    /// The same, where it is known that it called.
    Called,
    Earlier,
    Host,
    Unknown,
}

impl Trace {
    /// A component is linked from now on; what [`Trace::end`] takes.
    pub fn begin(&mut self, component: &Component) -> Option<usize> {
        let outer = self.linking;
        if component.engine().keeps_names() {
            self.linking = Some(self.roots.len());
            self.roots.push(Root { component: component.clone(), made: Vec::new() });
        }
        outer
    }

    /// The linking that was interrupted goes on.
    pub fn end(&mut self, outer: Option<usize>) {
        self.linking = outer;
    }

    pub fn made(&mut self, what: Made) {
        if let Some(root) = self.linking.and_then(|index| self.roots.get_mut(index)) {
            root.made.push(what);
        }
    }

    /// A built-in fails in the thread that runs.
    #[cold]
    pub fn builtin_failed(&mut self, builtin: Builtin) {
        self.builtin = Some(builtin);
    }

    /// wasm ends in an error that was entered at this function, if it is one that has a reference.
    #[cold]
    pub fn wasm_failed(&mut self, func: Option<FuncRef>) {
        self.entered = func;
    }

    /// A host function returns the error of guests that it called.
    pub fn continue_from(&mut self, error: Error, inner: Option<Box<Backtrace>>) {
        self.inner = inner.map(|inner| (error, inner));
    }

    /// [`Embedding::trapped`](canon_async::Embedding::trapped).
    #[cold]
    pub fn trapped(&mut self, core: &Store<Heap>, thread: ThreadId, error: Error) {
        let depth = core.nesting();
        self.follow(error, depth, true);
        let (builtin, entered) = (self.builtin.take(), self.entered.take());
        let Some(task) = core.thread(thread).and_then(|thread| core.task(thread.task())) else { return };
        let lift = core.thread(thread).filter(|thread| thread.is_implicit()).and(task.lift());
        let caller = match task.caller() {
            Caller::Host(_) => From::Host,
            Caller::Start => From::Host,
            Caller::Guest(_) | Caller::Drop(_) if depth > 1 => From::Next,
            Caller::Guest(_) => From::Earlier,
            Caller::Drop(_) => From::Unknown,
        };
        if self.noted.iter().all(|noted| noted.what == What::Leaf) {
            let messages = core.error_messages(task.instance()).take(MAX_MESSAGES);
            self.messages = messages.map(|message| cut_name(message).into()).collect();
        }
        let what = if task.caller() == Caller::Start { What::Start } else { What::Lift(lift) };
        self.note(Noted { instance: Some(task.instance()), what, entered, builtin, caller });
        if depth <= 1 {
            self.note_callers(core, thread);
        }
    }

    /// A core function fails that the core called for a value: `realloc`, `post-return`.
    #[cold]
    pub fn leaf_failed(&mut self, core: &Store<Heap>, func: FuncRef, error: Error) {
        self.follow(error, core.nesting(), false);
        let builtin = self.builtin.take();
        let noted =
            Noted { instance: None, what: What::Leaf, entered: Some(func), builtin, caller: From::Unknown };
        self.note(noted);
    }

    /// A start function of core wasm fails.
    #[cold]
    pub fn start_failed(&mut self, core: &Store<Heap>, instance: InstanceId, error: Error) {
        self.follow(error, core.nesting(), true);
        let builtin = self.builtin.take();
        let instance = Some(instance);
        self.note(Noted { instance, what: What::Start, entered: None, builtin, caller: From::Host });
    }

    /// What is noted is of this error: what there was of another, or of the same at another time, is
    /// forgotten.
    fn follow(&mut self, error: Error, depth: u32, ends_leaf: bool) {
        let after_leaf = ends_leaf && matches!(self.noted.last(), Some(Noted { what: What::Leaf, .. }));
        let goes_on = depth < self.depth || (depth == self.depth && after_leaf);
        if self.error != Some(error) || !goes_on {
            self.noted.clear();
            self.omitted = 0;
            self.messages.clear();
            self.error = Some(error);
        }
        self.depth = depth;
    }

    fn note(&mut self, noted: Noted) {
        if self.noted.len() < MAX_FRAMES {
            self.noted.push(noted);
        } else {
            self.omitted = self.omitted.saturating_add(1);
        }
    }

    /// The callers of a thread that is the last on the native stack: those that wait for it, and the instance
    /// of the first that does not.
    fn note_callers(&mut self, core: &Store<Heap>, thread: ThreadId) {
        let mut thread = thread;
        for _ in 0..MAX_FRAMES {
            let task = core.thread(thread).and_then(|thread| core.task(thread.task()));
            let Some(Caller::Guest(subtask)) = task.map(|task| task.caller()) else { return };
            let Some(waitable) = core.waitable(subtask) else { return };
            let instance = Some(waitable.instance());
            let mut waits = core.threads().filter(|(_, thread)| thread.point() == Point::Lower(subtask));
            let Some((next, task)) =
                waits.next().and_then(|(id, thread)| Some((id, core.task(thread.task())?)))
            else {
                let what = What::Caller;
                self.note(Noted { instance, what, entered: None, builtin: None, caller: From::Unknown });
                return;
            };
            if let Some(last) = self.noted.last_mut().filter(|last| last.caller == From::Earlier) {
                last.caller = From::Called;
            }
            let caller = match task.caller() {
                Caller::Host(_) => From::Host,
                Caller::Guest(_) => From::Earlier,
                _ => From::Unknown,
            };
            self.note(Noted {
                instance,
                what: What::Lift(task.lift()),
                entered: None,
                builtin: None,
                caller,
            });
            thread = next;
        }
    }

    /// The backtrace of an error that the host gets, if it is one of guests.
    pub fn take(&mut self, core: &Store<Heap>, error: Error) -> Option<Box<Backtrace>> {
        let noted = core::mem::take(&mut self.noted);
        let mut messages = core::mem::take(&mut self.messages);
        let inner = self.inner.take().filter(|(of, _)| *of == error);
        let own = if self.error.take() == Some(error) { noted } else { Vec::new() };
        if let Some((_, inner)) = &inner {
            messages = inner.messages().to_vec();
        }
        let mut frames = inner.map_or_else(Vec::new, |(_, inner)| inner.frames().to_vec());
        let room = MAX_FRAMES.saturating_sub(frames.len());
        let left_out = own.len().saturating_sub(room);
        for (at, noted) in own.iter().enumerate().take(room) {
            let mut frame = self.frame(core, noted, own.get(at.saturating_add(1)));
            // That it stands in the call is said already.
            if let (Some(Frame { next: Next::Called, .. }), Some(Builtin::Lower(_))) =
                (frames.last(), noted.builtin)
            {
                frame.builtin = None;
            }
            frames.push(frame);
        }
        let omitted =
            core::mem::take(&mut self.omitted).saturating_add(u32::try_from(left_out).unwrap_or(u32::MAX));
        if omitted > 0
            && let Some(last) = frames.last_mut()
        {
            last.next = Next::Unknown;
        }
        (!frames.is_empty()).then(|| Box::new(Backtrace::new(error, frames, omitted, messages)))
    }

    fn frame(&self, core: &Store<Heap>, noted: &Noted, next: Option<&Noted>) -> Frame {
        let (mut task, mut entry, mut instance) = (Task::Function, None, noted.instance);
        match noted.what {
            What::Lift(None) => {}
            What::Lift(Some(lift)) => (task, entry) = self.lift(core, lift, noted.entered),
            What::Start => task = Task::Start,
            What::Caller => task = Task::Caller,
            What::Leaf => {
                if let Some((plan, role, item, of)) = noted.entered.and_then(|func| self.option(core, func)) {
                    task = Task::Option(role);
                    entry = core_function(plan, item);
                    instance = Some(of);
                }
            }
        }
        let calls = |next: &Noted| match (next.builtin, noted.what) {
            (Some(Builtin::Lower(id)), What::Lift(lift)) => {
                core.lower(id).ok().map(|lower| lower.callee) == lift
            }
            (Some(Builtin::ResourceDrop(_)), _) => matches!(task, Task::Destructor(_)),
            _ => false,
        };
        let next = match (noted.caller, next) {
            (From::Host, _) => Next::Host,
            (From::Earlier, Some(_)) => Next::CalledEarlier,
            (From::Called, Some(_)) => Next::Called,
            (From::Next, Some(next)) if calls(next) => Next::Called,
            (From::Next, Some(_)) => Next::Resumed,
            (From::Unknown, Some(_)) if noted.what == What::Leaf => Next::Resumed,
            _ => Next::Unknown,
        };
        let component = instance.map_or_else(|| String::from("?"), |instance| self.path(core, instance));
        let builtin = noted.builtin.map(|builtin| self.builtin(core, builtin));
        Frame { component, task, entry, builtin, next }
    }

    /// What a function is called, and the core function at which it was entered.
    fn lift(
        &self,
        core: &Store<Heap>,
        lift: LiftId,
        entered: Option<FuncRef>,
    ) -> (Task, Option<CoreFunction>) {
        for Root { component, made } in &self.roots {
            let plan = component.plan();
            for made in made {
                match *made {
                    Made::Lift(id, index) if id == lift => {
                        let task =
                            plan.lift_name(index).map_or(Task::Function, |name| Task::Export(name.into()));
                        return (task, self.entry(core, plan, (lift, index), entered));
                    }
                    Made::Host(id, index) if id == lift => {
                        let path = plan.import_funcs.get(index as usize).map(|import| import.path.clone());
                        return (Task::Host(path.unwrap_or_default()), None);
                    }
                    Made::Destructor(id, index) if id == lift => {
                        let resource = plan.types.resource(index).map(|resource| resource.name.clone());
                        let item = plan.steps.iter().find_map(|step| match step {
                            Step::Destructor { resource, func } if *resource == index => Some(func),
                            _ => None,
                        });
                        let task = Task::Destructor(resource.unwrap_or_default());
                        return (task, item.and_then(|item| core_function(plan, item)));
                    }
                    _ => {}
                }
            }
        }
        (Task::Function, None)
    }

    /// The core function of a lift, or its callback.
    fn entry(
        &self,
        core: &Store<Heap>,
        plan: &Plan,
        (lift, index): (LiftId, u32),
        entered: Option<FuncRef>,
    ) -> Option<CoreFunction> {
        let entered = entered?;
        let made = core.lift(lift).ok()?;
        let lift = plan.lifts.get(index as usize)?;
        if made.func == entered {
            return core_function(plan, &lift.func);
        }
        let options: &Options = plan.options.get(lift.options as usize)?;
        match core.options(made.options).ok()?.callback {
            Some(callback) if callback == entered => core_function(plan, options.callback.as_ref()?),
            _ => None,
        }
    }

    /// The option that a core function is, which one, and of which component.
    fn option(
        &self,
        core: &Store<Heap>,
        func: FuncRef,
    ) -> Option<(&Plan, &'static str, &CoreItem, InstanceId)> {
        let of = |plan: &'_ Plan, id: OptsId, index: u32| {
            let (made, _) = (core.options(id).ok()?, plan.options.get(index as usize)?);
            let role = match (made.realloc, made.post_return) {
                (Some(realloc), _) if realloc == func => "realloc",
                (_, Some(post_return)) if post_return == func => "post-return",
                _ => return None,
            };
            Some((role, made.instance))
        };
        for Root { component, made } in &self.roots {
            let plan = component.plan();
            for made in made {
                let Made::Options(id, index) = *made else { continue };
                if let Some((role, instance)) = of(plan, id, index) {
                    let options = plan.options.get(index as usize)?;
                    let item = if role == "realloc" { &options.realloc } else { &options.post_return };
                    return Some((plan, role, item.as_ref()?, instance));
                }
            }
        }
        None
    }

    /// The path of an instance.
    fn path(&self, core: &Store<Heap>, instance: InstanceId) -> String {
        if core.instance(instance).is_ok_and(|instance| instance.kind() == InstanceKind::Host) {
            return "host".to_string();
        }
        for Root { component, made } in &self.roots {
            let found = made.iter().find_map(|made| match made {
                Made::Instance(id, index) if *id == instance => Some(*index),
                _ => None,
            });
            if let Some(index) = found {
                return path(component.plan(), index);
            }
        }
        format!("component instance {}", instance.index())
    }

    fn builtin(&self, core: &Store<Heap>, builtin: Builtin) -> String {
        let Builtin::Lower(id) = builtin else { return builtin.name().to_string() };
        let Ok(lower) = core.lower(id) else { return "a call".to_string() };
        let instance = core.lift(lower.callee).and_then(|lift| core.options(lift.options));
        let path = instance.map_or_else(|_| String::from("?"), |options| self.path(core, options.instance));
        format!("a call of {path}: {}", self.lift(core, lower.callee, None).0)
    }
}

/// The names of the instances around one and its own.
fn path(plan: &Plan, index: u32) -> String {
    let mut names = Vec::new();
    let mut next = Some(index);
    while let Some(here) = next {
        names.push(match plan.instance_name(here) {
            Some(name) => name.to_string(),
            None if here == 0 => "root".to_string(),
            None => format!("#{here}"),
        });
        // A parent comes before its child.
        let parent = plan.instances.get(here as usize).and_then(|instance| instance.parent);
        next = parent.filter(|parent| *parent < here);
    }
    names.reverse();
    names.join(" / ")
}

/// What a plan and its modules say of a core function.
fn core_function(plan: &Plan, item: &CoreItem) -> Option<CoreFunction> {
    let CoreItem::Export { instance, name } = item else { return None };
    let mut made = plan.steps.iter().filter_map(|step| match step {
        Step::InstantiateCore { module, .. } => Some(*module),
        _ => None,
    });
    let module = made.nth(*instance as usize)?;
    let (bytes, title) = match module {
        ModuleRef::Inline(index) => {
            (plan.modules.get(index as usize).map(|module| &*module.bytes), format!("core module {index}"))
        }
        ModuleRef::Import(index) => {
            let path = plan.import_modules.get(index as usize).map(|module| module.path.as_str());
            (None, format!("core module \"{}\"", path.unwrap_or_default()))
        }
        _ => return None,
    };
    let export = Some(name.clone());
    let Some(found) = bytes.and_then(|bytes| names::exported(bytes, name)) else {
        return Some(CoreFunction { index: None, name: None, export, module: title, offset: None });
    };
    let module = found.module.map_or(title, |name| format!("module ${name}"));
    Some(CoreFunction { index: Some(found.index), name: found.name, export, module, offset: found.offset })
}
