//! What is done, in which order: options, lifts, destructors, start functions.

use canon_async_component::Plan;
use canon_async_component::plan::{CoreItem, Func, Step, Value};
use canon_async_component::types::ValType;

use crate::common;
use crate::common::plans;
use crate::{error, export, step};

#[test]
fn steps_use_what_is_there_before_them() {
    let first = |plan: &mut Plan, step| plan.steps.insert(0, step);
    assert_eq!(error(|p| first(p, Step::Options(99))), "steps[0]: index 99, but there are 9 options");
    assert_eq!(error(|p| first(p, Step::Lift(99))), "steps[0]: index 99, but there are 4 lifts");
    assert_eq!(error(|p| first(p, Step::Builtin(99))), "steps[0]: index 99, but there are 52 builtins");
    assert_eq!(
        error(|p| first(p, Step::Options(0))),
        "options[0].memory: index 0, but there are 0 core instances so far"
    );
    assert_eq!(
        error(|p| first(p, Step::Lift(3))),
        "lifts[3].func: index 0, but there are 0 core instances so far"
    );
    assert_eq!(
        error(|p| p.steps.push(Step::Options(0))),
        format!("steps[{}]: options[0] is made twice", common::plan(plans::EVERYTHING).steps.len())
    );
    assert_eq!(
        error(|plan| {
            let at = step(plan, |step| *step == Step::Builtin(5));
            plan.steps.remove(at);
        }),
        "builtins[5]: no step makes it"
    );
    assert_eq!(
        error(|plan| {
            let at = step(plan, |step| *step == Step::Options(2));
            plan.steps.swap(at, at + 1);
        }),
        "builtins[21].kind.options: options[2], options that no step before has made"
    );
}

#[test]
fn destructors_are_of_resources_of_the_component() {
    let with = |resource, func: CoreItem| {
        error(move |plan| {
            let at = step(plan, |step| matches!(step, Step::Destructor { .. }));
            plan.steps[at] = Step::Destructor { resource, func };
        })
    };
    assert_eq!(with(9, export(0, "dtor")), "steps[3].resource: index 9, but there are 3 resource types");
    assert_eq!(with(0, export(0, "dtor")), "steps[3].resource: a resource type that is imported");
    assert_eq!(with(1, export(3, "dtor")), "steps[3].func: index 3, but there are 3 core instances so far");
    assert_eq!(with(2, export(0, "dtor")), "steps[4].resource: types.resources[2] is made twice");
}

#[test]
fn options_are_consistent() {
    let with =
        |change: fn(&mut canon_async_component::plan::Options)| error(|plan| change(&mut plan.options[7]));
    assert_eq!(with(|o| o.instance = 9), "options[7].instance: index 9, but there are 2 component instances");
    assert_eq!(
        with(|o| o.memory = Some(export(9, "mem"))),
        "options[7].memory: index 9, but there are 4 core instances so far"
    );
    assert_eq!(
        with(|o| o.memory = Some(CoreItem::Builtin(0))),
        "options[7].memory: a built-in, expected a core memory"
    );
    assert_eq!(
        with(|o| o.realloc = Some(export(9, "r"))),
        "options[7].realloc: index 9, but there are 4 core instances so far"
    );
    assert_eq!(with(|o| o.memory = None), "options[7].realloc: there is no memory to allocate in");
    assert_eq!(with(|o| o.is_async = true), "options[7].post_return: only synchronous functions have one");
    assert_eq!(
        with(|o| o.callback = o.post_return.take()),
        "options[7].callback: only asynchronous functions have one"
    );
}

#[test]
fn lifts_have_a_type_and_options_that_are_enough_for_it() {
    let with = |change: fn(&mut Plan)| error(change);
    assert_eq!(with(|p| p.lifts[0].ty = 99), "lifts[0].ty: index 99, but there are 9 function types");
    assert_eq!(with(|p| p.lifts[0].options = 99), "lifts[0].options: index 99, but there are 9 options");
    assert_eq!(
        with(|p| p.lifts[0].options = 1),
        "lifts[0].options: its values are passed in memory, and it names none"
    );
    assert_eq!(
        with(|p| p.lifts[0].options = 4),
        "lifts[0].options: its values have to be allocated, and it names no realloc"
    );
    assert_eq!(
        with(|p| p.lifts[0].func = CoreItem::Builtin(99)),
        "lifts[0].func: index 99, but there are 52 builtins"
    );
}

#[test]
fn start_functions_get_arguments_of_their_types() {
    let with = |change: fn(&mut Func, &mut Vec<Value>)| {
        let text = error(|plan| {
            let at = step(plan, |step| matches!(step, Step::Start { .. }));
            let Step::Start { func, args } = &mut plan.steps[at] else { panic!("a start function") };
            change(func, args);
        });
        text.split_once("].").expect("a step").1.to_string()
    };
    assert_eq!(with(|func, _| *func = Func::Lift(99)), "func: index 99, but there are 4 lifts");
    assert_eq!(with(|_, args| args.clear()), "args: 0 arguments, expected 1");
    assert_eq!(
        with(|_, args| args[0] = Value::Import(9)),
        "args[0]: index 9, but there are 1 imported values"
    );
    assert_eq!(
        with(|_, args| args[0] = Value::Start(0)),
        "args[0]: index 0, but there are 0 start functions so far"
    );
    let text = error(|plan| plan.import_values[0].ty = ValType::String);
    assert!(text.ends_with("].args[0]: expected a value of type u32, found string"), "{text}");
}
