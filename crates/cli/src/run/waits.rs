//! Who waits for what: the report on a run that can't go on, or was ended.

use std::collections::BTreeMap;

use canon_async::id::{InstanceId, LiftId, SetId, WaitableId};
use canon_async::spec::SubtaskState;
use canon_async::state::{Caller, CopyEnd, Direction, Kind, Point, Status, Subtask, Thread};
use canon_async::{Heap, Store};
use canon_async_component::Extern;
use canon_async_wasmi::{Component, Instance};

use crate::suggest::cut;

/// How many threads are listed, and of a set's members.
const MOST: usize = 20;
const MOST_MEMBERS: usize = 4;

/// What the core's ids are called.
#[derive(Debug, Default)]
pub struct Names {
    /// The components, by the index of their root instance.
    components: BTreeMap<usize, Named>,
    /// Of functions, the export's.
    funcs: BTreeMap<usize, String>,
    /// The component that is being instantiated.
    current: Option<Named>,
}

/// A component with its name.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    component: Component,
}

impl Named {
    /// The path of the instance at this index of the plan: the names of those around it, and its own.
    fn path(&self, index: usize) -> String {
        let plan = self.component.plan();
        let mut names = Vec::new();
        let mut next = u32::try_from(index).ok();
        while let Some(here) = next.filter(|here| *here > 0) {
            names.push(plan.instance_name(here).map_or_else(|| format!("#{here}"), cut));
            // A parent comes before its child.
            let parent = plan.instances.get(here as usize).and_then(|instance| instance.parent);
            next = parent.filter(|parent| *parent < here);
        }
        names.push(self.name.clone());
        names.reverse();
        names.join(" / ")
    }
}

impl Names {
    /// From now on unknown instances are of this component.
    pub fn begin(&mut self, name: &str, component: &Component) {
        self.current = Some(Named { name: name.to_string(), component: component.clone() });
    }

    /// The component that began has been instantiated.
    pub fn add(&mut self, instance: &Instance) {
        self.components.extend(self.current.take().map(|named| (instance.root().index(), named)));
        self.add_funcs("", instance.exports());
    }

    fn add_funcs<M>(&mut self, prefix: &str, exports: &BTreeMap<String, Extern<M>>) {
        for (name, export) in exports {
            let path = format!("{prefix}{name}");
            match export {
                Extern::Func(func) => {
                    self.funcs.entry(func.lift().index()).or_insert_with(|| cut(&path));
                }
                Extern::Instance(inner) => self.add_funcs(&format!("{path}#"), inner),
                _ => {}
            }
        }
    }
}

/// A line for each thread that has not exited.
pub fn report(store: &Store<Heap>, names: &Names) -> Vec<String> {
    let look = Look { store, names };
    let mut threads = store.threads();
    let mut lines: Vec<String> = threads.by_ref().take(MOST).map(|(_, thread)| look.line(thread)).collect();
    match threads.count() {
        0 => {}
        more => lines.push(format!(".. and {more} more")),
    }
    lines
}

/// A report's lines below its title.
pub fn text(lines: &[String]) -> String {
    match lines {
        [] => "\nwho waits for what: nothing is left that could go on".to_string(),
        lines => lines.iter().fold("\nwho waits for what:".into(), |text, line| format!("{text}\n  {line}")),
    }
}

struct Look<'a> {
    store: &'a Store<Heap>,
    names: &'a Names,
}

impl Look<'_> {
    fn line(&self, thread: &Thread) -> String {
        let task = self.store.task(thread.task());
        let call = self.call(task.and_then(|task| task.lift()), thread.instance());
        let call = if thread.is_implicit() { call } else { format!("a thread of {call}") };
        let caller = match task.map(|task| task.caller()) {
            Some(Caller::Host(_)) => ", which canon called".to_string(),
            Some(Caller::Guest(subtask)) => match self.store.waitable(subtask) {
                Some(subtask) => format!(", which {} called", self.component(subtask.instance())),
                None => String::new(),
            },
            _ => String::new(),
        };
        format!("{call}{caller}: {}", self.state(thread))
    }

    /// A call of a function, in words.
    fn call(&self, lift: Option<LiftId>, instance: InstanceId) -> String {
        let component = self.component(instance);
        match lift.and_then(|lift| self.names.funcs.get(&lift.index())) {
            Some(name) => format!("\"{name}\" of {component}"),
            None if lift.is_none() => format!("a start function of {component}"),
            None => format!("a function of {component}"),
        }
    }

    /// The path of an instance: the component's name, and those of the instances in it on the way.
    fn component(&self, instance: InstanceId) -> String {
        let root = self.store.instance(instance).map_or(instance, |instance| instance.root());
        let named = self.names.components.get(&root.index()).or(self.names.current.as_ref());
        // A plan's instances are made one after the other.
        let inner = instance.index().saturating_sub(root.index());
        named.map_or_else(|| format!("component instance {}", instance.index()), |named| named.path(inner))
    }

    fn state(&self, thread: &Thread) -> String {
        match (thread.status(), thread.point()) {
            (Status::Running, _) => "runs".to_string(),
            (Status::Suspended, _) => "is suspended until another thread resumes it".to_string(),
            (Status::Waiting, Point::Enter) => self.entering(thread),
            (Status::Waiting, Point::Spawned | Point::Start(_)) => "is ready to start".to_string(),
            (Status::Waiting, Point::Switch | Point::CallbackYield) => {
                "has yielded, and goes on once it is its turn".to_string()
            }
            (Status::Waiting, Point::Host) => "waits for a host function".to_string(),
            (Status::Waiting, Point::Wait(set, ..) | Point::CallbackWait(set)) => self.set(set),
            (Status::Waiting, Point::Event(waitable) | Point::Lower(waitable)) => {
                format!("waits for {}", self.waitable(waitable))
            }
        }
    }

    fn entering(&self, thread: &Thread) -> String {
        let Ok(instance) = self.store.instance(thread.instance()) else {
            return "waits to start".to_string();
        };
        if instance.backpressure() > 0 {
            return "waits to start: its instance has backpressure on".to_string();
        }
        let holder = instance.exclusive_thread().and_then(|holder| self.store.thread(holder));
        match holder {
            Some(holder) => {
                let lift = self.store.task(holder.task()).and_then(|task| task.lift());
                format!("waits to start until {} is done", self.call(lift, holder.instance()))
            }
            None => "waits to start".to_string(),
        }
    }

    fn set(&self, set: SetId) -> String {
        let mut members = self.store.members(set).map(|(id, _)| self.waitable(id));
        let mut shown: Vec<String> = members.by_ref().take(MOST_MEMBERS).collect();
        let more = members.count();
        if more > 0 {
            shown.push(format!("{more} more"));
        }
        match shown.as_slice() {
            [] => "waits for an event of a waitable set that is empty".to_string(),
            [one] => format!("waits for an event of a waitable set: {one}"),
            several => format!("waits for an event of a waitable set, which has {}", several.join("; ")),
        }
    }

    fn waitable(&self, id: WaitableId) -> String {
        let Some(waitable) = self.store.waitable(id) else { return "something that was dropped".to_string() };
        match waitable.kind() {
            Kind::Subtask(subtask) => self.subtask(subtask),
            Kind::End(end) => {
                let event = if waitable.has_pending_event() { ", which has an event" } else { "" };
                format!("{} (handle {}){}{event}", end.handle_kind(), waitable.handle(), self.end(end))
            }
        }
    }

    fn subtask(&self, subtask: &Subtask) -> String {
        let callee = self.store.lower(subtask.lower()).ok().map(|lower| lower.callee);
        let options = callee.and_then(|lift| self.store.lift(lift).ok()).map(|lift| lift.options);
        let instance = options.and_then(|options| self.store.options(options).ok()).map(|o| o.instance);
        let name = instance.map_or_else(|| "a function".to_string(), |instance| self.call(callee, instance));
        let state = match subtask.state() {
            SubtaskState::Starting => "has not started",
            SubtaskState::Started => "has not returned",
            SubtaskState::Returned => "has returned",
            _ => "was cancelled",
        };
        format!("its call of {name}, which {state}")
    }

    /// What the two ends do.
    fn end(&self, end: &CopyEnd) -> String {
        let own = match (end.copying(), end.direction()) {
            (true, Direction::Read) => ", which reads",
            (true, Direction::Write) => ", which writes",
            (false, _) => ", on which nothing is under way",
        };
        let (direction, verb) = match end.direction() {
            Direction::Read => (Direction::Write, "write"),
            Direction::Write => (Direction::Read, "read"),
        };
        let Some(shared) = self.store.shared(end.shared()) else { return own.to_string() };
        let other = shared.end(direction).and_then(|other| self.store.waitable(other));
        let Some(other) = other else { return format!("{own}; the other end was dropped") };
        let holder = self.component(other.instance());
        let busy = matches!(other.kind(), Kind::End(end) if end.copying());
        match busy {
            true => format!("{own}; {holder} has the other end and {verb}s"),
            false => format!("{own}; {holder} has the other end, on which it does not {verb}"),
        }
    }
}
