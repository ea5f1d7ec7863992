//! Spec: Table State, Resource State, and the handle halves of lifting and lowering.

use super::{Store, instance_in};
use crate::abi::types::ValType;
use crate::error::{EndAction, Error, HandleKind, Resource, Trap};
use crate::event::event;
use crate::id::{ErrorContextId, InstanceId, LendId, ResourceId, SetId, TaskId, WaitableId};
use crate::message::{Bug, Misuse};
use crate::raise::{OrRaise as _, Raises};
use crate::state::{
    CopyEnd, CopyState, Direction, ErrorContext, Handle, Kind, Lend, Rep, ResourceHandle, Scope, Shared,
    Waitable, WaitableSet,
};
use crate::storage::Profile;

impl<P: Profile> Store<P> {
    /// `inst.handles.add`.
    pub(crate) fn add_handle(&mut self, instance: InstanceId, handle: Handle) -> Raises<u32> {
        self.charge(instance, &[(Resource::Handles, 1)])?;
        self.put_handle(instance, handle)
    }

    /// `inst.handles.remove`; whether there was anything at the index.
    pub(crate) fn remove_handle(&mut self, instance: InstanceId, index: u32) {
        if instance_in::<P>(&mut self.instances, instance).is_some_and(|entry| entry.handles.remove(index)) {
            self.refund(instance, Resource::Handles);
        }
    }

    /// `inst.handles.add` of a handle that is charged already.
    fn put_handle(&mut self, instance: InstanceId, handle: Handle) -> Raises<u32> {
        self.instance_mut(instance)?.handles.add(handle).or_raise(&mut self.raiser, Resource::Handles)
    }

    /// `inst.handles.get`, and `trap_if(not isinstance(.., ..))`.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    fn handle(&mut self, instance: InstanceId, index: u32, expected: HandleKind) -> Raises<&mut Handle> {
        let entry = instance_in::<P>(&mut self.instances, instance);
        let handle = entry.and_then(|entry| entry.handles.get_mut(index));
        let handle = handle.or_raise(&mut self.raiser, Trap::UnknownHandle(index))?;
        let found = match handle {
            Handle::Resource(_) => HandleKind::Resource,
            Handle::Set(_) => HandleKind::WaitableSet,
            Handle::ErrorContext(_) => HandleKind::ErrorContext,
            Handle::Waitable(_) if expected == HandleKind::Waitable => expected,
            Handle::Waitable(id) => self.waitables.get(*id).map_or(HandleKind::Waitable, |w| w.handle_kind()),
        };
        if found != expected {
            return self.raiser.raise(Trap::HandleKind { index, expected, found });
        }
        Ok(handle)
    }

    /// A handle that must be a waitable of this kind, or any.
    fn waitable_of(&mut self, instance: InstanceId, index: u32, expected: HandleKind) -> Raises<WaitableId> {
        match self.handle(instance, index, expected)? {
            Handle::Waitable(id) => Ok(*id),
            _ => self.raiser.raise(Bug::WrongHandle),
        }
    }

    /// `trap_if(not isinstance(.., Waitable))`.
    pub(crate) fn waitable_handle(&mut self, instance: InstanceId, index: u32) -> Raises<WaitableId> {
        self.waitable_of(instance, index, HandleKind::Waitable)
    }

    /// `trap_if(not isinstance(.., WaitableSet))`.
    pub(crate) fn set_handle(&mut self, instance: InstanceId, index: u32) -> Raises<SetId> {
        match self.handle(instance, index, HandleKind::WaitableSet)? {
            Handle::Set(id) => Ok(*id),
            _ => self.raiser.raise(Bug::WrongHandle),
        }
    }

    /// `trap_if(not isinstance(.., Subtask))`.
    pub(crate) fn subtask_at(&mut self, instance: InstanceId, index: u32) -> Raises<WaitableId> {
        self.waitable_of(instance, index, HandleKind::Subtask)
    }

    /// `trap_if(not isinstance(.., EndT))` and `trap_if(e.shared.t != t)`.
    pub(crate) fn end_handle(
        &mut self,
        instance: InstanceId,
        index: u32,
        direction: Direction,
        future: bool,
        element: Option<ValType>,
    ) -> Raises<WaitableId> {
        let id = self.waitable_of(instance, index, direction.handle_kind(future))?;
        let shared = self.end_mut(id)?.shared();
        if self.shared_mut(shared)?.element() != element {
            return self.raiser.raise(Trap::ElementType(index));
        }
        Ok(id)
    }

    /// The end of a stream or future that a waitable is.
    pub(crate) fn get_end(&self, id: WaitableId) -> Option<&CopyEnd> {
        match self.waitables.get(id)?.kind() {
            Kind::End(end) => Some(end),
            Kind::Subtask(_) => None,
        }
    }

    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn end_mut(&mut self, id: WaitableId) -> Raises<&mut CopyEnd> {
        match self.waitables.get_mut(id).map(|w| &mut w.kind) {
            Some(Kind::End(end)) => Ok(end),
            _ => self.raiser.raise(Bug::NotEnd),
        }
    }

    /// `waitable-set.new`.
    pub(crate) fn new_set(&mut self, instance: InstanceId) -> Raises<u32> {
        self.charge(instance, &[(Resource::Handles, 1), (Resource::WaitableSets, 1)])?;
        let set = WaitableSet::new(instance);
        let set = self.sets.insert(set).or_raise(&mut self.raiser, Resource::WaitableSets)?;
        event!(debug, waitable_set, "created", set, instance);
        self.put_handle(instance, Handle::Set(set))
    }

    /// Frees a set that has no members.
    pub(crate) fn free_set(&mut self, id: SetId) {
        if let Some(instance) = self.sets.get(id).map(WaitableSet::instance) {
            self.sets.free(id);
            self.refund(instance, Resource::WaitableSets);
            event!(debug, waitable_set, "dropped", set = id);
        }
    }

    /// `{stream,future}.new`: the indices of the readable and of the writable end.
    pub(crate) fn new_ends(
        &mut self,
        instance: InstanceId,
        element: Option<ValType>,
        future: bool,
    ) -> Raises<(u32, u32)> {
        let needs = [(Resource::Handles, 2), (Resource::Waitables, 2), (Resource::Streams, 1)];
        self.charge(instance, &needs)?;
        let shared = Shared::new(element, instance);
        let shared = self.streams.insert(shared).or_raise(&mut self.raiser, Resource::Streams)?;
        let mut indices = [0; 2];
        for (direction, index) in [Direction::Read, Direction::Write].into_iter().zip(&mut indices) {
            let end = Waitable::new(instance, Kind::End(CopyEnd::new(shared, direction, future)));
            let end = self.waitables.insert(end).or_raise(&mut self.raiser, Resource::Waitables)?;
            self.shared_mut(shared)?.set_end(direction, end);
            *index = self.put_handle(instance, Handle::Waitable(end))?;
            self.waitable_mut(end)?.set_handle(*index);
            event!(debug, stream, "end created", shared, end, direction, future);
        }
        let [readable, writable] = indices;
        Ok((readable, writable))
    }

    /// `lift_async_value`: takes the readable end out of the instance's table.
    pub(crate) fn lift_end(
        &mut self,
        instance: InstanceId,
        index: u32,
        future: bool,
        element: Option<ValType>,
    ) -> Raises<WaitableId> {
        self.take_end(instance, index, future, element, EndAction::Lift)
    }

    /// `trap_if(end.state != IDLE)`.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn check_idle(&mut self, id: WaitableId, action: EndAction) -> Raises {
        let end = self.end_mut(id)?;
        let future = end.is_future();
        match end.state() {
            CopyState::Idle => Ok(()),
            CopyState::Done => self.raiser.raise(Trap::DoneEnd { action, future }),
            _ => self.raiser.raise(Trap::BusyEnd { action, future }),
        }
    }

    /// Takes an end out of the instance's table, to pass it on or to forward it: it must be idle, and in no
    /// set.
    pub(crate) fn take_end(
        &mut self,
        instance: InstanceId,
        index: u32,
        future: bool,
        element: Option<ValType>,
        action: EndAction,
    ) -> Raises<WaitableId> {
        let direction = if action == EndAction::ForwardWritable { Direction::Write } else { Direction::Read };
        let id = self.end_handle(instance, index, direction, future, element)?;
        self.check_idle(id, action)?;
        let waitable = self.waitable_mut(id)?;
        if waitable.in_waitable_set() {
            return self.raiser.raise(Trap::EndInSet { action, future });
        }
        waitable.set_handle(0);
        self.remove_handle(instance, index);
        Ok(id)
    }

    /// Whether an instance has room for an own handle, or for an end, that another is about to give it: what has left one table must
    /// not be lost for want of room in the other. Within a root only the table can be full.
    pub(crate) fn check_taker(&mut self, giver: InstanceId, taker: InstanceId, is_end: bool) -> Raises {
        if giver == taker {
            return Ok(());
        }
        self.reserve(taker, (Resource::Handles, 1))?;
        if self.instance_mut(giver)?.root() == self.instance_mut(taker)?.root() {
            return Ok(());
        }
        self.check_quota(taker, (Resource::Handles, 1))?;
        if is_end { self.check_quota(taker, (Resource::Waitables, 1)) } else { Ok(()) }
    }

    /// `lower_stream`, `lower_future`: puts a lifted end in an instance's table, where [`Store::check_taker`] found room.
    pub(crate) fn lower_end(&mut self, instance: InstanceId, end: WaitableId) -> Raises<u32> {
        let index = self.add_handle(instance, Handle::Waitable(end))?;
        let waitable = self.waitable_mut(end)?;
        let giver = waitable.instance();
        waitable.moved_to(instance, index);
        self.move_charge(giver, instance, Resource::Waitables);
        event!(debug, stream, "end passed", end, instance);
        Ok(index)
    }

    /// `lift_error_context`, `trap_if(not isinstance(.., ErrorContext))`.
    pub(crate) fn error_context_at(&mut self, instance: InstanceId, index: u32) -> Raises<ErrorContextId> {
        match self.handle(instance, index, HandleKind::ErrorContext)? {
            Handle::ErrorContext(id) => Ok(*id),
            _ => self.raiser.raise(Bug::WrongHandle),
        }
    }

    /// `lower_error_context`: one more handle to the same error context.
    pub(crate) fn lower_error_context(&mut self, instance: InstanceId, id: ErrorContextId) -> Raises<u32> {
        let index = self.add_handle(instance, Handle::ErrorContext(id))?;
        self.error_contexts.get_mut(id).or_raise(&mut self.raiser, Bug::StaleErrorContext)?.add_handle();
        Ok(index)
    }

    /// `error-context.new`, of one whose message is still empty: its handle, and which it is.
    pub(crate) fn add_error_context(&mut self, instance: InstanceId) -> Raises<(u32, ErrorContextId)> {
        self.charge(instance, &[(Resource::Handles, 1), (Resource::ErrorContexts, 1)])?;
        let mut context = ErrorContext::new(instance);
        context.add_handle();
        let id = self.error_contexts.insert(context);
        let id = id.or_raise(&mut self.raiser, Resource::ErrorContexts)?;
        Ok((self.put_handle(instance, Handle::ErrorContext(id))?, id))
    }

    /// Adds a character to an error context's message; `false` where there is no room.
    pub(crate) fn push_message(&mut self, id: ErrorContextId, c: char) -> bool {
        let limit = self.limits().message_bytes;
        self.error_contexts.get_mut(id).is_some_and(|context| context.push(c, limit))
    }

    /// `error-context.drop`.
    pub(crate) fn drop_error_context(&mut self, instance: InstanceId, index: u32) -> Raises {
        let id = self.error_context_at(instance, index)?;
        self.remove_handle(instance, index);
        self.release_error_context(id);
        Ok(())
    }

    /// 📝 The host makes an error context: its handle, in the table of the host's instance. Of a longer message as many
    /// characters are kept as there is room for.
    ///
    /// # Errors
    /// `Capacity(ErrorContexts | Handles)`; `Misuse` without [`Store::set_host`].
    pub fn host_error_context(&mut self, message: &str) -> Result<u32, Error> {
        let host = self.host_instance()?;
        let (handle, id) = self.caught(|store| store.add_error_context(host))?;
        let _ = message.chars().all(|c| self.push_message(id, c));
        Ok(handle)
    }

    /// 📝 The message of an error context that the host holds.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn host_error_message(&self, handle: u32) -> Result<&str, Error> {
        let id = match self.instance(self.host_instance()?)?.handles.get(handle) {
            Some(Handle::ErrorContext(id)) => *id,
            _ => return Err(Misuse::NoHostErrorContext.into()),
        };
        let message = self.error_contexts.get(id).ok_or(Bug::StaleErrorContext)?.message();
        Ok(core::str::from_utf8(message).map_err(|_| Bug::MessageEncoding)?)
    }

    /// 📝 The host drops a handle to an error context.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn drop_host_error_context(&mut self, handle: u32) -> Result<(), Error> {
        let host = self.host_instance()?;
        Ok(self.drop_error_context(host, handle).map_err(|_| Misuse::NoHostErrorContext)?)
    }

    /// A resource that the host holds: its type, its representation, and whether the host owns it.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn host_resource(&self, handle: u32) -> Result<ResourceHandle, Error> {
        match self.instance(self.host_instance()?)?.handles.get(handle) {
            Some(Handle::Resource(resource)) => Ok(*resource),
            _ => Err(Misuse::NoHostResource.into()),
        }
    }

    pub(crate) fn host_instance(&self) -> Result<InstanceId, Error> {
        let host = self.host().ok_or(Misuse::NoHost)?;
        Ok(self.options(host)?.instance)
    }

    /// A handle to an error context is gone, and the error context with the last one.
    pub(crate) fn release_error_context(&mut self, id: ErrorContextId) {
        let Some(context) = self.error_contexts.get_mut(id) else { return };
        let maker = context.maker();
        if context.drop_handle() {
            self.error_contexts.free(id);
            self.refund(maker, Resource::ErrorContexts);
        }
    }

    /// An error context; its handle is gone where the id is stale.
    pub(crate) fn error_context(&mut self, id: ErrorContextId) -> Raises<&ErrorContext<P::Message>> {
        self.error_contexts.get(id).or_raise(&mut self.raiser, Bug::StaleErrorContext)
    }

    /// A handle that must be a resource of this type.
    #[cfg_attr(not(feature = "alloc"), inline(never))]
    pub(crate) fn resource_handle(
        &mut self,
        instance: InstanceId,
        index: u32,
        ty: ResourceId,
    ) -> Raises<&mut ResourceHandle> {
        // Asked twice, so that what is answered borrows the table alone.
        self.handle(instance, index, HandleKind::Resource)?;
        let entry = instance_in::<P>(&mut self.instances, instance);
        match entry.and_then(|entry| entry.handles.get_mut(index)) {
            Some(Handle::Resource(resource)) if resource.ty == ty => Ok(resource),
            _ => self.raiser.raise(Trap::ResourceType(index)),
        }
    }

    /// `lift_own`.
    pub(crate) fn lift_own(&mut self, instance: InstanceId, index: u32, ty: ResourceId) -> Raises<Rep> {
        let handle = *self.resource_handle(instance, index, ty)?;
        if handle.num_lends != 0 {
            return self.raiser.raise(Trap::ResourceLent);
        }
        if !handle.is_owned() {
            return self.raiser.raise(Trap::NotOwned(index));
        }
        self.remove_handle(instance, index);
        Ok(handle.rep)
    }

    /// `lift_borrow`: lends the handle until the subtask's resolution is delivered; the host's, until the task resolves.
    pub(crate) fn lift_borrow(
        &mut self,
        instance: InstanceId,
        index: u32,
        ty: ResourceId,
        to: Scope,
    ) -> Raises<Rep> {
        let rep = self.resource_handle(instance, index, ty)?.rep;
        let Some(next) = self.lenders(to).map(|first| *first) else {
            return self.raiser.raise(Misuse::NoLender);
        };
        self.charge(instance, &[(Resource::Lends, 1)])?;
        let lend = Lend { instance, handle: index, next };
        let lend = self.lends.insert(lend).or_raise(&mut self.raiser, Resource::Lends)?;
        if let Some(first) = self.lenders(to) {
            *first = Some(lend);
        }
        let handle = self.resource_handle(instance, index, ty)?;
        handle.num_lends = handle.num_lends.saturating_add(1);
        Ok(rep)
    }

    /// `lenders`, where somebody lends.
    fn lenders(&mut self, of: Scope) -> Option<&mut Option<LendId>> {
        match of {
            Scope::Subtask(subtask) => match &mut self.waitables.get_mut(subtask)?.kind {
                Kind::Subtask(subtask) => Some(&mut subtask.lenders),
                Kind::End(_) => None,
            },
            Scope::Task(task) => Some(&mut self.tasks.get_mut(task)?.lenders),
            Scope::None => None,
        }
    }

    /// The half of `deliver_resolve` that gives the lent handles back.
    pub(crate) fn give_back_lends(&mut self, to: Scope) {
        let mut next = self.lenders(to).and_then(Option::take);
        while let Some(id) = next
            && let Some(lend) = self.lends.get(id).copied()
        {
            self.lends.free(id);
            self.refund(lend.instance, Resource::Lends);
            next = lend.next;
            if let Some(instance) = instance_in::<P>(&mut self.instances, lend.instance)
                && let Some(Handle::Resource(entry)) = instance.handles.get_mut(lend.handle)
            {
                entry.num_lends = entry.num_lends.saturating_sub(1);
            }
        }
    }

    /// `lower_own`.
    pub(crate) fn lower_own(&mut self, instance: InstanceId, rep: Rep, ty: ResourceId) -> Raises<u32> {
        let handle = ResourceHandle { ty, rep, borrow_scope: None, num_lends: 0 };
        self.add_handle(instance, Handle::Resource(handle))
    }

    /// `lower_borrow`: the representation itself where the instance implements the type. A borrow is an `i32`, also of a
    /// resource whose representation is an `i64`: the spec does not say what becomes of one that does not fit.
    pub(crate) fn lower_borrow(
        &mut self,
        instance: InstanceId,
        rep: Rep,
        ty: ResourceId,
        task: TaskId,
    ) -> Raises<u32> {
        let resource = self.types.get_resource(ty).or_raise(&mut self.raiser, Misuse::UnknownResource)?;
        if resource.instance == instance {
            return u32::try_from(rep.bits()).ok().or_raise(&mut self.raiser, Trap::WideRep);
        }
        let handle = ResourceHandle { ty, rep, borrow_scope: Some(task), num_lends: 0 };
        let index = self.add_handle(instance, Handle::Resource(handle))?;
        self.task_mut(task)?.add_borrow();
        Ok(index)
    }
}
