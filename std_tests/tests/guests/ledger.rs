//! guests/ledger and guests/teller.

use canon_async_wasmi::Val;

use crate::ways::{Program, Running, strings};

fn program() -> Program {
    Program::new(&["ledger", "teller"])
}

/// Whether the callee's objects are all gone.
fn check_closed(running: &mut Running) {
    while running.store.tick().expect("no trap") {}
    let open = running.call_of(Some("ledger"), "example:ledger/ledger#[static]account.count", &[]);
    assert_eq!(open, Val::U32(0));
}

#[test]
fn resources_are_lent_to_async_calls_and_given_away() {
    program().in_every_way(|running| {
        let lines = [
            "Ann has 42, Bob has 7",
            "to Bob: Ok(())",
            "to Ann: Err(Failure::Short(0))",
            "to herself: Err(Failure::Refused(\"Ann to Ann\"))",
            "both ways: (Ok(()), Ok(()))",
            "withdraw: Ok(39), Ok(19)",
            "open: 2",
            "Ann and Bob have 58",
            "open: 1",
            "closed with 58",
            "open: 0",
        ];
        assert_eq!(running.call("accounts", &[]), strings(&lines));
        check_closed(running);
    });
}

/// The last one's writer is dropped, which writes the default.
#[test]
fn a_future_resolves_to_ok_to_an_error_and_to_what_a_dropped_writer_leaves() {
    program().in_every_way(|running| {
        let lines = ["Ok(48)", "Err(\"51 years are too many\")", "Err(\"nobody knows\")"];
        assert_eq!(running.call("forecasts", &[]), strings(&lines));
        check_closed(running);
    });
}

#[test]
fn resources_travel_in_a_stream_and_those_that_nobody_takes_are_destroyed() {
    program().in_every_way(|running| {
        let all = ["2", "2", "5", "5", "owner 0 and owner 1 and owner 3"];
        assert_eq!(running.call("many", &[Val::U32(5)]), strings(&all));
        check_closed(running);
        let some = [
            "2",
            "2",
            "5",
            "5",
            "10",
            "10",
            "17",
            "17",
            "owner 0 and owner 1 and owner 3 and owner 5 and owner 7",
        ];
        assert_eq!(running.call("many", &[Val::U32(20)]), strings(&some));
        check_closed(running);
    });
}
