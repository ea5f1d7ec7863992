//! Core modules, and their instances.

use canon_async_component::Plan;
use canon_async_component::plan::{CoreItem, CoreKind, ModuleRef, Step};

use crate::common;
use crate::common::plans;
use crate::{attacks, error, export, step};

/// An engine that translates functions when a module is compiled has an entry for each local.
#[test]
fn core_modules_have_no_more_functions_and_locals_than_an_engine_can_take() {
    // Functions of 4,000,000 locals each, and one that ends too early.
    let module = |functions: u8| {
        let mut bytes = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec();
        bytes.extend([3, functions + 1, functions]);
        bytes.resize(bytes.len() + usize::from(functions), 0);
        bytes.extend([10, 1 + 9 * functions, functions]);
        (0..functions).for_each(|_| bytes.extend([8, 1, 0x80, 0x92, 0xf4, 0x01, 0x7f, 0x0b, 0x0b]));
        bytes
    };
    let bytes =
        |index: usize, bytes: Vec<u8>| move |plan: &mut Plan| plan.modules[index].bytes = bytes.into();
    let expected = "modules[1]: 24000000 locals of functions with those before it, at most 20000000";
    assert_eq!(error(bytes(1, module(6))), expected);
    let mut plan = common::plan(plans::EVERYTHING);
    bytes(1, module(5))(&mut plan);
    assert!(plan.to_bytes().is_ok());
    // The number alone, whatever comes after it.
    let many = b"\0asm\x01\0\0\0\x03\x04\x81\x89\x7a\0".to_vec();
    let expected = "modules[0]: 2000001 functions with those before it, at most 1000000";
    assert_eq!(error(bytes(0, many)), expected);
    // Four instances of a module of 2,000,000 globals.
    let globals = b"\0asm\x01\0\0\0\x06\x04\x80\x89\x7a\0".to_vec();
    let text = error(|plan| {
        let at =
            step(plan, |step| matches!(step, Step::InstantiateCore { module: ModuleRef::Inline(0), .. }));
        let made = plan.steps[at].clone();
        plan.steps.splice(at..at, vec![made; 3]);
        plan.modules[0].bytes = globals.into();
    });
    let expected =
        ": 6000000 imports, functions, globals, exports and elements with those before it, at most 5000000";
    assert!(text.starts_with("steps[") && text.ends_with(expected), "{text}");
    // Cut off anywhere, it is the engine's to refuse.
    let whole = module(6);
    for end in 0..whole.len() - 20 {
        let mut plan = common::plan(plans::EVERYTHING);
        bytes(1, whole[..end].to_vec())(&mut plan);
        assert!(plan.to_bytes().is_ok(), "{end}");
    }
}

/// Branches of four bytes, of each of which the engine makes two kilobytes. The sum of all modules counts.
#[test]
fn core_code_moves_no_more_operands_than_an_engine_can_take() {
    let module = |branches| attacks::branches(branches, 64).finish();
    let set = |plan: &mut Plan, index: usize, branches| plan.modules[index].bytes = module(branches).into();
    let text = error(|plan| {
        set(plan, 0, 90_000);
        set(plan, 1, 90_000);
    });
    let expected =
        ": 10000028 parameters and results of calls and branches with those before it, at most 10000000";
    assert_eq!(text, format!("modules[1]{expected}"));
    let mut plan = common::plan(plans::EVERYTHING);
    set(&mut plan, 0, 90_000);
    set(&mut plan, 1, 70_000);
    assert!(plan.to_bytes().is_ok());
    // A component is no core module: the engine refuses it.
    plan.modules[0].bytes = b"\0asm\x0d\0\x01\0".as_slice().into();
    assert!(plan.to_bytes().is_ok());
}

#[test]
fn core_instances_are_of_modules_and_get_what_is_there() {
    let make = |module, instance| Step::InstantiateCore { module, instance, imports: vec![] };
    assert_eq!(
        error(|plan| plan.steps[0] = make(ModuleRef::Inline(9), 0)),
        "steps[0].module: index 9, but there are 3 core modules"
    );
    assert_eq!(
        error(|plan| plan.steps[0] = make(ModuleRef::Import(9), 0)),
        "steps[0].module: index 9, but there are 1 imported core modules"
    );
    assert_eq!(
        error(|plan| plan.steps[0] = make(ModuleRef::Inline(0), 9)),
        "steps[0].instance: index 9, but there are 2 component instances"
    );
    let import = |kind, item: CoreItem| {
        error(move |plan| {
            let Step::InstantiateCore { imports, .. } = &mut plan.steps[2] else { panic!("libc") };
            (imports[1].kind, imports[1].item) = (kind, item);
        })
    };
    assert_eq!(
        import(CoreKind::Func, export(2, "f")),
        "steps[2].imports[1].item: index 2, but there are 2 core instances so far"
    );
    assert_eq!(
        import(CoreKind::Func, CoreItem::Builtin(99)),
        "steps[2].imports[1].item: index 99, but there are 52 builtins"
    );
    assert_eq!(
        import(CoreKind::Func, CoreItem::Builtin(0)),
        "steps[2].imports[1].item: builtins[0], a core function that no step before has made"
    );
    assert_eq!(
        import(CoreKind::Memory, CoreItem::Builtin(0)),
        "steps[2].imports[1].item: a built-in, expected a core memory"
    );
}
