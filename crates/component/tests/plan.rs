//! What components are translated to.

mod common;

use canon_async::spec::PtrType;
use canon_async_component::inspect::inspect;
use canon_async_component::plan::{BuiltinKind, CoreItem, ExportItem, Func, ImportItem, ModuleRef, Step};
use canon_async_component::types::{Origin, TypeDef, ValType};
use common::plan;

#[test]
fn an_empty_component_is_one_instance() {
    let plan = plan("(component $tiny)");
    assert_eq!(plan.name.as_deref(), Some("tiny"));
    assert_eq!(plan.instances.len(), 1);
    assert!(plan.steps.is_empty() && plan.imports.is_empty() && plan.exports.is_empty());
}

#[test]
fn error_contexts_have_their_built_ins_and_are_a_primitive_type() {
    let plan = plan(
        r#"(component
            (core module $m (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (core func (canon error-context.new (memory (core memory $i "mem"))))
            (core func (canon error-context.debug-message string-encoding=utf16
                (memory (core memory $i "mem")) (realloc (core func $i "realloc"))))
            (core func (canon error-context.drop))
            (import "f" (func (param "why" (list error-context)) (result error-context))))"#,
    );
    let made: Vec<_> = plan.builtins.iter().map(|builtin| builtin.kind.clone()).collect();
    assert_eq!(
        made,
        [
            BuiltinKind::ErrorContextNew { options: 0 },
            BuiltinKind::ErrorContextDebugMessage { options: 1 },
            BuiltinKind::ErrorContextDrop
        ]
    );
    let types: Vec<_> =
        plan.builtins.iter().map(|b| plan.core_types[b.core_type as usize].to_string()).collect();
    assert_eq!(
        types,
        ["(func (param i32 i32) (result i32))", "(func (param i32 i32))", "(func (param i32))"]
    );
    let func = plan.types.display_func(&plan.types.funcs[0]).to_string();
    assert_eq!(func, "func(why: list<error-context>) -> error-context");
    assert!(inspect(&plan).builtins.contains_key("error-context.debug-message"));
}

#[test]
fn each_instantiation_has_its_own_resource() {
    let plan = plan(
        r#"(component
            (component $C
                (core module $m (func (export "dtor") (param i32)) (func (export "f") (param i32)))
                (core instance $i (instantiate $m))
                (type $r' (resource (rep i32) (dtor (core func $i "dtor"))))
                (export $r "r" (type $r'))
                (func (export "f") (param "x" (own $r)) (canon lift (core func $i "f"))))
            (instance $a (instantiate $C))
            (instance $b (instantiate $C))
            (export "a" (instance $a))
            (export "b" (instance $b)))"#,
    );
    assert_eq!(plan.instances.len(), 3);
    assert_eq!(plan.instances[1].parent, Some(0));
    assert_eq!(plan.instances[2].parent, Some(0));
    assert_eq!(plan.modules.len(), 1, "stored once");
    let made = |step: &&Step| matches!(step, Step::InstantiateCore { module: ModuleRef::Inline(0), .. });
    assert_eq!(plan.steps.iter().filter(made).count(), 2, "instantiated twice");
    let origins: Vec<_> = plan.types.resources.iter().map(|resource| resource.origin.clone()).collect();
    assert_eq!(origins, [1, 2].map(|instance| Origin::Defined { instance, rep: PtrType::I32 }));
    assert_ne!(plan.lifts[0].ty, plan.lifts[1].ty, "each takes its own resource");
    assert_eq!(plan.types.resources[0].name, "r");
}

#[test]
fn equal_types_share_an_index_and_labels_tell_types_apart() {
    let plan = plan(
        r#"(component
            (type $x' (record (field "x" u32)))
            (import "x" (type $x (eq $x')))
            (type $x2' (record (field "x" u32)))
            (import "x2" (type $x2 (eq $x2')))
            (type $y' (record (field "y" u32)))
            (import "y" (type $y (eq $y')))
            (import "f" (func (param "a" $x)))
            (import "g" (func (param "a" $x2)))
            (import "h" (func (param "a" $y)))
            (import "i" (func (param "b" $x))))"#,
    );
    assert_eq!(plan.types.defs.len(), 2);
    let types: Vec<_> = plan.import_funcs.iter().map(|func| func.ty).collect();
    assert_eq!(types, [0, 0, 1, 2]);
    assert_ne!(plan.types.defs[0].names(), plan.types.defs[1].names());
    let TypeDef::Record(fields) = &plan.types.defs[1] else { panic!() };
    assert_eq!((fields[0].name.as_str(), fields[0].ty), ("y", ValType::U32));
}

#[test]
fn an_imported_resource_is_substituted_everywhere() {
    let plan = plan(
        r#"(component
            (import "a:b/c" (instance $i
                (export "r" (type $r (sub resource)))
                (export "make" (func (result (own $r))))))
            (alias export $i "r" (type $r))
            (import "use" (func (param "x" (borrow $r))))
            (import "same" (type (eq $r))))"#,
    );
    assert_eq!(plan.types.resources.len(), 1);
    assert_eq!(plan.types.resources[0].origin, Origin::Imported { path: "a:b/c#r".into() });
    let paths: Vec<_> = plan.import_funcs.iter().map(|func| func.path.as_str()).collect();
    assert_eq!(paths, ["a:b/c#make", "use"]);
    let text: Vec<_> =
        plan.types.funcs.iter().map(|func| plan.types.display_func(func).to_string()).collect();
    assert_eq!(text, ["func() -> r", "func(x: borrow<r>)"]);
    assert_eq!(plan.imports[2].item, ImportItem::Resource(0));
}

#[test]
fn arguments_replace_imports_through_two_levels() {
    let plan = plan(
        r#"(component
            (import "f" (func $f))
            (component $Inner
                (import "g" (func $g))
                (core func $low (canon lower (func $g)))
                (core module $m (import "" "g" (func)) (func (export "run")))
                (core instance $i (instantiate $m (with "" (instance (export "g" (func $low))))))
                (func (export "run") (canon lift (core func $i "run"))))
            (component $Outer
                (import "c" (component $C (import "g" (func)) (export "run" (func))))
                (import "h" (func $h))
                (instance $i (instantiate $C (with "g" (func $h))))
                (export "run" (func $i "run")))
            (instance $o (instantiate $Outer (with "c" (component $Inner)) (with "h" (func $f))))
            (export "run" (func $o "run")))"#,
    );
    assert_eq!(plan.builtins[0].kind, BuiltinKind::Lower { func: Func::Import(0), options: 0 });
    assert_eq!(plan.instances.iter().map(|i| i.parent).collect::<Vec<_>>(), [None, Some(0), Some(1)]);
    assert_eq!(plan.options[0].instance, 2, "the options belong to the innermost instance");
    assert_eq!(plan.exports[0].item, ExportItem::Func(Func::Lift(0)));
    let Step::InstantiateCore { imports, instance, .. } = &plan.steps[2] else { panic!("{:?}", plan.steps) };
    assert_eq!((imports[0].item.clone(), *instance), (CoreItem::Builtin(0), 2));
}

#[test]
fn an_import_shows_no_more_than_its_type() {
    let plan = plan(
        r#"(component
            (component $Two
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func (export "a") (canon lift (core func $i "f")))
                (func (export "b") (canon lift (core func $i "f"))))
            (component $Pass
                (import "i" (instance $i (export "a" (func))))
                (export "i" (instance $i)))
            (component $Seen
                (import "c" (component $C (export "a" (func))))
                (instance $i (instantiate $C))
                (export "i" (instance $i)))
            (instance $two (instantiate $Two))
            (instance $pass (instantiate $Pass (with "i" (instance $two))))
            (instance $seen (instantiate $Seen (with "c" (component $Two))))
            (export "x" (instance $pass "i"))
            (export "y" (instance $seen "i")))"#,
    );
    for export in &plan.exports {
        let ExportItem::Instance(inner) = &export.item else { panic!() };
        assert_eq!(inner.iter().map(|export| export.name.as_str()).collect::<Vec<_>>(), ["a"]);
    }
}

#[test]
fn outer_aliases_reach_the_scope_of_definition() {
    let plan = plan(
        r#"(component
            (core module $m (func (export "f")))
            (type $t (tuple u8 string))
            (component $A
                (component $B
                    (core instance $i (instantiate $m))
                    (type $f (func (param "x" (tuple u8 string)) (result $t)))
                    (core module $n (memory (export "mem") 1)
                        (func (export "f") (param i32 i32 i32) (result i32) unreachable)
                        (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
                    (core instance $j (instantiate $n))
                    (func (export "f") (type $f) (canon lift (core func $j "f")
                        (memory (core memory $j "mem")) (realloc (core func $j "realloc")))))
                (instance $b (instantiate $B))
                (export "f" (func $b "f")))
            (instance $a (instantiate $A))
            (export "f" (func $a "f")))"#,
    );
    let ty = plan.func_type(Func::Lift(0)).unwrap();
    assert_eq!(plan.types.display_func(ty).to_string(), "func(x: tuple<u8, string>) -> tuple<u8, string>");
    assert_eq!(ty.params[0].ty, ty.result.unwrap(), "one type");
}

#[test]
fn built_ins_are_shared_and_have_their_core_types() {
    let plan = plan(
        r#"(component
            (core module $m (memory (export "mem") 1)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) unreachable))
            (core instance $i (instantiate $m))
            (type $s (stream u64))
            (import "f" (func $f async (param "a" u64) (param "b" string) (param "c" f32) (result string)))
            (core func $new (canon stream.new $s))
            (core func $again (canon stream.new $s))
            (core func $read (canon stream.read $s async (memory (core memory $i "mem"))))
            (core func $wait (canon waitable-set.wait (memory (core memory $i "mem"))))
            (core func $ret (canon task.return (result (option f64))))
            (core func $low (canon lower (func $f) async (memory (core memory $i "mem")) (realloc (core func $i "realloc")))))"#,
    );
    let text: Vec<_> = plan
        .builtins
        .iter()
        .map(|builtin| format!("{} {}", builtin.name(), plan.core_types[builtin.core_type as usize]))
        .collect();
    assert_eq!(
        text,
        [
            "stream.new (func (result i64))",
            "stream.read (func (param i32 i32 i32) (result i32))",
            "waitable-set.wait (func (param i32 i32) (result i32))",
            "task.return (func (param i32 f64))",
            "lower (func (param i64 i32 i32 f32 i32) (result i32))",
        ]
    );
}

#[test]
fn core_modules_of_the_host_and_whole_core_instances() {
    let plan = plan(
        r#"(component
            (import "libc" (core module $Libc (import "env" "x" (global i32)) (export "mem" (memory 1)) (export "f" (func))))
            (core module $g (global (export "x") i32 (i32.const 1)) (func (export "y")))
            (core instance $g (instantiate $g))
            (core instance $libc (instantiate $Libc (with "env" (instance $g))))
            (core module $user (import "libc" "f" (func)) (import "libc" "mem" (memory 1)) (import "renamed" "z" (func)))
            (core instance (instantiate $user
                (with "libc" (instance $libc))
                (with "renamed" (instance (export "z" (func $g "y")))))))"#,
    );
    assert_eq!(plan.import_modules[0].path, "libc");
    assert_eq!(plan.import_modules[0].ty.exports.len(), 2);
    let Step::InstantiateCore { imports, .. } = plan.steps.last().unwrap() else { panic!() };
    let items: Vec<_> = imports.iter().map(|import| import.item.clone()).collect();
    let export = |instance, name: &str| CoreItem::Export { instance, name: name.into() };
    assert_eq!(items, [export(1, "f"), export(1, "mem"), export(0, "y")]);
}

#[test]
fn a_summary_names_everything() {
    let plan = plan(
        r#"(component $name
            (import "a:b/c@1.0.0" (instance (export "f" (func async (param "x" u32)))))
            (core func (canon backpressure.inc))
            (core func (canon waitable-set.new))
            (type $e (enum "red" "green"))
            (export "color" (type $e)))"#,
    );
    let summary = inspect(&plan);
    assert_eq!(summary.imports, [("a:b/c@1.0.0#f".into(), "async func(x: u32)".into())]);
    assert_eq!(summary.exports, [("color".into(), "type enum { red, green }".into())]);
    assert_eq!(
        summary.builtins.keys().copied().collect::<Vec<_>>(),
        ["backpressure.inc", "waitable-set.new"]
    );
    assert_eq!(summary.needs.instances, 2);
    assert_eq!(summary.builtins.get("waitable-set.new"), Some(&1));
}

#[test]
fn instances_and_functions_have_the_names_that_their_components_gave_them() {
    let long = "n".repeat(200);
    let plan = plan(&format!(
        r#"(component $app
            (component $C
                (core module $m (func (export "f")))
                (core instance $i (instantiate $m))
                (func $f (canon lift (core func $i "f")))
                (func $hidden (canon lift (core func $i "f")))
                (instance $faces (export "f" (func $f)))
                (func $second (canon lift (core func $i "f")))
                (instance $more (export "g" (func $second)))
                (export "f" (func $f))
                (export "again" (func $f))
                (export "a:b/faces" (instance $faces))
                (export "a:b/more" (instance $more)))
            (instance $first (instantiate $C))
            (instance (instantiate $C))
            (instance ${long} (instantiate $C))
            (export "other" (func $first "f")))"#
    ));
    let names = |names: &[Option<String>]| {
        names.iter().map(|name| name.clone().unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(names(&plan.names.instances), ["app", "first", "C", &long[..128]]);
    assert_eq!(names(&plan.names.lifts[..3]), ["f", "", "a:b/more#g"], "the first export's name");
    assert_eq!(plan.names.lifts.len(), plan.lifts.len());
    assert_eq!((plan.lift_name(0), plan.lift_name(1)), (Some("f"), None));
}
