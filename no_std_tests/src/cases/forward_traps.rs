//! `{stream,future}.forward`: every trap, one script each.

use crate::op::*;
use crate::world::*;
use canon_async::Trap;
use canon_async::canon::Builtin::*;
use canon_async::error::{EndAction, Error, HandleKind};
use canon_async::storage::Profile;

const S: bool = false;
const F: bool = true;
const NEW: Op = run(StreamNew(STREAM), &[]);
const FNEW: Op = run(FutureNew(FUTURE), &[]);
const SET: Op = run(WaitableSetNew, &[]);
const FORWARD: Op = run(StreamForward(STREAM), &[k(1), k(4)]);
const FFORWARD: Op = run(FutureForward(FUTURE), &[k(1), k(4)]);

const fn kind(index: u32, expected: HandleKind, found: HandleKind) -> Trap {
    Trap::HandleKind { index, expected, found }
}
const fn busy(action: EndAction, future: bool) -> Trap {
    Trap::BusyEnd { action, future }
}
const fn done(action: EndAction, future: bool) -> Trap {
    Trap::DoneEnd { action, future }
}
const fn in_set(action: EndAction, future: bool) -> Trap {
    Trap::EndInSet { action, future }
}

trap_cases! {
    stream_forward_unknown_readable_traps [NEW, run(StreamForward(STREAM), &[k(3), k(2)])] => Trap::UnknownHandle(3);
    stream_forward_unknown_writable_traps [NEW, run(StreamForward(STREAM), &[k(1), k(0)])] => Trap::UnknownHandle(0);
    // The readable end is out of the table by then.
    stream_forward_same_handle_traps [NEW, run(StreamForward(STREAM), &[k(1), k(1)])] => Trap::UnknownHandle(1);
    stream_forward_swapped_traps [NEW, run(StreamForward(STREAM), &[k(2), k(1)])]
        => kind(2, HandleKind::StreamRead, HandleKind::StreamWrite);
    stream_forward_readable_as_writable_traps [NEW, NEW, run(StreamForward(STREAM), &[k(1), k(3)])]
        => kind(3, HandleKind::StreamWrite, HandleKind::StreamRead);
    stream_forward_of_future_traps [FNEW, run(StreamForward(STREAM), &[k(1), k(2)])]
        => kind(1, HandleKind::StreamRead, HandleKind::FutureRead);
    stream_forward_to_future_traps [NEW, FNEW, FORWARD] => kind(4, HandleKind::StreamWrite, HandleKind::FutureWrite);
    stream_forward_set_traps [SET, NEW, run(StreamForward(STREAM), &[k(1), k(3)])]
        => kind(1, HandleKind::StreamRead, HandleKind::WaitableSet);
    stream_forward_other_element_traps [NEW, run(StreamForward(STREAM_U32), &[k(1), k(2)])] => Trap::ElementType(1);
    stream_forward_from_other_element_traps [run(StreamNew(STREAM_UNIT), &[]), NEW, FORWARD] => Trap::ElementType(1);
    stream_forward_to_other_element_traps [NEW, run(StreamNew(STREAM_UNIT), &[]), FORWARD] => Trap::ElementType(4);
    stream_forward_readable_busy_traps
        [NEW, NEW, run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(4)]), FORWARD]
        => busy(EndAction::ForwardReadable, S);
    stream_forward_writable_busy_traps
        [NEW, NEW, run(StreamWrite(STREAM, async_opts(A)), &[k(4), k(0), k(4)]), FORWARD]
        => busy(EndAction::ForwardWritable, S);
    stream_forward_readable_event_pending_traps
        [NEW, NEW, run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]),
         run(StreamWrite(STREAM, async_opts(A)), &[k(2), k(0), k(1)]), FORWARD]
        => busy(EndAction::ForwardReadable, S);
    stream_forward_readable_done_traps
        [NEW, NEW, run(StreamDropWritable(STREAM), &[k(2)]),
         run(StreamRead(STREAM, async_opts(A)), &[k(1), k(0), k(1)]), FORWARD]
        => done(EndAction::ForwardReadable, S);
    stream_forward_writable_done_traps
        [NEW, NEW, run(StreamDropReadable(STREAM), &[k(3)]),
         run(StreamWrite(STREAM, async_opts(A)), &[k(4), k(0), k(1)]), FORWARD]
        => done(EndAction::ForwardWritable, S);
    stream_forward_readable_in_set_traps [NEW, NEW, SET, run(WaitableJoin, &[k(1), k(5)]), FORWARD]
        => in_set(EndAction::ForwardReadable, S);
    stream_forward_writable_in_set_traps [NEW, NEW, SET, run(WaitableJoin, &[k(4), k(5)]), FORWARD]
        => in_set(EndAction::ForwardWritable, S);
    stream_forward_again_traps [NEW, NEW, FORWARD, FORWARD] => Trap::UnknownHandle(1);
    stream_forward_then_drop_readable_traps [NEW, NEW, FORWARD, run(StreamDropReadable(STREAM), &[k(1)])]
        => Trap::UnknownHandle(1);
    stream_forward_then_drop_writable_traps [NEW, NEW, FORWARD, run(StreamDropWritable(STREAM), &[k(4)])]
        => Trap::UnknownHandle(4);
    // The copies that meet are of one instance.
    stream_forward_meets_within_instance_traps
        [run(StreamNew(STREAM_BOOL), &[]), run(StreamNew(STREAM_BOOL), &[]),
         run(StreamWrite(STREAM_BOOL, async_opts(A)), &[k(2), k(0), k(1)]),
         run(StreamRead(STREAM_BOOL, async_opts(A)), &[k(3), k(0), k(1)]),
         run(StreamForward(STREAM_BOOL), &[k(1), k(4)])]
        => Trap::IntraComponent { future: S };
    future_forward_swapped_traps [FNEW, run(FutureForward(FUTURE), &[k(2), k(1)])]
        => kind(2, HandleKind::FutureRead, HandleKind::FutureWrite);
    future_forward_of_stream_traps [NEW, run(FutureForward(FUTURE), &[k(1), k(2)])]
        => kind(1, HandleKind::FutureRead, HandleKind::StreamRead);
    future_forward_other_element_traps [FNEW, run(FutureForward(FUTURE_UNIT), &[k(1), k(2)])] => Trap::ElementType(1);
    future_forward_readable_busy_traps
        [FNEW, FNEW, run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(0)]), FFORWARD]
        => busy(EndAction::ForwardReadable, F);
    future_forward_writable_busy_traps
        [FNEW, FNEW, run(FutureWrite(FUTURE, async_opts(A)), &[k(4), k(0)]), FFORWARD]
        => busy(EndAction::ForwardWritable, F);
    future_forward_after_read_traps
        [FNEW, FNEW, run(FutureWrite(FUTURE, async_opts(A)), &[k(2), k(0)]),
         run(FutureRead(FUTURE, async_opts(A)), &[k(1), k(8)]), FFORWARD]
        => done(EndAction::ForwardReadable, F);
    future_forward_after_write_traps
        [FNEW, FNEW, run(FutureRead(FUTURE, async_opts(A)), &[k(3), k(0)]),
         run(FutureWrite(FUTURE, async_opts(A)), &[k(4), k(8)]), FFORWARD]
        => done(EndAction::ForwardWritable, F);
    future_forward_after_write_dropped_traps
        [FNEW, FNEW, run(FutureDropReadable(FUTURE), &[k(3)]),
         run(FutureWrite(FUTURE, async_opts(A)), &[k(4), k(8)]), FFORWARD]
        => done(EndAction::ForwardWritable, F);
    future_forward_in_set_traps [FNEW, FNEW, SET, run(WaitableJoin, &[k(1), k(5)]), FFORWARD]
        => in_set(EndAction::ForwardReadable, F);
    future_forward_meets_within_instance_traps
        [run(FutureNew(FUTURE_BOOL), &[]), run(FutureNew(FUTURE_BOOL), &[]),
         run(FutureWrite(FUTURE_BOOL, async_opts(A)), &[k(2), k(0)]),
         run(FutureRead(FUTURE_BOOL, async_opts(A)), &[k(3), k(0)]),
         run(FutureForward(FUTURE_BOOL), &[k(1), k(4)])]
        => Trap::IntraComponent { future: F };
}
