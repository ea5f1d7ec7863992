//! Core modules against the types that they are imported with: each way in which one does not fit, and how
//! that is said.

mod common;

use canon_async_component::plan::{
    CoreAbstract, CoreComposite, CoreDef, CoreHeap, CoreItemType, CoreRef, CoreSignature, CoreType,
    CoreTypes, CoreValType, ModuleType,
};
use canon_async_component::{Linker, Plan, PlanError, PlanLimits, instantiate};
use common::engine::{Closure, FakeEngine};
use common::{everything, plan, refused, try_plan};

/// A component that imports a module of this type as `m`.
fn importer(ty: &str) -> Plan {
    let text = format!("(component (import \"m\" (core module {ty})))");
    try_plan(&text, &everything()).unwrap_or_else(|error| panic!("{ty}: {error}"))
}

fn module_type(ty: &str) -> ModuleType {
    importer(ty).import_modules[0].ty.clone()
}

/// What linking says where a module of type `found` is given for one of type `expected`.
fn link(expected: &Plan, found: &ModuleType) -> String {
    let mut e = FakeEngine::new();
    e.module_type = Some(found.clone());
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.module("m", 0);
    // What is said of a plan that was bytes is the same.
    let bytes = expected.to_bytes().unwrap();
    let read = Plan::from_bytes(&bytes).unwrap();
    assert_eq!(read, *expected);
    match instantiate(&mut e, &read, &linker) {
        Ok(_) => "ok".to_string(),
        Err(error) => error.to_string(),
    }
}

fn types(expected: &str, found: &str) -> String {
    link(&importer(expected), &module_type(found))
}

/// Of an export `x`, in both directions: what is found as an export where the other is expected, and what is
/// offered as an import where it is needed. Without the part of the message that is always the same.
fn item(expected: &str, found: &str, types_of_both: &str) -> String {
    let exported = |ty: &str| format!("{types_of_both} (export \"x\" {ty})");
    let imported = |ty: &str| format!("{types_of_both} (import \"\" \"x\" {ty})");
    let as_export = types(&exported(expected), &exported(found));
    let as_import = types(&imported(found), &imported(expected));
    let export = as_export.strip_prefix("import \"m\": export \"x\": ").unwrap_or(&as_export);
    let import = as_import.strip_prefix("import \"m\": import \"\" \"x\": ").unwrap_or(&as_import);
    // An import that is offered takes the place of the one that is found.
    let swapped = export.strip_prefix("expected ").and_then(|rest| rest.split_once(", found "));
    match swapped {
        Some((expected, found)) => assert_eq!(import, format!("expected {found}, found {expected}")),
        None => assert_eq!(import, export),
    }
    export.to_string()
}

#[test]
fn a_module_that_imports_less_and_exports_more_fits() {
    let expected =
        r#"(import "env" "log" (func (param i32))) (import "env" "other" (func)) (export "run" (func))"#;
    let found =
        r#"(import "env" "log" (func (param i32))) (export "run" (func)) (export "mem" (memory i64 1))"#;
    assert_eq!(types(expected, found), "ok");
    let cases = [
        (
            r#"(export "run" (func))"#,
            r#"import "m": import "env" "log": expected none, found (func (param i32))"#,
        ),
        (
            r#"(import "env" "log" (memory 1))"#,
            r#"import "m": import "env" "log": expected (memory 1), found (func (param i32))"#,
        ),
        (
            r#"(import "env" "log" (func (param i32))) (export "start" (func))"#,
            r#"import "m": export "start": expected (func), found none"#,
        ),
        (
            r#"(import "env" "log" (func (param i32))) (export "run" (func (result f32)))"#,
            r#"import "m": export "run": expected (func (result f32)), found (func)"#,
        ),
    ];
    for (expected, message) in cases {
        assert_eq!(types(expected, found), message);
    }
}

#[test]
fn tables_memories_and_globals_that_differ_are_both_shown() {
    let cases = [
        ("(table 1 funcref)", "(table 2 funcref)", true),
        ("(table 2 funcref)", "(table 1 funcref)", false),
        ("(table 1 9 funcref)", "(table 1 funcref)", false),
        ("(table 1 9 funcref)", "(table 1 9 funcref)", true),
        ("(table 1 9 funcref)", "(table 1 10 funcref)", false),
        ("(table 1 funcref)", "(table 1 externref)", false),
        ("(table 1 funcref)", "(table i64 1 funcref)", false),
        ("(table i64 1 funcref)", "(table i64 1 2 funcref)", true),
        // Elements are read and written.
        ("(table 1 funcref)", "(table 1 (ref func))", false),
        ("(table 1 anyref)", "(table 1 eqref)", false),
        ("(memory 1)", "(memory 2 3)", true),
        ("(memory 2)", "(memory 1)", false),
        ("(memory 1 2)", "(memory 1)", false),
        ("(memory 1 2)", "(memory 1 3)", false),
        ("(memory i64 1 2)", "(memory 1 2)", false),
        ("(memory 1 2)", "(memory 1 2 shared)", false),
        ("(memory 1 2 shared)", "(memory 1 2)", false),
        ("(memory 1 2 shared)", "(memory 2 2 shared)", true),
        ("(memory 1)", "(memory 1 (pagesize 1))", false),
        ("(memory i64 1 2 (pagesize 1))", "(memory i64 1 2 (pagesize 1))", true),
        ("(global i32)", "(global i64)", false),
        ("(global i32)", "(global (mut i32))", false),
        ("(global (mut v128))", "(global (mut v128))", true),
        ("(global (mut v128))", "(global v128)", false),
        // What does not change may be less, what changes may not.
        ("(global funcref)", "(global (ref func))", true),
        ("(global (mut funcref))", "(global (mut (ref func)))", false),
        ("(global anyref)", "(global i31ref)", true),
        ("(global i31ref)", "(global anyref)", false),
        ("(global eqref)", "(global nullref)", true),
        ("(global structref)", "(global arrayref)", false),
        ("(global externref)", "(global nullexternref)", true),
        ("(global exnref)", "(global nullexnref)", true),
        ("(global funcref)", "(global nullfuncref)", true),
        ("(global funcref)", "(global nullref)", false),
        ("(global (ref null (shared any)))", "(global anyref)", false),
        ("(memory 1)", "(global i32)", false),
        ("(func)", "(tag)", false),
        ("(tag (param i32))", "(tag (param i32))", true),
        ("(tag (param i32))", "(tag (param i64))", false),
    ];
    for (expected, found, fits) in cases {
        let message = match fits {
            true => "ok".to_string(),
            false => format!("expected {expected}, found {found}"),
        };
        assert_eq!(item(expected, found, ""), message);
        assert_eq!(item(expected, expected, ""), "ok");
        assert_eq!(item(found, found, ""), "ok");
    }
}

#[test]
fn functions_are_compared_with_the_references_in_their_types() {
    let cases = [
        ("(func (param i32))", "(func (param externref))"),
        ("(func (param externref))", "(func (param funcref))"),
        ("(func (result i32 i64))", "(func (result i64 i32))"),
        ("(func (param v128))", "(func (param i64 i64))"),
        // Function types have no subtypes that they don't declare.
        ("(func (param (ref func)))", "(func (param funcref))"),
        ("(func (result funcref))", "(func (result (ref func)))"),
        ("(func (param (ref null (shared func))))", "(func (param funcref))"),
    ];
    for (expected, found) in cases {
        assert_eq!(item(expected, found, ""), format!("expected {expected}, found {found}"));
        assert_eq!(item(expected, expected, ""), "ok");
    }
}

/// Types are equal by what they are, wherever they stand and whatever else is there.
#[test]
fn typed_references_are_compared_by_structure() {
    let found = module_type(
        r#"(type $unused (struct))
        (type $a (func (param i32))) (type $b (func (param (ref $a)) (result (ref null $a))))
        (export "x" (func (type $b)))"#,
    );
    let expected = |inner: &str| {
        importer(&format!(
            r#"(type $i (func {inner})) (type $o (func (param (ref $i)) (result (ref null $i))))
            (type $j (func)) (export "x" (func (type $o)))"#
        ))
    };
    assert_eq!(link(&expected("(param i32)"), &found), "ok");
    assert_eq!(
        link(&expected("(param i64)"), &found),
        "import \"m\": export \"x\": expected (func (param (ref (func (param i64)))) (result (ref null (func (param i64))))), \
         found (func (param (ref (func (param i32)))) (result (ref null (func (param i32)))))"
    );
    // By number: the text format knows no names here.
    let types = "(type (func)) (type (struct (field (mut i8)))) (type (array i16))";
    for (expected, found, message) in [
        ("(global funcref)", "(global (ref 0))", "ok"),
        ("(global (ref null 0))", "(global nullfuncref)", "ok"),
        ("(global structref)", "(global (ref 1))", "ok"),
        ("(global eqref)", "(global (ref null 2))", "ok"),
        ("(global (ref null 2))", "(global nullref)", "ok"),
        (
            "(global funcref)",
            "(global (ref 1))",
            "expected (global funcref), found (global (ref (struct (field (mut i8)))))",
        ),
        (
            "(global (ref 2))",
            "(global (ref 1))",
            "expected (global (ref (array i16))), found (global (ref (struct (field (mut i8)))))",
        ),
        (
            "(global (ref 1))",
            "(global (ref null 1))",
            "expected (global (ref (struct (field (mut i8))))), found (global (ref null (struct (field (mut i8)))))",
        ),
        (
            "(table 1 funcref)",
            "(table 1 (ref null 0))",
            "expected (table 1 funcref), found (table 1 (ref null (func)))",
        ),
    ] {
        assert_eq!(item(expected, found, types), message);
    }
}

#[test]
fn declared_subtypes_fit_and_others_do_not() {
    let types = "(type $top (sub (func (result funcref)))) (type $mid (sub $top (func (result (ref func)))))
        (type $low (sub final $mid (func (result (ref func))))) (type $same (sub (func (result (ref func)))))";
    let def = |name: &str| format!("(func (type ${name}))");
    for (expected, found) in [("top", "top"), ("top", "mid"), ("top", "low"), ("mid", "low")] {
        assert_eq!(item(&def(expected), &def(found), types), "ok", "{expected} {found}");
    }
    for (expected, found) in [("mid", "top"), ("low", "mid"), ("top", "same"), ("same", "mid")] {
        assert!(
            item(&def(expected), &def(found), types).starts_with("expected (func (type (sub "),
            "{expected} {found}"
        );
    }
    let (top, mid) = (
        "(func (type (sub (func (result funcref)))))",
        "(func (type (sub (sub (func (result funcref))) (func (result (ref func))))))",
    );
    assert_eq!(item(&def("mid"), &def("top"), types), format!("expected {mid}, found {top}"));
    // Tags take what they are thrown with and what is caught: neither may be less.
    let tags = "(type $top (sub (func (param i32)))) (type $low (sub $top (func (param i32))))";
    assert_eq!(item("(tag (type $top))", "(tag (type $top))", tags), "ok");
    assert!(item("(tag (type $top))", "(tag (type $low))", tags).starts_with("expected (tag (type (sub "));
}

#[test]
fn recursion_groups_are_compared_as_a_whole() {
    let group = |second: &str| {
        format!(
            r#"(rec (type $a (func (param (ref null $b)))) (type $b (struct (field (ref null $a)) (field {second}))))
            (export "x" (func (type $a)))"#
        )
    };
    let moved = format!("(type $before (func (param f32))) {}", group("i32"));
    assert_eq!(types(&group("i32"), &moved), "ok");
    let shown = |second: &str| {
        format!(
            "(func (type $0 of (rec (type $0 (func (param (ref null $1)))) \
             (type $1 (struct (field (ref null $0)) (field {second}))))))"
        )
    };
    assert_eq!(
        types(&group("i32"), &group("i64")),
        format!("import \"m\": export \"x\": expected {}, found {}", shown("i32"), shown("i64"))
    );
    let own = r#"(type $f (func (param (ref null $f)))) (export "x" (func (type $f)))"#;
    assert_eq!(types(own, own), "ok");
    assert_eq!(
        types(r#"(export "x" (func))"#, own),
        "import \"m\": export \"x\": expected (func), found (func (param (ref null $0)))"
    );
}

/// A type that refers to types can be a small graph that is a large tree.
#[test]
fn what_is_shown_of_a_type_is_bounded() {
    let graph = |leaf: &str| {
        let mut types = format!("(type $t0 (func (param {leaf})))");
        for level in 1..40 {
            let below = format!("(ref $t{})", level - 1);
            types += &format!("(type $t{level} (func (param {below} {below} {below})))");
        }
        format!("{types} (export \"x\" (func (type $t39)))")
    };
    assert_eq!(types(&graph("i32"), &graph("i32")), "ok");
    let message = types(&graph("i32"), &graph("i64"));
    assert!(message.len() < 5_000 && message.contains(" .., found (func (param (ref (func"), "{message}");
    // What is shown may be the same then.
    let long = |last: &str| format!("(export \"x\" (func (param {} {last})))", "externref ".repeat(400));
    let message = types(&long("i32"), &long("i64"));
    assert!(message.ends_with("externref .., which differs in what is not shown"), "{message}");
}

/// A type is looked up by what it is, and an import by its name.
#[test]
fn large_module_types_are_compared_in_time() {
    let large = |types: u32| {
        let mut ty = ModuleType::default();
        for index in 0..types {
            let number = |bit: u32| [CoreType::I32, CoreType::F64][(index >> bit & 1) as usize];
            let mut params: Vec<_> = (0..17).map(|bit| CoreValType::Number(number(bit))).collect();
            params.extend(index.checked_sub(1).map(|before| CoreValType::Ref(defined(before))));
            ty.types.push(CoreDef::func(CoreSignature { params, results: vec![] }));
            ty.imports.push(("env".into(), format!("f{index}"), CoreItemType::Func(index)));
            ty.exports.insert(format!("g{index}"), CoreItemType::Func(index));
        }
        ty
    };
    let mut plan = importer("");
    plan.import_modules[0].ty = large(20_000);
    let mut found = large(20_000);
    assert_eq!(link(&plan, &found), "ok");
    found.types[19_999] = CoreDef::func(CoreSignature::default());
    let message = link(&plan, &found);
    assert!(
        message.starts_with("import \"m\": import \"env\" \"f19999\": expected (func (param f64"),
        "{message}"
    );
}

/// A group of types in a module type counts for as many as it has.
#[test]
fn a_recursion_group_of_a_module_type_is_counted() {
    let types = "(type (func))".repeat(100);
    let text = format!("(component (core type (module (rec {types}))))");
    let options = |items| everything().with_limits(PlanLimits::default().with_items(items));
    assert!(try_plan(&text, &options(110)).is_ok());
    assert!(refused(&text, &options(90)).contains("PlanLimits::items"));
}

/// The types of a module type may come from around it, and it takes no more of them than it needs.
#[test]
fn core_types_of_a_module_type_are_found_wherever_they_are() {
    let text = r#"(component
        (core type $unused (func (param f32)))
        (core type $inner (func (param i64)))
        (core type $outer (func (param i32 (ref $inner))))
        (core type $m (module
            (alias outer 1 $outer (type $a))
            (type $own (func (result i64)))
            (import "env" "a" (func (type $a)))
            (export "b" (func (type $own)))))
        (import "m" (core module (type $m))))"#;
    let plan = try_plan(text, &everything()).unwrap();
    let ty = &plan.import_modules[0].ty;
    assert_eq!(ty.display(ty.imports[0].2).to_string(), "(func (param i32 (ref (func (param i64)))))");
    assert_eq!(ty.display(ty.exports["b"]).to_string(), "(func (result i64))");
    assert_eq!(ty.types.len(), 3);
}

#[test]
fn a_module_type_above_the_limits_is_refused() {
    let options = |items| everything().with_limits(PlanLimits::default().with_items(items));
    let imports: String = (0..50).map(|index| format!("(import \"\" \"f{index}\" (func)) ")).collect();
    let text = format!("(component (import \"m\" (core module {imports})))");
    assert!(try_plan(&text, &options(1_000)).is_ok());
    assert!(refused(&text, &options(100)).contains("PlanLimits::items"));
    // A type that each import takes along.
    let params = "i32 ".repeat(500);
    let many: String = (0..10)
        .map(|index| {
            format!("(import \"m{index}\" (core module (alias outer 1 $f (type $t)) (export \"x\" (func (type $t)))))")
        })
        .collect();
    let text = format!("(component (core type $f (func (param {params}))) {many})");
    assert!(try_plan(&text, &options(10_000)).is_ok());
    assert!(refused(&text, &options(4_000)).contains("PlanLimits::items"));
}

/// A plan whose one module type was changed.
fn damaged(change: impl FnOnce(&mut ModuleType)) -> String {
    let mut plan = importer(
        r#"(type $f (func (param (ref null $f)))) (type $s (sub (struct)))
        (import "" "a" (func (type $f))) (import "" "b" (memory 1 2)) (export "t" (table 1 2 (ref null 1)))
        (export "g" (global (mut funcref)))"#,
    );
    assert!(plan.to_bytes().is_ok());
    change(&mut plan.import_modules[0].ty);
    // Nothing is written that can't be read, and the linker ends on it.
    assert_eq!(plan.to_bytes().unwrap_err(), Plan::from_bytes(&common::plans::unchecked(&plan)).unwrap_err());
    let mut e = FakeEngine::new();
    e.module_type = Some(module_type(""));
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.module("m", 0);
    _ = instantiate(&mut e, &plan, &linker);
    e.module_type = Some(plan.import_modules[0].ty.clone());
    _ = instantiate(&mut e, &plan, &linker);
    match plan.to_bytes() {
        Err(PlanError::Field { path, problem }) => {
            format!("{}: {problem}", path.strip_prefix("import_modules[0].ty.").unwrap_or(&path))
        }
        other => panic!("{other:?}"),
    }
}

fn defined(index: u32) -> CoreRef {
    CoreRef { nullable: true, heap: CoreHeap::Defined(index) }
}

fn sub(supertype: Option<u32>) -> CoreDef {
    let signature = CoreSignature::default();
    CoreDef { is_final: false, supertype, ..CoreDef::func(signature) }
}

#[test]
fn a_damaged_module_type_names_its_field() {
    assert_eq!(
        damaged(|ty| ty.imports[0].2 = CoreItemType::Func(9)),
        "imports[0]: index 9, but there are 2 types"
    );
    assert_eq!(
        damaged(|ty| ty.imports[0].2 = CoreItemType::Tag(1)),
        "imports[0]: types[1] is no function type"
    );
    assert_eq!(damaged(|ty| ty.imports[1].1 = "a".into()), "imports[1]: \"\" \"a\" is there twice");
    assert_eq!(
        damaged(|ty| {
            if let CoreItemType::Memory(memory) = &mut ty.imports[1].2 {
                memory.page_size_log2 = 64;
            }
        }),
        "imports[1].page_size_log2: 64, expected 0 or 16"
    );
    assert_eq!(
        damaged(|ty| {
            if let CoreItemType::Memory(memory) = &mut ty.imports[1].2 {
                memory.limits.min = u64::MAX;
            }
        }),
        "imports[1].limits.max: 2, and the least is 18446744073709551615"
    );
    let with = |ty: &mut ModuleType, name: &str, change: &dyn Fn(&mut CoreItemType)| {
        change(ty.exports.get_mut(name).unwrap());
    };
    assert_eq!(
        damaged(|ty| with(ty, "t", &|item| {
            if let CoreItemType::Table(table) = item {
                table.element = defined(u32::MAX);
            }
        })),
        "exports[1]: index 4294967295, but there are 2 types"
    );
    assert_eq!(
        damaged(|ty| with(ty, "t", &|item| {
            if let CoreItemType::Table(table) = item {
                table.limits.max = Some(0);
            }
        })),
        "exports[1].limits.max: 0, and the least is 1"
    );
    assert_eq!(
        damaged(|ty| with(ty, "g", &|item| {
            if let CoreItemType::Global(global) = item {
                global.content = CoreValType::Ref(defined(2));
            }
        })),
        "exports[0]: index 2, but there are 2 types"
    );
    assert_eq!(
        damaged(|ty| ty.types[0].continues = true),
        "types[0].continues: true, and no type is before it"
    );
    assert_eq!(
        damaged(|ty| ty.types[1].supertype = Some(1)),
        "types[1].supertype: index 1, but there are 1 types before it"
    );
    let params = |index| {
        CoreComposite::Func(CoreSignature { params: vec![CoreValType::Ref(defined(index))], results: vec![] })
    };
    assert_eq!(
        damaged(|ty| ty.types[0].composite = params(1)),
        "types[0]: index 1, but there are 1 types before it and in its group"
    );
    assert_eq!(
        damaged(|ty| ty.types.extend((0..65).map(|at: u32| sub(at.checked_sub(1).map(|at| at + 2))))),
        "types[66].supertype: 64 types above it, at most 63"
    );
}

#[test]
fn an_engine_that_refers_to_types_that_are_not_there_is_an_error() {
    let plan = importer(r#"(export "x" (func))"#);
    let mut found = module_type(r#"(export "x" (func))"#);
    found.exports.insert("x".into(), CoreItemType::Func(7));
    assert_eq!(link(&plan, &found), "import \"m\": export \"x\": expected (func), found (func (type $7))");
    found.types[0].composite = CoreComposite::Array(canon_async_component::plan::CoreField {
        storage: canon_async_component::plan::CoreStorage::Val(CoreValType::Ref(defined(5))),
        mutable: false,
    });
    assert_eq!(link(&plan, &found), "import \"m\": the engine says that it is of types that are not there");
}

/// A validated component lifts nothing of another type; a plan, or an engine that can't tell what a module
/// is, may.
#[test]
fn a_function_with_references_is_not_lifted() {
    let plan = plan(
        r#"(component
            (core module $m (func (export "f") (param i32) (result i32) (local.get 0)))
            (core instance $i (instantiate $m))
            (func (export "f") (param "x" u32) (result u32) (canon lift (core func $i "f"))))"#,
    );
    let lift = |params: Vec<CoreValType>| {
        let mut e = FakeEngine::new();
        e.func_type = Some(CoreSignature { params, results: vec![CoreValType::Number(CoreType::I32)] });
        let linker: Linker<Closure, usize> = Linker::new();
        instantiate(&mut e, &plan, &linker).map_or_else(|error| error.to_string(), |_| "ok".to_string())
    };
    assert_eq!(lift(vec![CoreValType::Number(CoreType::I32)]), "ok");
    for (param, text) in [
        (CoreValType::Ref(CoreRef::EXTERN), "externref"),
        (CoreValType::V128, "v128"),
        (CoreValType::Ref(defined(3)), "(ref null $3)"),
    ] {
        assert_eq!(
            lift(vec![param]),
            format!(
                "a lifted function must be a core function of type (func (param i32) (result i32)), found (func (param {text}) \
                 (result i32))"
            )
        );
    }
}

#[test]
fn equal_groups_of_types_are_there_once() {
    let mut types = CoreTypes::new();
    let number = CoreSignature { params: vec![CoreValType::Number(CoreType::F64)], results: vec![] };
    let first = types.func(number.clone());
    let any = CoreHeap::Abstract { kind: CoreAbstract::Any, shared: false };
    let any = CoreSignature {
        params: vec![CoreValType::Ref(CoreRef { nullable: true, heap: any })],
        results: vec![],
    };
    let second = types.func(any);
    assert_eq!((first, types.func(number), types.len()), (0, 0, 2));
    // Each refers to itself, by the index that it would get.
    let own = |at: u32| CoreSignature { params: vec![CoreValType::Ref(defined(at))], results: vec![] };
    let third = types.func(own(types.len()));
    assert_eq!(types.func(own(types.len())), third);
    // And not to itself.
    assert_ne!(types.func(own(second)), third);
}
