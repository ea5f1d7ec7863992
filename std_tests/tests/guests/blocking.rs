//! guests/blocking.

use canon_async::{Error as CoreError, Trap};
use canon_async_wasmi::Val;

use crate::ways::Program;

#[test]
fn code_that_blocks_is_set_aside_with_its_stack() {
    for worker in ["worker", "chain"] {
        Program::new(&[worker, "blocking"]).in_every_way(|running| {
            let result = running.call("run", &[Val::U32(20)]);
            assert_eq!(result, Val::Tuple(vec![Val::U64(20), Val::U64(2470)]));
        });
    }
}

/// Each call holds the component's exclusive lock, so the crowd that the first one waits for never comes.
#[test]
fn calls_that_block_are_let_in_one_at_a_time() {
    let program = Program::new(&["chain", "blocking", "crowd"]);
    program.in_every_way(|running| {
        assert_eq!(running.call("squares", &[Val::U32(1)]), Val::List(vec![Val::U64(0)]));
    });
    program.each_way(|running| {
        let squares = running.func(None, "squares");
        let error = squares.call(&mut running.store, &[Val::U32(2)]).unwrap_err();
        assert_eq!(error.core(), Some(CoreError::Trap(Trap::Deadlock)));
        running.store.core().check().unwrap();
    });
}
