//! The texts of all traps.

use canon_async::Trap;
use canon_async::error::{EndAction, HandleKind};
use std_tests::source;

/// The traps that no component can reach here, and why.
pub const UNREACHABLE: [(&str, &str); 2] = [
    (
        "CannotSuspend",
        "wasmi can set every frame aside but those below a realloc, a post-return or a start function, where other traps come first",
    ),
    ("NullThreadFunc", "only `thread.spawn-ref` answers it, which needs shared functions"),
];

/// A text that has to be asserted.
#[derive(Debug)]
pub struct Text {
    /// The trap's variant.
    pub trap: String,
    /// One of these is enough; numbers are `#`.
    pub alternatives: Vec<String>,
}

/// A text with its numbers taken out.
pub fn shape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

fn text(alternatives: &[Trap]) -> Text {
    let debug = format!("{:?}", alternatives[0]);
    let alternatives = alternatives.iter().map(|trap| shape(&trap.to_string())).collect();
    Text { trap: source::identifier(&debug).into(), alternatives }
}

const KINDS: [HandleKind; 9] = [
    HandleKind::Resource,
    HandleKind::Subtask,
    HandleKind::WaitableSet,
    HandleKind::Waitable,
    HandleKind::StreamRead,
    HandleKind::StreamWrite,
    HandleKind::FutureRead,
    HandleKind::FutureWrite,
    HandleKind::ErrorContext,
];

/// Every text that a component can be answered.
pub fn texts() -> Vec<Text> {
    let mut out: Vec<Text> = SIMPLE.iter().map(|trap| text(&[*trap])).collect();
    // The adapter says what wasmi said.
    let engine = shape("wasm `unreachable` instruction executed");
    out.push(Text { trap: "Engine".into(), alternatives: vec![engine] });
    // Every kind that a built-in takes, with any other.
    for expected in KINDS {
        let found = KINDS.iter().filter(|found| **found != expected);
        let traps: Vec<Trap> =
            found.map(|found| Trap::HandleKind { index: 0, expected, found: *found }).collect();
        out.push(text(&traps));
    }
    out.push(text(&[0xd800, 0xdfff, 0x11_0000, u32::MAX].map(Trap::InvalidChar)));
    for future in [false, true] {
        for action in [EndAction::Read, EndAction::Write, EndAction::Lift] {
            out.push(text(&[Trap::BusyEnd { action, future }]));
            out.push(text(&[Trap::DoneEnd { action, future }]));
        }
        for action in [EndAction::DropReadable, EndAction::DropWritable] {
            out.push(text(&[Trap::BusyEnd { action, future }]));
        }
        for action in [EndAction::ForwardReadable, EndAction::ForwardWritable] {
            out.push(text(&[Trap::BusyEnd { action, future }]));
            out.push(text(&[Trap::DoneEnd { action, future }]));
        }
        out.push(text(&[Trap::EndInSet { action: EndAction::Lift, future }]));
        out.push(text(&[Trap::EndInSet { action: EndAction::ForwardReadable, future }]));
        out.push(text(&[Trap::IntraComponent { future }]));
    }
    out
}

const SIMPLE: [Trap; 45] = [
    Trap::CannotLeave,
    Trap::CannotEnter,
    Trap::WideRep,
    Trap::CannotBlockSync,
    Trap::Deadlock,
    Trap::UnknownHandle(0),
    Trap::ResourceType(0),
    Trap::ElementType(0),
    Trap::NotOwned(0),
    Trap::ResourceLent,
    Trap::BorrowsRemain,
    Trap::UnknownThread(0),
    Trap::ThreadNotSuspended(0),
    Trap::NotAsyncLifted,
    Trap::TaskReturnMismatch,
    Trap::TaskResolved,
    Trap::NotCancelled,
    Trap::NoReturn,
    Trap::CallbackCode(3),
    Trap::BackpressureOverflow,
    Trap::BackpressureUnderflow,
    Trap::SetHasWaiters,
    Trap::SetNotEmpty,
    Trap::SyncInSet,
    Trap::SubtaskNotResolved,
    Trap::SubtaskCancelledTwice,
    Trap::SubtaskResolved,
    Trap::NothingToCancel,
    Trap::FutureNotWritten,
    Trap::BufferTooLong,
    Trap::Unaligned,
    Trap::OutOfBounds,
    Trap::ListOutOfBounds,
    Trap::ListTooLong,
    Trap::StringOutOfBounds,
    Trap::StringTooLong,
    Trap::InvalidUtf8,
    Trap::IncompleteUtf8,
    Trap::InvalidUtf16,
    Trap::InvalidDiscriminant { found: 3, cases: 3 },
    Trap::ReallocOutOfBounds,
    Trap::StringReallocOutOfBounds,
    Trap::ReallocUnaligned,
    Trap::UnknownTableElement(0),
    Trap::ThreadFuncType(0),
];
