//! guests/worker, guests/chain and guests/crowd.

use canon_async_wasmi::{Choose, Val};

use crate::ways::{Program, Running};

/// All of them were there at once, and who came last ended first.
#[track_caller]
fn check(running: &mut Running, count: u32) {
    let result = running.call("run", &[Val::U32(count)]);
    let Val::Tuple(fields) = result else { panic!("{result:?}") };
    let [Val::List(order), sum, most] = fields.as_slice() else { panic!("{fields:?}") };
    let squares = (0..u64::from(count)).map(|n| n * n).sum();
    assert_eq!((sum, most), (&Val::U64(squares), &Val::U32(count)));
    let mut order: Vec<u32> =
        order.iter().map(|val| if let Val::U32(n) = val { *n } else { panic!("{val:?}") }).collect();
    // Where several have ended before the caller looks, the scheduler chooses which it sees first.
    if matches!(running.choose, Choose::Seeded(_)) {
        order.sort_by(|a, b| b.cmp(a));
    }
    assert!(order.into_iter().eq((0..count).rev()));
}

#[test]
fn calls_overlap_and_end_in_the_order_of_their_results() {
    for worker in ["worker", "chain"] {
        Program::new(&[worker, "crowd"]).in_every_way(|running| check(running, 20));
    }
}

#[test]
fn a_hundred_calls_let_each_other_run() {
    Program::new(&["worker", "crowd"]).in_some_ways(|running| check(running, 100));
}

/// The callee's tasks wake each other through a stream.
#[test]
fn a_thousand_calls_wake_each_other() {
    Program::new(&["chain", "crowd"]).in_some_ways(|running| check(running, 1000));
}

#[test]
fn joined_calls_answer_in_the_order_of_their_arguments() {
    for worker in ["worker", "chain"] {
        Program::new(&[worker, "crowd"]).in_every_way(|running| {
            for count in [0, 1, 10] {
                let squares = (0..count).map(|n| Val::U64(u64::from(n) * u64::from(n))).collect();
                assert_eq!(running.call("squares", &[Val::U32(count)]), Val::List(squares));
            }
        });
    }
}
