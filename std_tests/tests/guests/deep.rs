//! guests/deep: what ordinary programs recurse for fits the defaults.

use canon_async_wasmi::Val;

use crate::ways::Program;

#[test]
fn a_list_of_a_hundred_thousand_nodes_drops_itself() {
    Program::new(&["deep"]).each_way(|running| {
        assert_eq!(running.call("drop-list", &[Val::U32(100_000)]), Val::U32(100_000));
    });
}

#[test]
fn an_interpreter_of_four_thousand_frames_runs() {
    Program::new(&["deep"]).each_way(|running| {
        assert_eq!(running.call("evaluate", &[Val::U32(4_000)]), Val::U32(4_001));
    });
}
