//! Spec: Table State, Resource State, and the handle halves of lifting and lowering.

use super::Store;
use crate::abi::types::ValType;
use crate::error::{EndAction, Error, HandleKind, Resource, Trap};
use crate::id::{ErrorContextId, InstanceId, LendId, ResourceId, SetId, TaskId, WaitableId};
use crate::state::{
    CopyEnd, CopyState, Direction, ErrorContext, Handle, Kind, Lend, Rep, ResourceHandle, Scope, Shared,
    Waitable, WaitableSet,
};
use crate::storage::Profile;

const NOT_HELD: Error = Error::Misuse("the host holds no error context of this handle");
const STALE_CONTEXT: Error = Error::Bug("stale error context");

impl<P: Profile> Store<P> {
    /// `inst.handles.add`.
    pub(crate) fn add_handle(&mut self, instance: InstanceId, handle: Handle) -> Result<u32, Error> {
        self.instance_mut(instance)?.handles.add(handle).ok_or(Error::Capacity(Resource::Handles))
    }

    /// `inst.handles.get`.
    pub(crate) fn handle(&self, instance: InstanceId, index: u32) -> Result<Handle, Error> {
        Ok(*self.instance(instance)?.handles.get(index).ok_or(Trap::UnknownHandle(index))?)
    }

    /// What a handle is, for messages.
    fn kind_of(&self, handle: Handle) -> HandleKind {
        match handle {
            Handle::Resource(_) => HandleKind::Resource,
            Handle::Set(_) => HandleKind::WaitableSet,
            Handle::ErrorContext(_) => HandleKind::ErrorContext,
            Handle::Waitable(id) => self.waitables.get(id).map_or(HandleKind::Waitable, |w| w.handle_kind()),
        }
    }

    fn wrong_kind(&self, index: u32, expected: HandleKind, handle: Handle) -> Error {
        Trap::HandleKind { index, expected, found: self.kind_of(handle) }.into()
    }

    /// `trap_if(not isinstance(.., Waitable))`.
    pub(crate) fn waitable_handle(&self, instance: InstanceId, index: u32) -> Result<WaitableId, Error> {
        match self.handle(instance, index)? {
            Handle::Waitable(id) => Ok(id),
            other => Err(self.wrong_kind(index, HandleKind::Waitable, other)),
        }
    }

    /// `trap_if(not isinstance(.., WaitableSet))`.
    pub(crate) fn set_handle(&self, instance: InstanceId, index: u32) -> Result<SetId, Error> {
        match self.handle(instance, index)? {
            Handle::Set(id) => Ok(id),
            other => Err(self.wrong_kind(index, HandleKind::WaitableSet, other)),
        }
    }

    /// `trap_if(not isinstance(.., Subtask))`.
    pub(crate) fn subtask_handle(&self, instance: InstanceId, index: u32) -> Result<WaitableId, Error> {
        let handle = self.handle(instance, index)?;
        if let Handle::Waitable(id) = handle
            && let Some(Kind::Subtask(_)) = self.waitables.get(id).map(|w| w.kind())
        {
            return Ok(id);
        }
        Err(self.wrong_kind(index, HandleKind::Subtask, handle))
    }

    /// `trap_if(not isinstance(.., EndT))` and `trap_if(e.shared.t != t)`.
    pub(crate) fn end_handle(
        &self,
        instance: InstanceId,
        index: u32,
        direction: Direction,
        future: bool,
        element: Option<ValType>,
    ) -> Result<WaitableId, Error> {
        let handle = self.handle(instance, index)?;
        let expected = match (direction, future) {
            (Direction::Read, false) => HandleKind::StreamRead,
            (Direction::Write, false) => HandleKind::StreamWrite,
            (Direction::Read, true) => HandleKind::FutureRead,
            (Direction::Write, true) => HandleKind::FutureWrite,
        };
        if let Handle::Waitable(id) = handle
            && let Some(Kind::End(end)) = self.waitables.get(id).map(|w| w.kind())
            && end.direction() == direction
            && end.is_future() == future
        {
            let shared = self.streams.get(end.shared()).ok_or(Error::Bug("an end without a stream"))?;
            if shared.element() != element {
                return Err(Trap::ElementType(index).into());
            }
            return Ok(id);
        }
        Err(self.wrong_kind(index, expected, handle))
    }

    /// The end of a stream or future that a waitable is.
    pub(crate) fn end(&self, id: WaitableId) -> Result<&CopyEnd, Error> {
        match self.waitables.get(id).map(|w| w.kind()) {
            Some(Kind::End(end)) => Ok(end),
            _ => Err(Error::Bug("not an end of a stream or future")),
        }
    }

    pub(crate) fn end_mut(&mut self, id: WaitableId) -> Result<&mut CopyEnd, Error> {
        match self.waitables.get_mut(id).map(|w| &mut w.kind) {
            Some(Kind::End(end)) => Ok(end),
            _ => Err(Error::Bug("not an end of a stream or future")),
        }
    }

    /// `waitable-set.new`.
    pub(crate) fn new_set(&mut self, instance: InstanceId) -> Result<u32, Error> {
        if !self.instance(instance)?.handles.has_room(1) {
            return Err(Error::Capacity(Resource::Handles));
        }
        let set = WaitableSet::new(instance);
        let set = self.sets.insert(set).map_err(|_| Error::Capacity(Resource::WaitableSets))?;
        self.add_handle(instance, Handle::Set(set))
    }

    /// `{stream,future}.new`: the indices of the readable and of the writable end.
    pub(crate) fn new_stream(
        &mut self,
        instance: InstanceId,
        element: Option<ValType>,
        future: bool,
    ) -> Result<(u32, u32), Error> {
        if !self.instance(instance)?.handles.has_room(2) {
            return Err(Error::Capacity(Resource::Handles));
        }
        if !self.waitables.has_room(2) {
            return Err(Error::Capacity(Resource::Waitables));
        }
        let shared =
            self.streams.insert(Shared::new(element)).map_err(|_| Error::Capacity(Resource::Streams))?;
        let mut indices = [0; 2];
        for (direction, index) in [Direction::Read, Direction::Write].into_iter().zip(&mut indices) {
            let end = Waitable::new(instance, Kind::End(CopyEnd::new(shared, direction, future)));
            let end = self.waitables.insert(end).map_err(|_| Error::Capacity(Resource::Waitables))?;
            self.shared_mut(shared)?.set_end(direction, end);
            *index = self.add_handle(instance, Handle::Waitable(end))?;
            self.waitable_mut(end)?.set_handle(*index);
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
    ) -> Result<WaitableId, Error> {
        let id = self.end_handle(instance, index, Direction::Read, future, element)?;
        match self.end(id)?.state() {
            CopyState::Idle => {}
            CopyState::Done => return Err(Trap::DoneEnd { action: EndAction::Lift, future }.into()),
            _ => return Err(Trap::BusyEnd { action: EndAction::Lift, future }.into()),
        }
        let waitable = self.waitable_mut(id)?;
        if waitable.in_waitable_set() {
            return Err(Trap::LiftInSet { future }.into());
        }
        waitable.set_handle(0);
        self.instance_mut(instance)?.handles.remove(index);
        Ok(id)
    }

    /// `lower_stream`, `lower_future`: puts a lifted end in an instance's table.
    pub(crate) fn lower_end(&mut self, instance: InstanceId, end: WaitableId) -> Result<u32, Error> {
        let index = self.add_handle(instance, Handle::Waitable(end))?;
        self.waitable_mut(end)?.moved_to(instance, index);
        Ok(index)
    }

    /// `lift_error_context`, `trap_if(not isinstance(.., ErrorContext))`.
    pub(crate) fn error_context_handle(
        &self,
        instance: InstanceId,
        index: u32,
    ) -> Result<ErrorContextId, Error> {
        match self.handle(instance, index)? {
            Handle::ErrorContext(id) => Ok(id),
            other => Err(self.wrong_kind(index, HandleKind::ErrorContext, other)),
        }
    }

    /// `lower_error_context`: one more handle to the same error context.
    pub(crate) fn lower_error_context(
        &mut self,
        instance: InstanceId,
        id: ErrorContextId,
    ) -> Result<u32, Error> {
        let index = self.add_handle(instance, Handle::ErrorContext(id))?;
        self.error_contexts.get_mut(id).ok_or(STALE_CONTEXT)?.add_handle();
        Ok(index)
    }

    /// `error-context.new`, of an error context without handles.
    pub(crate) fn add_error_context(
        &mut self,
        instance: InstanceId,
        context: ErrorContext<P::Message>,
    ) -> Result<u32, Error> {
        if !self.instance(instance)?.handles.has_room(1) {
            return Err(Error::Capacity(Resource::Handles));
        }
        let id = self.error_contexts.insert(context).map_err(|_| Error::Capacity(Resource::ErrorContexts))?;
        self.lower_error_context(instance, id)
    }

    /// `error-context.drop`.
    pub(crate) fn drop_error_context(&mut self, instance: InstanceId, index: u32) -> Result<(), Error> {
        let id = self.error_context_handle(instance, index)?;
        self.instance_mut(instance)?.handles.remove(index);
        self.release_error_context(id);
        Ok(())
    }

    /// 📝 The host makes an error context: its handle, in the table of the host's instance. Of a longer message as many
    /// characters are kept as there is room for.
    ///
    /// # Errors
    /// `Capacity(ErrorContexts | Handles)`; `Misuse` without [`Store::set_host`].
    pub fn host_error_context(&mut self, message: &str) -> Result<u32, Error> {
        let mut context = ErrorContext::new();
        let limit = self.limits().message_bytes;
        let _ = message.chars().all(|c| context.push(c, limit));
        self.add_error_context(self.host_instance()?, context)
    }

    /// 📝 The message of an error context that the host holds.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn host_error_message(&self, handle: u32) -> Result<&str, Error> {
        let id = self.error_context_handle(self.host_instance()?, handle);
        let message = self.error_context(id.map_err(|_| NOT_HELD)?)?.message();
        core::str::from_utf8(message).map_err(|_| Error::Bug("a message that is not UTF-8"))
    }

    /// 📝 The host drops a handle to an error context.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn drop_host_error_context(&mut self, handle: u32) -> Result<(), Error> {
        self.drop_error_context(self.host_instance()?, handle).map_err(|_| NOT_HELD)
    }

    /// A resource that the host holds: its type, its representation, and whether the host owns it.
    ///
    /// # Errors
    /// `Misuse` where the host has no such handle.
    pub fn host_resource(&self, handle: u32) -> Result<ResourceHandle, Error> {
        match self.instance(self.host_instance()?)?.handles.get(handle) {
            Some(Handle::Resource(resource)) => Ok(*resource),
            _ => Err(Error::Misuse("the host holds no resource of this handle")),
        }
    }

    pub(crate) fn host_instance(&self) -> Result<InstanceId, Error> {
        let host = self.host().ok_or(Error::Misuse("the host's options are not set: Store::set_host"))?;
        Ok(self.options(host)?.instance)
    }

    /// A handle to an error context is gone, and the error context with the last one.
    pub(crate) fn release_error_context(&mut self, id: ErrorContextId) {
        if self.error_contexts.get_mut(id).is_some_and(ErrorContext::drop_handle) {
            self.error_contexts.remove(id);
        }
    }

    /// An error context; its handle is gone where the id is stale.
    pub(crate) fn error_context(&self, id: ErrorContextId) -> Result<&ErrorContext<P::Message>, Error> {
        self.error_contexts.get(id).ok_or(STALE_CONTEXT)
    }

    /// A handle that must be a resource of this type.
    pub(crate) fn resource_handle(
        &self,
        instance: InstanceId,
        index: u32,
        ty: ResourceId,
    ) -> Result<ResourceHandle, Error> {
        match self.handle(instance, index)? {
            Handle::Resource(resource) if resource.ty == ty => Ok(resource),
            Handle::Resource(_) => Err(Trap::ResourceType(index).into()),
            other => Err(self.wrong_kind(index, HandleKind::Resource, other)),
        }
    }

    /// `lift_own`.
    pub(crate) fn lift_own(
        &mut self,
        instance: InstanceId,
        index: u32,
        ty: ResourceId,
    ) -> Result<Rep, Error> {
        let handle = self.resource_handle(instance, index, ty)?;
        if handle.num_lends != 0 {
            return Err(Trap::ResourceLent.into());
        }
        if !handle.is_owned() {
            return Err(Trap::NotOwned(index).into());
        }
        self.instance_mut(instance)?.handles.remove(index);
        Ok(handle.rep)
    }

    /// `lift_borrow`: lends the handle until the subtask's resolution is delivered; the host's, until the task resolves.
    pub(crate) fn lift_borrow(
        &mut self,
        instance: InstanceId,
        index: u32,
        ty: ResourceId,
        to: Scope,
    ) -> Result<Rep, Error> {
        let handle = self.resource_handle(instance, index, ty)?;
        let next = *self.lenders(to)?;
        let lend = Lend { instance, handle: index, next };
        let lend = self.lends.insert(lend).map_err(|_| Error::Capacity(Resource::Lends))?;
        *self.lenders(to)? = Some(lend);
        if let Some(Handle::Resource(entry)) = self.instance_mut(instance)?.handles.get_mut(index) {
            entry.num_lends = entry.num_lends.saturating_add(1);
        }
        Ok(handle.rep)
    }

    /// `lenders`.
    fn lenders(&mut self, of: Scope) -> Result<&mut Option<LendId>, Error> {
        match of {
            Scope::Subtask(subtask) => Ok(&mut self.subtask_mut(subtask)?.lenders),
            Scope::Task(task) => Ok(&mut self.task_mut(task)?.lenders),
            Scope::None => Err(Error::Misuse("a borrow needs somebody who lends")),
        }
    }

    /// The half of `deliver_resolve` that gives the lent handles back.
    pub(crate) fn give_back_lends(&mut self, to: Scope) {
        let mut next = self.lenders(to).ok().and_then(Option::take);
        while let Some(lend) = next.and_then(|id| self.lends.remove(id)) {
            next = lend.next;
            if let Ok(instance) = self.instance_mut(lend.instance)
                && let Some(Handle::Resource(entry)) = instance.handles.get_mut(lend.handle)
            {
                entry.num_lends = entry.num_lends.saturating_sub(1);
            }
        }
    }

    /// `lower_own`.
    pub(crate) fn lower_own(&mut self, instance: InstanceId, rep: Rep, ty: ResourceId) -> Result<u32, Error> {
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
    ) -> Result<u32, Error> {
        let resource = self.types().resource(ty).ok_or(Error::Misuse("unknown resource type"))?;
        if resource.instance == instance {
            return Ok(u32::try_from(rep.bits()).map_err(|_| Trap::WideRep)?);
        }
        let handle = ResourceHandle { ty, rep, borrow_scope: Some(task), num_lends: 0 };
        let index = self.add_handle(instance, Handle::Resource(handle))?;
        self.task_mut(task)?.add_borrow()?;
        Ok(index)
    }
}
