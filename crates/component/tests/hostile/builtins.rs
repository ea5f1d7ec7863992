//! Built-ins, and the core functions that they make.

use canon_async_component::Plan;
use canon_async_component::plan::{BuiltinKind, CoreItem, CoreType, Func, Step};
use canon_async_component::types::ValType;

use crate::common;
use crate::common::plans;
use crate::{builtin, error, export, step};

#[test]
fn built_ins_name_what_is_there() {
    let with = |is: fn(&BuiltinKind) -> bool, change: fn(&mut BuiltinKind)| {
        let text = error(|plan| {
            let at = builtin(plan, is);
            change(&mut plan.builtins[at].kind);
        });
        text.split_once("].kind.").expect("the kind of a built-in").1.to_string()
    };
    macro_rules! with {
        ($kind:ident, $field:ident = $value:expr) => {
            with(
                |kind| matches!(kind, BuiltinKind::$kind { .. }),
                |kind| {
                    let BuiltinKind::$kind { $field, .. } = kind else { panic!("another kind") };
                    *$field = $value;
                },
            )
        };
    }
    assert_eq!(with!(Lower, func = Func::Import(99)), "func: index 99, but there are 5 imported functions");
    assert_eq!(with!(Lower, func = Func::Lift(99)), "func: index 99, but there are 4 lifts");
    assert_eq!(with!(Lower, func = Func::Lift(0)), "func: lifts[0], a function that no step before has made");
    assert_eq!(with!(Lower, options = 99), "options: index 99, but there are 9 options");
    assert_eq!(with!(ResourceNew, resource = 99), "resource: index 99, but there are 3 resource types");
    assert_eq!(with!(ResourceNew, resource = 0), "resource: a resource type that is imported");
    assert_eq!(with!(ResourceRep, resource = 0), "resource: a resource type that is imported");
    assert_eq!(with!(ResourceDrop, resource = 99), "resource: index 99, but there are 3 resource types");
    assert_eq!(with!(ContextGet, slot = 2), "slot: 2, and 1 is the last");
    assert_eq!(with!(ContextSet, slot = u32::MAX), "slot: 4294967295, and 1 is the last");
    assert_eq!(
        with!(TaskReturn, result = Some(ValType::Defined(12))),
        "result: a type with a borrow in it, which can't be here"
    );
    assert_eq!(
        with!(TaskReturn, result = Some(ValType::Defined(99))),
        "result: index 99, but there are 18 types"
    );
    assert_eq!(
        with!(WaitableSetWait, memory = export(9, "m")),
        "memory: index 9, but there are 3 core instances so far"
    );
    assert_eq!(
        with!(WaitableSetPoll, memory = CoreItem::Builtin(0)),
        "memory: a built-in, expected a core memory"
    );
    assert_eq!(
        with!(ThreadNewIndirect, table = CoreItem::Builtin(0)),
        "table: a built-in, expected a core table"
    );
    assert_eq!(with!(StreamNew, stream = 99), "stream: index 99, but there are 18 types");
    assert_eq!(with!(StreamNew, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamRead, stream = 0), "stream: expected a stream, found r");
    assert_eq!(with!(StreamRead, options = 99), "options: index 99, but there are 9 options");
    assert_eq!(with!(StreamWrite, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamCancelRead, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamCancelWrite, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamDropReadable, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamDropWritable, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(StreamForward, stream = 17), "stream: expected a stream, found future<u32>");
    assert_eq!(with!(FutureNew, future = 99), "future: index 99, but there are 18 types");
    assert_eq!(with!(FutureRead, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureWrite, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureCancelRead, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureCancelWrite, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureDropReadable, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureDropWritable, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureForward, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(ErrorContextNew, options = 99), "options: index 99, but there are 9 options");
}

#[test]
fn built_ins_have_options_that_are_enough_and_no_more() {
    let none = "options: its values are passed in memory, and it names none";
    let realloc = "options: its values have to be allocated, and it names no realloc";
    let with = |is: fn(&BuiltinKind) -> bool, to: u32| {
        let text = error(|plan| {
            // Made where the others are.
            let of = builtin(plan, is);
            let at = step(plan, |step| *step == Step::Builtin(of as u32));
            let (mut options, step) = (plan.options[to as usize].clone(), plan.steps.remove(at));
            options.instance = 1;
            plan.options.push(options);
            let new = plan.options.len() as u32 - 1;
            plan.steps.extend([Step::Options(new), step]);
            let (BuiltinKind::Lower { options, .. }
            | BuiltinKind::TaskReturn { options, .. }
            | BuiltinKind::StreamRead { options, .. }
            | BuiltinKind::StreamWrite { options, .. }
            | BuiltinKind::FutureRead { options, .. }
            | BuiltinKind::FutureWrite { options, .. }
            | BuiltinKind::ErrorContextNew { options }
            | BuiltinKind::ErrorContextDebugMessage { options }) = &mut plan.builtins[of].kind
            else {
                panic!("no options")
            };
            *options = new;
        });
        text.split_once("].kind.").expect("the kind of a built-in").1.to_string()
    };
    // 1 has nothing, 4 a memory, 7 a post-return, 8 a callback.
    assert_eq!(with(|k| matches!(k, BuiltinKind::Lower { func: Func::Import(4), .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::TaskReturn { result: Some(_), .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::StreamRead { stream: 13, .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::StreamRead { stream: 13, .. }), 4), realloc);
    assert_eq!(with(|k| matches!(k, BuiltinKind::StreamWrite { .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::FutureRead { .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::FutureWrite { .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::ErrorContextNew { .. }), 1), none);
    assert_eq!(with(|k| matches!(k, BuiltinKind::ErrorContextDebugMessage { .. }), 4), realloc);
    let more = "options: a callback or a post-return, which only lifted functions have";
    assert_eq!(with(|k| matches!(k, BuiltinKind::StreamWrite { .. }), 7), more);
    assert_eq!(with(|k| matches!(k, BuiltinKind::Lower { .. }), 8), more);
}

#[test]
fn core_functions_are_of_their_built_ins_type() {
    let first = |plan: &Plan| plan.builtins[0].core_type;
    assert_eq!(
        error(|plan| plan.builtins[0].core_type = 99),
        "builtins[0].core_type: index 99, but there are 12 core function types"
    );
    assert_eq!(
        error(|plan| {
            let index = first(plan) as usize;
            plan.core_types[index].params = vec![CoreType::I32; 18];
        }),
        "builtins[0].core_type: (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) \
         (result i32)) is not the type of resource.new"
    );
    // Each built-in, with the type of another.
    let plan = common::plan(plans::EVERYTHING);
    for index in 0..plan.builtins.len() {
        let odd = plan.core_types.len() as u32;
        let text = error(|plan| {
            plan.core_types.push(canon_async_component::plan::CoreFuncType::new(&[CoreType::F64], &[]));
            plan.builtins[index].core_type = odd;
        });
        let name = plan.builtins[index].name();
        assert_eq!(
            text,
            format!("builtins[{index}].core_type: (func (param f64)) is not the type of {name}")
        );
    }
}
