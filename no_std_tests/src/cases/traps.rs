//! Every trap that one guest can reach alone: one script each.

use crate::op::*;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::{EndAction, Error, HandleKind};
use canon_async::id::TableRef;
use canon_async::storage::Profile;

const S: bool = false;
const F: bool = true;
const NEW: Op = run(StreamNew(STREAM), &[]);
const FNEW: Op = run(FutureNew(FUTURE), &[]);
const SET: Op = run(WaitableSetNew, &[]);
const READ: Op = run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]);
const WRITE: Op = run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(8), k(4)]);
const FREAD: Op = run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(0)]);
const FWRITE: Op = run(FutureWrite(FUTURE, async_opts(A)), &[k(2), k(8)]);
/// In set 3.
const JOIN_R: Op = run(WaitableJoin, &[k(1), k(3)]);
const JOIN_W: Op = run(WaitableJoin, &[k(2), k(3)]);
const TABLE: TableRef = TableRef::from_index(0);

const fn kind(index: u32, expected: HandleKind, found: HandleKind) -> Trap {
    Trap::HandleKind { index, expected, found }
}
const fn busy(action: EndAction, future: bool) -> Trap {
    Trap::BusyEnd { action, future }
}
const fn done(action: EndAction, future: bool) -> Trap {
    Trap::DoneEnd { action, future }
}

trap_cases! {
    // Table.get
    waitable_set_wait_unknown_handle_traps [run(WaitableSetWait(memory(A)), &[k(1), k(0)])] => Trap::UnknownHandle(1);
    waitable_set_wait_handle_zero_traps [run(WaitableSetWait(memory(A)), &[k(0), k(0)])] => Trap::UnknownHandle(0);
    waitable_set_wait_huge_handle_traps [run(WaitableSetWait(memory(A)), &[k(0xffff_ffff), k(0)])]
        => Trap::UnknownHandle(0xffff_ffff);
    waitable_set_wait_freed_handle_traps [SET, run(WaitableSetDrop, &[k(1)]), run(WaitableSetWait(memory(A)), &[k(1), k(0)])]
        => Trap::UnknownHandle(1);
    waitable_set_wait_of_stream_traps [NEW, run(WaitableSetWait(memory(A)), &[k(1), k(0)])]
        => kind(1, HandleKind::WaitableSet, HandleKind::StreamRead);
    waitable_set_poll_of_future_traps [FNEW, run(WaitableSetPoll(memory(A)), &[k(2), k(0)])]
        => kind(2, HandleKind::WaitableSet, HandleKind::FutureWrite);
    waitable_set_poll_unaligned_traps [SET, run(WaitableSetPoll(memory(A)), &[k(1), k(2)])] => Trap::Unaligned;
    waitable_set_poll_out_of_bounds_traps [SET, run(WaitableSetPoll(memory(A)), &[k(1), k(508)])] => Trap::OutOfBounds;
    waitable_set_poll_pointer_wraps_traps [SET, run(WaitableSetPoll(memory(A)), &[k(1), k(0xffff_fffc)])]
        => Trap::OutOfBounds;
    waitable_set_drop_of_stream_traps [NEW, run(WaitableSetDrop, &[k(1)])]
        => kind(1, HandleKind::WaitableSet, HandleKind::StreamRead);
    waitable_set_drop_not_empty_traps [NEW, SET, JOIN_R, run(WaitableSetDrop, &[k(3)])] => Trap::SetNotEmpty;
    waitable_join_unknown_waitable_traps [SET, run(WaitableJoin, &[k(2), k(1)])] => Trap::UnknownHandle(2);
    waitable_join_set_as_waitable_traps [SET, run(WaitableJoin, &[k(1), k(1)])]
        => kind(1, HandleKind::Waitable, HandleKind::WaitableSet);
    waitable_join_waitable_as_set_traps [NEW, run(WaitableJoin, &[k(1), k(2)])]
        => kind(2, HandleKind::WaitableSet, HandleKind::StreamWrite);
    waitable_join_unknown_set_traps [NEW, run(WaitableJoin, &[k(1), k(9)])] => Trap::UnknownHandle(9);
    subtask_cancel_unknown_traps [run(SubtaskCancel { is_async: true }, &[k(1)])] => Trap::UnknownHandle(1);
    subtask_cancel_of_stream_traps [NEW, run(SubtaskCancel { is_async: false }, &[k(1)])]
        => kind(1, HandleKind::Subtask, HandleKind::StreamRead);
    subtask_drop_of_set_traps [SET, run(SubtaskDrop, &[k(1)])]
        => kind(1, HandleKind::Subtask, HandleKind::WaitableSet);
    // stream_copy
    stream_read_unknown_traps [READ] => Trap::UnknownHandle(1);
    stream_read_of_writable_traps [NEW, run(StreamRead(STREAM, async_opts(A)), &[k(2), k(0), k(1)])]
        => kind(2, HandleKind::StreamRead, HandleKind::StreamWrite);
    stream_write_of_readable_traps [NEW, run(StreamWrite(STREAM, async_opts(A)), &[k(1), k(0), k(1)])]
        => kind(1, HandleKind::StreamWrite, HandleKind::StreamRead);
    stream_read_of_future_traps [FNEW, READ] => kind(1, HandleKind::StreamRead, HandleKind::FutureRead);
    stream_read_other_element_traps [NEW, run(StreamRead(STREAM_U32, async_opts(A)), &[k(1), k(0), k(1)])]
        => Trap::ElementType(1);
    stream_read_unit_of_bytes_traps [NEW, run(StreamRead(STREAM_UNIT, async_opts(A)), &[k(1), k(0), k(1)])]
        => Trap::ElementType(1);
    stream_write_other_element_traps [NEW, run(StreamWrite(STREAM_U32, async_opts(A)), &[k(2), k(0), k(1)])]
        => Trap::ElementType(2);
    stream_write_other_element_zero_length_traps [NEW, run(StreamWrite(STREAM_U32, async_opts(A)), &[k(2), k(0), k(0)])]
        => Trap::ElementType(2);
    stream_cancel_write_other_element_traps [NEW, WRITE, run(StreamCancelWrite(STREAM_UNIT, true), &[k(2)])]
        => Trap::ElementType(2);
    stream_drop_readable_other_element_traps [NEW, run(StreamDropReadable(STREAM_BOOL), &[k(1)])] => Trap::ElementType(1);
    stream_drop_writable_other_element_traps [NEW, run(StreamDropWritable(STREAM_UNIT), &[k(2)])] => Trap::ElementType(2);
    future_read_other_element_traps [FNEW, run(FutureRead(FUTURE_BOOL, async_opts(A)), &[k(1), k(0)])]
        => Trap::ElementType(1);
    future_write_other_element_traps [FNEW, run(FutureWrite(FUTURE_UNIT, async_opts(A)), &[k(2), k(0)])]
        => Trap::ElementType(2);
    future_drop_readable_other_element_traps [FNEW, run(FutureDropReadable(FUTURE_BOOL), &[k(1)])] => Trap::ElementType(1);
    stream_read_twice_traps [NEW, READ, READ] => busy(EndAction::Read, S);
    stream_write_twice_traps [NEW, WRITE, WRITE] => busy(EndAction::Write, S);
    stream_read_event_pending_traps [NEW, READ, WRITE, READ] => busy(EndAction::Read, S);
    stream_read_after_dropped_traps [NEW, run(StreamDropWritable(STREAM), &[k(2)]), READ, READ]
        => done(EndAction::Read, S);
    stream_write_after_dropped_traps [NEW, run(StreamDropReadable(STREAM), &[k(1)]), WRITE, WRITE]
        => done(EndAction::Write, S);
    stream_read_sync_in_set_traps [NEW, SET, JOIN_R, run(StreamRead(STREAM, sync_opts(A)), &[k(1), k(0), k(4)])]
        => Trap::SyncInSet;
    stream_write_sync_in_set_traps [NEW, SET, JOIN_W, run(StreamWrite(STREAM, sync_opts(A)), &[k(2), k(0), k(4)])]
        => Trap::SyncInSet;
    // BufferGuestImpl
    stream_read_too_long_traps [NEW, run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1 << 28)])]
        => Trap::BufferTooLong;
    stream_read_unit_too_long_traps
        [run(StreamNew(STREAM_UNIT), &[]), run(StreamRead(STREAM_UNIT, async_opts(A)), &[k(1), k(0), k(1 << 28)])]
        => Trap::BufferTooLong;
    stream_read_out_of_bounds_traps [NEW, run(StreamRead(STREAM, async_opts(A)), &[k(1), k(510), k(4)])]
        => Trap::OutOfBounds;
    stream_write_out_of_bounds_traps [NEW, run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(0xffff_ffff), k(1)])]
        => Trap::OutOfBounds;
    stream_read_size_overflows_traps
        [run(StreamNew(STREAM_U32), &[]), run(StreamRead(STREAM_U32, async_opts(A)), &[k(1), k(0), k((1 << 28) - 1)])]
        => Trap::OutOfBounds;
    stream_read_unaligned_traps
        [run(StreamNew(STREAM_U32), &[]), run(StreamRead(STREAM_U32, async_opts(A)), &[k(1), k(2), k(1)])]
        => Trap::Unaligned;
    // SharedStreamImpl.write: temporary
    stream_write_same_instance_no_number_traps
        [run(StreamNew(STREAM_BOOL), &[]), run(StreamRead(STREAM_BOOL, async_opts(A)), &[k(1), k(0), k(1)]),
         run(StreamWrite(STREAM_BOOL, async_opts(A)), &[k(2), k(0), k(1)])]
        => Trap::IntraComponent { future: S };
    stream_read_same_instance_no_number_zero_length_traps
        [run(StreamNew(STREAM_BOOL), &[]), run(StreamWrite(STREAM_BOOL, async_opts(A)), &[k(2), k(0), k(0)]),
         run(StreamRead(STREAM_BOOL, async_opts(A)), &[k(1), k(0), k(0)])]
        => Trap::IntraComponent { future: S };
    future_write_same_instance_no_number_traps
        [run(FutureNew(FUTURE_BOOL), &[]), run(FutureRead(FUTURE_BOOL, async_opts(A)), &[k(1), k(0)]),
         run(FutureWrite(FUTURE_BOOL, async_opts(A)), &[k(2), k(0)])]
        => Trap::IntraComponent { future: F };
    // cancel_copy
    stream_cancel_read_idle_traps [NEW, run(StreamCancelRead(STREAM, false), &[k(1)])] => Trap::NothingToCancel;
    stream_cancel_write_idle_traps [NEW, run(StreamCancelWrite(STREAM, true), &[k(2)])] => Trap::NothingToCancel;
    stream_cancel_read_of_writable_traps [NEW, WRITE, run(StreamCancelRead(STREAM, true), &[k(2)])]
        => kind(2, HandleKind::StreamRead, HandleKind::StreamWrite);
    stream_cancel_read_twice_traps
        [NEW, READ, run(StreamCancelRead(STREAM, true), &[k(1)]), run(StreamCancelRead(STREAM, true), &[k(1)])]
        => Trap::NothingToCancel;
    stream_cancel_read_sync_in_set_traps [NEW, SET, READ, JOIN_R, run(StreamCancelRead(STREAM, false), &[k(1)])]
        => Trap::SyncInSet;
    future_cancel_write_idle_traps [FNEW, run(FutureCancelWrite(FUTURE, true), &[k(2)])] => Trap::NothingToCancel;
    future_cancel_read_other_element_traps [FNEW, FREAD, run(FutureCancelRead(FUTURE_UNIT, true), &[k(1)])]
        => Trap::ElementType(1);
    // CopyEnd.drop, WritableFutureEnd.drop
    stream_drop_readable_busy_traps [NEW, READ, run(StreamDropReadable(STREAM), &[k(1)])]
        => busy(EndAction::DropReadable, S);
    stream_drop_writable_busy_traps [NEW, WRITE, run(StreamDropWritable(STREAM), &[k(2)])]
        => busy(EndAction::DropWritable, S);
    stream_drop_readable_event_pending_traps [NEW, READ, WRITE, run(StreamDropReadable(STREAM), &[k(1)])]
        => busy(EndAction::DropReadable, S);
    stream_drop_readable_of_writable_traps [NEW, run(StreamDropReadable(STREAM), &[k(2)])]
        => kind(2, HandleKind::StreamRead, HandleKind::StreamWrite);
    stream_drop_twice_traps [NEW, run(StreamDropReadable(STREAM), &[k(1)]), run(StreamDropReadable(STREAM), &[k(1)])]
        => Trap::UnknownHandle(1);
    future_drop_writable_unwritten_traps [FNEW, run(FutureDropWritable(FUTURE), &[k(2)])] => Trap::FutureNotWritten;
    future_drop_writable_busy_traps [FNEW, FWRITE, run(FutureDropWritable(FUTURE), &[k(2)])]
        => busy(EndAction::DropWritable, F);
    future_drop_writable_after_cancel_traps
        [FNEW, FWRITE, run(FutureCancelWrite(FUTURE, true), &[k(2)]), run(FutureDropWritable(FUTURE), &[k(2)])]
        => Trap::FutureNotWritten;
    future_drop_readable_busy_traps [FNEW, FREAD, run(FutureDropReadable(FUTURE), &[k(1)])]
        => busy(EndAction::DropReadable, F);
    future_read_twice_traps [FNEW, FREAD, FREAD] => busy(EndAction::Read, F);
    future_write_after_written_traps [FNEW, FREAD, FWRITE, FWRITE] => done(EndAction::Write, F);
    future_write_after_dropped_traps [FNEW, run(FutureDropReadable(FUTURE), &[k(1)]), FWRITE, FWRITE]
        => done(EndAction::Write, F);
    future_read_sync_in_set_traps [FNEW, SET, JOIN_R, run(FutureRead(FUTURE, sync_opts(A)), &[k(1), k(0)])]
        => Trap::SyncInSet;
    future_read_out_of_bounds_traps [FNEW, run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(512)])]
        => Trap::OutOfBounds;
    // canon_thread_*
    thread_new_indirect_past_the_end_traps [run(ThreadNewIndirect(TABLE), &[k(9), k(0)])]
        => Trap::UnknownTableElement(9);
    thread_resume_later_unknown_traps [run(ThreadResumeLater, &[k(7)])] => Trap::UnknownThread(7);
    thread_resume_later_itself_traps [call(ThreadIndex, &[], 0), run(ThreadResumeLater, &[R0])]
        => Trap::ThreadNotSuspended(1);
    thread_suspend_then_resume_unknown_traps [run(ThreadSuspendThenResume, &[k(0)])] => Trap::UnknownThread(0);
    thread_suspend_then_resume_itself_traps [run(ThreadSuspendThenResume, &[k(1)])] => Trap::ThreadNotSuspended(1);
    thread_yield_then_resume_unknown_traps [run(ThreadYieldThenResume, &[k(2)])] => Trap::UnknownThread(2);
    thread_suspend_then_promote_unknown_traps [run(ThreadSuspendThenPromote, &[k(2)])] => Trap::UnknownThread(2);
    thread_yield_then_promote_unknown_traps [run(ThreadYieldThenPromote, &[k(2)])] => Trap::UnknownThread(2);
    // canon_task_return, canon_task_cancel
    task_return_twice_traps [run(task_return(A), &[]), run(task_return(A), &[])] => Trap::TaskResolved;
    task_return_other_type_traps [run(task_return_u32(A), &[k(1)])] => Trap::TaskReturnMismatch;
    task_return_other_memory_traps [run(task_return(B), &[])] => Trap::TaskReturnMismatch;
    task_cancel_not_asked_traps [run(TaskCancel, &[])] => Trap::NotCancelled;
    task_cancel_after_return_traps [run(task_return(A), &[]), run(TaskCancel, &[])] => Trap::TaskResolved;
    lift_exit_without_return_traps [Op::Set(0, k(0))] => Trap::NoReturn;
    // canon_resource_*
    resource_drop_unknown_traps [run(ResourceDrop(RESOURCE), &[k(1)])] => Trap::UnknownHandle(1);
    resource_drop_of_stream_traps [NEW, run(ResourceDrop(RESOURCE), &[k(1)])]
        => kind(1, HandleKind::Resource, HandleKind::StreamRead);
    resource_rep_of_set_traps [SET, run(ResourceRep(RESOURCE), &[k(1)])]
        => kind(1, HandleKind::Resource, HandleKind::WaitableSet);
    resource_drop_twice_traps
        [run(ResourceNew(RESOURCE), &[k(1)]), run(ResourceDrop(RESOURCE), &[k(1)]), run(ResourceDrop(RESOURCE), &[k(1)])]
        => Trap::UnknownHandle(1);
}
