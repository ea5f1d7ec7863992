//! The host cancels a guest's call, wherever it is: its futures are dropped, which cancels its own calls and copies.

use canon_async_wasmi::Val;

use crate::ways::{Program, string, strings};

#[test]
fn a_cancelled_stream_leaves_nothing_behind() {
    let program = Program::new(&["transform", "feed"]);
    program.cancel_anywhere("run", &[string(&"some text ".repeat(10)), Val::U32(7)]);
    program.cancel_anywhere("head", &[string("and so on, "), Val::U32(20)]);
}

#[test]
fn cancelled_crowds_leave_nothing_behind() {
    Program::new(&["worker", "crowd"]).cancel_anywhere("run", &[Val::U32(5)]);
    Program::new(&["chain", "crowd"]).cancel_anywhere("run", &[Val::U32(5)]);
}

#[test]
fn cancelled_cancellers_leave_nothing_behind() {
    for guests in [&["sleeper", "canceller"][..], &["sleeper", "proxy", "canceller"]] {
        let program = Program::new(guests);
        program.cancel_anywhere("every-second", &[Val::U32(4)]);
        program.cancel_anywhere("race", &[]);
    }
    Program::new(&["sleeper", "canceller"]).cancel_anywhere("doors", &[]);
}

#[test]
fn cancelled_tellers_leave_nothing_behind() {
    let program = Program::new(&["ledger", "teller"]);
    program.cancel_anywhere("accounts", &[]);
    program.cancel_anywhere("forecasts", &[]);
    program.cancel_anywhere("many", &[Val::U32(4)]);
}

#[test]
fn cancelled_logs_leave_nothing_behind() {
    let logs = strings(&["1 info - text abc\n2 info - text abc\n3 info", "1 info - numbers 1 2 3\n2 bad"]);
    Program::new(&["parser", "collector", "logs"]).cancel_anywhere("run", &[logs]);
}
