"""The reference, with two things changed: what a trap does to its threads, and what was settled after it or is wrong in it.

The first argument of the program is the folder of definitions.py.
"""

import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1])

import definitions as d
from definitions import *


class Abandoned(BaseException):
    """What ends the continuations that a program leaves behind."""


# Called where a thread blocks in a built-in.
observer = None


def observe(function):
    global observer
    observer = function


# Stack switching: the reference's, but for what a trap does, which there leaves everybody waiting for ever.

continuations = set()


class Continuation:
    def __init__(self):
        self.lock = d.new_already_acquired_lock()
        self.abandoned = False
        continuations.add(self)

    def wait(self):
        self.lock.acquire()
        continuations.discard(self)
        if self.abandoned:
            raise Abandoned()
        d.thread_local_handler.value = self.handler


def cont_new(f):
    cont = Continuation()

    def thread_base():
        block_arg = error = None
        try:
            cont.wait()
            block_arg = f(cont.block_result)
        except Abandoned:
            return
        except BaseException as e:
            error = e
        handler = d.thread_local_handler.value
        handler.cont, handler.block_arg, handler.error = None, block_arg, error
        handler.lock.release()

    thread = threading.Thread(target=thread_base, daemon=True)
    cont.thread = thread
    thread.start()
    return cont


def resume(cont, block_result, current_thread):
    handler = d.Handler()
    handler.lock = d.new_already_acquired_lock()
    handler.current_thread = current_thread
    handler.error = None
    cont.handler, cont.block_result = handler, block_result
    cont.lock.release()
    handler.lock.acquire()
    if handler.error is not None:
        raise handler.error
    return handler.cont, handler.block_arg


def block(switch_to):
    thread = d.current_thread()
    if thread.in_builtin:
        observer(thread)
        thread.parked = True
    cont = Continuation()
    cont.thread = threading.current_thread()
    handler = d.thread_local_handler.value
    handler.cont, handler.block_arg = cont, switch_to
    handler.lock.release()
    cont.wait()
    return cont.block_result


def abandon_all():
    while continuations:
        cont = continuations.pop()
        cont.abandoned = True
        cont.lock.release()
        cont.thread.join()


d.cont_new, d.resume, d.block = cont_new, resume, block
Thread.in_builtin = False
Thread.parked = False

# What was settled after the pinned commit, or is wrong in its definitions.py. docs/architecture.md has the list.

# #705: nothing keeps an instance from being entered again while it runs.
ComponentInstance.may_enter = property(lambda self: False, lambda self, value: None)
ComponentInstance.may_enter_from = lambda self, caller: True
ComponentInstance.enter_from = ComponentInstance.leave_to = lambda self, caller: None

reference_wait_until = Thread.wait_until


def wait_until(self, ready_func, cancellable=False):
    """#707: a cancellation that was requested while the task could not run is delivered as soon as it runs."""
    cancelled = reference_wait_until(self, ready_func, cancellable)
    if not cancelled and self.task.deliver_pending_cancel(cancellable):
        return Cancelled.TRUE
    return cancelled


def wait_for_event_and(self, ready_func, cancellable):
    """#707: and it need not wait for an event."""
    task = d.current_task()

    def ready_and_has_event():
        cancelled = cancellable and task.state == Task.State.PENDING_CANCEL
        return ready_func() and (cancelled or self.has_pending_event())

    self.num_waiting += 1
    cancelled = d.current_thread().wait_until(ready_and_has_event, cancellable)
    event = (EventCode.TASK_CANCELLED, 0, 0) if cancelled else self.get_pending_event()
    self.num_waiting -= 1
    return event


reference_wait_for_pending_event = Waitable.wait_for_pending_event


def wait_for_pending_event(self):
    """`subtask.cancel` waits for the resolution, as its last assertion has it, and not for the news that the callee started."""
    if isinstance(self, Subtask) and not self.resolved():
        self.pending_event = None
    reference_wait_for_pending_event(self)


def canon_subtask_cancel(async_, i):
    """#715: a subtask in a waitable set is not cancelled, with `async` either."""
    subtask = d.current_instance().handles.get(i)
    trap_if(isinstance(subtask, Subtask) and subtask.in_waitable_set())
    return d.canon_subtask_cancel(async_, i)


def not_itself(reference):
    """#687: a thread does not promote itself."""

    def promote(cancellable, i):
        thread = d.current_thread()
        trap_if(not thread.task.inst.may_leave)
        trap_if(thread.task.inst.threads.get(i) is thread)
        return reference(cancellable, i)

    return promote


reference_get_pending_event = Waitable.get_pending_event


def get_pending_event(self):
    """#719: what is told of a stream's copy is DROPPED where the other end is gone by then, whatever it was before."""
    if isinstance(self, CopyEnd) and isinstance(self.shared, SharedStreamImpl) and self.shared.dropped:
        event = self.pending_event
        _, *args = event.args
        self.pending_event = d.partial(event.func, CopyResult.DROPPED, *args, **event.keywords)
    return reference_get_pending_event(self)


def drop_future(self):
    """The reference asserts that the pending buffer of a future whose reader is dropped is one to be written to; it is read."""
    if not self.dropped:
        self.dropped = True
        if self.pending_buffer:
            self.reset_and_notify_pending(CopyResult.DROPPED)


def forward(ReadableEnd, WritableEnd, t, ri, wi):
    """#717, for streams and futures whose ends know each other only by what they share: the two become one."""
    inst = d.current_thread().task.inst
    trap_if(not inst.may_leave)

    def take(End, i):
        end = inst.handles.remove(i)
        trap_if(not isinstance(end, End))
        trap_if(end.shared.t != t.t)
        trap_if(end.state != CopyState.IDLE)
        trap_if(end.in_waitable_set())
        return end.shared

    source, sink = take(ReadableEnd, ri), take(WritableEnd, wi)
    if source.__dict__ is sink.__dict__ or source.dropped or sink.dropped:
        source.drop()
        sink.drop()
        return []
    joined = source if source.pending_buffer else sink
    if source.pending_buffer and sink.pending_buffer:
        # The one with less left comes to the other; a read that has all it asked for makes way.
        left, room = source.pending_buffer.remain(), sink.pending_buffer.remain()
        served = room == 0 and sink.pending_buffer.length > 0
        joined, end = (sink, "write") if served or room > left else (source, "read")
        other = source if joined is sink else sink
        names = ["pending_inst", "pending_buffer", "pending_on_copy", "pending_on_copy_done"]
        getattr(joined, end)(*(getattr(other, name) for name in names if hasattr(other, name)))
    both = [shared for end in (source, sink) for shared in getattr(end, "joined", [end])]
    for shared in both:
        shared.__dict__ = joined.__dict__
    joined.joined = both
    return []


def canon_stream_forward(t, ri, wi):
    return forward(ReadableStreamEnd, WritableStreamEnd, t, ri, wi)


def canon_future_forward(t, ri, wi):
    return forward(ReadableFutureEnd, WritableFutureEnd, t, ri, wi)


def no_longer_cancellable(reference):
    """A thread that runs is not cancelled: the reference forgets to say so of one that calls itself and cancels that."""

    def switch(self, *args):
        cancelled = reference(self, *args)
        self.cancellable = False
        return cancelled

    return switch


d.canon_thread_suspend_then_promote = not_itself(d.canon_thread_suspend_then_promote)
d.canon_thread_yield_then_promote = not_itself(d.canon_thread_yield_then_promote)
Thread.block_internal = no_longer_cancellable(Thread.block_internal)
Thread.switch_to_internal = no_longer_cancellable(Thread.switch_to_internal)
Thread.wait_until = wait_until
WaitableSet.wait_for_event_and = wait_for_event_and
Waitable.get_pending_event = get_pending_event
Waitable.wait_for_pending_event = wait_for_pending_event
SharedFutureImpl.drop = drop_future
d.canon_stream_forward, d.canon_future_forward = canon_stream_forward, canon_future_forward
d.host_defined_transformation = lambda s: s
