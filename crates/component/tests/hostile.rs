//! Plans that no translation makes: each rule that the linker relies on, broken, is an error that names the field.

#[path = "common/attacks.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod attacks;
mod common;

use canon_async::spec::PtrType;
use canon_async_component::Plan;
use canon_async_component::plan::{
    BuiltinKind, CoreItem, CoreKind, CoreType, ExportItem, Func, Import, ImportItem, ModuleRef, PlanInstance,
    Step, Value,
};
use canon_async_component::types::{Field, FuncType, Origin, TypeDef, ValType};
use common::plans;

/// What the plan of everything is refused with after a change, by whoever reads it and whoever writes it.
#[track_caller]
fn error(change: impl FnOnce(&mut Plan)) -> String {
    let mut plan = common::plan(plans::EVERYTHING);
    change(&mut plan);
    let text = plan.to_bytes().expect_err("not written").to_string();
    let read = Plan::from_bytes(&plans::unchecked(&plan)).expect_err("not read");
    assert_eq!(read.to_string(), text);
    // Even so the linker ends.
    plans::link(&plan);
    text.strip_prefix("damaged plan: ").expect("a field").into()
}

fn export(instance: u32, name: &str) -> CoreItem {
    CoreItem::Export { instance, name: name.into() }
}

/// The index of the first built-in of a kind.
fn builtin(plan: &Plan, is: impl Fn(&BuiltinKind) -> bool) -> usize {
    plan.builtins.iter().position(|builtin| is(&builtin.kind)).expect("one of its kind")
}

/// The index of the first step of a kind.
fn step(plan: &Plan, is: impl Fn(&Step) -> bool) -> usize {
    plan.steps.iter().position(is).expect("one of its kind")
}

#[test]
fn component_instances_form_a_tree_with_the_root_first() {
    assert_eq!(error(|plan| plan.instances.clear()), "instances: expected the root");
    let at = |index: usize, parent| move |plan: &mut Plan| plan.instances[index] = PlanInstance { parent };
    assert_eq!(
        error(at(0, Some(0))),
        "instances[0].parent: index 0, but there are 0 component instances before it"
    );
    assert_eq!(
        error(at(1, Some(1))),
        "instances[1].parent: index 1, but there are 1 component instances before it"
    );
    assert_eq!(error(at(1, None)), "instances[1].parent: none, as of the root alone");
}

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
fn types_are_made_of_those_before_them() {
    let def = |index: usize, def: TypeDef| move |plan: &mut Plan| plan.types.defs[index] = def;
    let cyclic = |index| TypeDef::List(ValType::Defined(index));
    assert_eq!(error(def(1, cyclic(1))), "types.defs[1]: index 1, but there are 1 types before it");
    assert_eq!(error(def(1, cyclic(9))), "types.defs[1]: index 9, but there are 1 types before it");
    assert_eq!(error(def(0, TypeDef::Own(7))), "types.defs[0]: index 7, but there are 3 resource types");
    assert_eq!(error(def(1, TypeDef::Tuple(vec![]))), "types.defs[1]: expected a part");
    assert_eq!(error(def(1, TypeDef::Record(vec![]))), "types.defs[1]: expected a label");
    assert_eq!(
        error(def(1, TypeDef::FixedList(ValType::U8, 0))),
        "types.defs[1]: expected a length of 1 or more"
    );
    let huge = def(1, TypeDef::FixedList(ValType::U64, u32::MAX));
    assert_eq!(error(huge), "types.defs[1]: a type's size is 2^28 bytes or more");
    let labels = (0..33).map(|label| format!("l{label}")).collect();
    assert_eq!(error(def(5, TypeDef::Flags(labels))), "types.defs[5]: flags must have 1 to 32 labels");
    let twice = TypeDef::Enum(vec!["a".into(), "a".into()]);
    assert_eq!(error(def(4, twice)), "types.defs[4]: \"a\" is there twice");
    let map = TypeDef::Map(ValType::F64, ValType::U8);
    assert_eq!(error(def(11, map)), "types.defs[11]: a key of a type that is none");
    let borrowed = TypeDef::Stream(Some(ValType::Defined(12)));
    assert_eq!(error(def(13, borrowed)), "types.defs[13]: an element with a borrow in it");
}

#[test]
fn a_type_that_nests_too_deep_is_refused() {
    let text = error(|plan| {
        for _ in 0..200 {
            let last = plan.types.defs.len() as u32 - 1;
            plan.types.defs.push(TypeDef::List(ValType::Defined(last)));
        }
    });
    assert!(text.ends_with(": a type nests deeper than 100 levels"), "{text}");
}

#[test]
fn function_types_and_resources_are_within_bounds() {
    let func = |change: fn(&mut FuncType)| move |plan: &mut Plan| change(&mut plan.types.funcs[0]);
    let param = |name: &str, ty| Field { name: name.into(), ty };
    assert_eq!(
        error(func(|func| func.params[0].ty = ValType::Defined(99))),
        "types.funcs[0].params[0].ty: index 99, but there are 18 types"
    );
    assert_eq!(
        error(func(|func| func.result = Some(ValType::Defined(99)))),
        "types.funcs[0].result: index 99, but there are 18 types"
    );
    assert_eq!(
        error(func(|func| func.result = Some(ValType::Defined(12)))),
        "types.funcs[0].result: a type with a borrow in it, which can't be here"
    );
    assert_eq!(
        error(|plan| {
            let params = (0..1001).map(|index| param(&format!("p{index}"), ValType::U8));
            plan.types.funcs[0].params = params.collect();
        }),
        "types.funcs[0].params: 1001 parameters, and 1000 are the most"
    );
    assert_eq!(
        error(|plan| plan.types.funcs[0].params = vec![param("a", ValType::U8), param("a", ValType::U8)]),
        "types.funcs[0].params: \"a\" is there twice"
    );
    let defined = Origin::Defined { instance: 9, rep: PtrType::I32 };
    assert_eq!(
        error(|plan| plan.types.resources[1].origin = defined),
        "types.resources[1].origin.instance: index 9, but there are 2 component instances"
    );
}

#[test]
fn imports_and_what_they_are_of_fit_each_other() {
    let item = |index: usize, item| move |plan: &mut Plan| plan.imports[index].item = item;
    let cases = [
        (ImportItem::Func(99), "imports[2]: index 99, but there are 5 imported functions"),
        (ImportItem::Module(99), "imports[2]: index 99, but there are 1 imported core modules"),
        (ImportItem::Value(99), "imports[2]: index 99, but there are 1 imported values"),
        (ImportItem::Resource(99), "imports[2]: index 99, but there are 3 resource types"),
        (ImportItem::Type(ValType::Defined(99)), "imports[2]: index 99, but there are 18 types"),
        (ImportItem::OtherType, "import_funcs[2]: no import is of it"),
        (ImportItem::Func(4), "import_funcs[4].path: \"all\" is not the path of imports[2]"),
    ];
    for (of, expected) in cases {
        assert_eq!(error(item(2, of)), expected);
    }
    assert_eq!(
        error(|plan| plan.imports[3].name = plan.imports[2].name.clone()),
        "imports[3]: the name \"plain\" is there twice"
    );
    assert_eq!(
        error(|plan| plan.import_funcs[1].path = "a:b/host@1.2.3#f".into()),
        "import_funcs[1].path: \"a:b/host@1.2.3#f\" is not the path of imports[0].item[2].item[0]"
    );
    assert_eq!(
        error(|plan| plan.import_funcs[1].ty = 99),
        "import_funcs[1].ty: index 99, but there are 9 function types"
    );
    assert_eq!(
        error(|plan| plan.import_values[0].ty = ValType::Defined(99)),
        "import_values[0].ty: index 99, but there are 18 types"
    );
    assert_eq!(
        error(|plan| plan.types.resources[0].origin = Origin::Imported { path: "elsewhere".into() }),
        "types.resources[0].path: \"elsewhere\" is not the path of imports[0].item[0]"
    );
    // One function, imported twice at one path.
    assert_eq!(
        error(|plan| {
            let inner = vec![plan.imports[2].clone(), plan.imports[2].clone()];
            plan.imports[2].item = ImportItem::Instance(inner);
            plan.import_funcs[2].path = "plain#plain".into();
        }),
        "imports[2].item[1]: the name \"plain\" is there twice"
    );
}

#[test]
fn imports_and_exports_nest_32_levels_at_most() {
    let nested = |levels: usize| {
        let mut plan = common::plan("(component)");
        for _ in 0..levels {
            let item = ImportItem::Instance(std::mem::take(&mut plan.imports));
            plan.imports = vec![Import { name: "i".into(), attributes: Default::default(), item }];
        }
        plan
    };
    let plan = nested(32);
    assert_eq!(Plan::from_bytes(&plan.to_bytes().unwrap()).unwrap(), plan);
    let error = nested(33).to_bytes().unwrap_err().to_string();
    assert!(
        error.starts_with("damaged plan: imports[0].item[0]")
            && error.ends_with("nests deeper than 32 levels")
    );
    // The translation has the same limit.
    let component = |levels: usize| {
        let instance = |inner| format!("(instance (export \"i\" {inner}))");
        let inner = (0..levels).fold("(func)".to_string(), |inner, _| instance(inner));
        format!("(component (import \"i\" {inner}))")
    };
    let plan = common::plan(&component(32));
    assert_eq!(Plan::from_bytes(&plan.to_bytes().unwrap()).unwrap(), plan);
    let error = common::refused(&component(33), &Default::default());
    let expected =
        "component too large: 33 levels of nesting in imports and exports, at most 32 (fixed), at offset 0x";
    assert!(error.starts_with(expected), "{error}");
}

#[test]
fn steps_use_what_is_there_before_them() {
    let first = |plan: &mut Plan, step| plan.steps.insert(0, step);
    assert_eq!(error(|p| first(p, Step::Options(99))), "steps[0]: index 99, but there are 9 options");
    assert_eq!(error(|p| first(p, Step::Lift(99))), "steps[0]: index 99, but there are 4 lifts");
    assert_eq!(error(|p| first(p, Step::Builtin(99))), "steps[0]: index 99, but there are 50 builtins");
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
        "steps[2].imports[1].item: index 99, but there are 50 builtins"
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
        "lifts[0].func: index 99, but there are 50 builtins"
    );
}

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
    assert_eq!(with!(FutureNew, future = 99), "future: index 99, but there are 18 types");
    assert_eq!(with!(FutureRead, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureWrite, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureCancelRead, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureCancelWrite, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureDropReadable, future = 16), "future: expected a future, found stream");
    assert_eq!(with!(FutureDropWritable, future = 16), "future: expected a future, found stream");
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

#[test]
fn exports_are_of_what_has_been_made() {
    let with = |item: ExportItem| error(|plan| plan.exports[1].item = item);
    assert_eq!(with(ExportItem::Func(Func::Lift(99))), "exports[1]: index 99, but there are 4 lifts");
    assert_eq!(
        with(ExportItem::Func(Func::Import(99))),
        "exports[1]: index 99, but there are 5 imported functions"
    );
    assert_eq!(with(ExportItem::Resource(99)), "exports[1]: index 99, but there are 3 resource types");
    assert_eq!(with(ExportItem::Type(ValType::Defined(99))), "exports[1]: index 99, but there are 18 types");
    assert_eq!(
        with(ExportItem::Module(ModuleRef::Inline(99))),
        "exports[1]: index 99, but there are 3 core modules"
    );
    assert_eq!(
        with(ExportItem::Value(Value::Start(9), ValType::U32)),
        "exports[1]: index 9, but there are 1 start functions so far"
    );
    assert_eq!(
        with(ExportItem::Value(Value::Start(0), ValType::String)),
        "exports[1]: expected a value of type string, found u32"
    );
    assert_eq!(
        error(|plan| plan.exports[2].name = plan.exports[1].name.clone()),
        format!(
            "exports[2]: the name \"{}\" is there twice",
            common::plan(plans::EVERYTHING).exports[1].name
        )
    );
}
