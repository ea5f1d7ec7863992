//! What does not fit, and how it is said: the path of the import, the place in its type, and both types.

mod common;

use canon_async_component::types::{Field, FuncType, TypeDef, TypeTable, ValType};
use canon_async_component::{Linker, Val, instantiate};
use common::engine::{Closure, FakeEngine};
use common::plan;

fn nothing(_: &[Val]) -> Option<Val> {
    None
}

/// A component that exports a function of this type, as `f` of the instance `i`; `types` are definitions of types.
fn provider(types: &str, func: &str) -> String {
    format!(
        r#"(component {types}
            (import "f" (func $f {func}))
            (instance $i (export "f" (func $f)))
            (export "i" (instance $i)))"#
    )
}

/// What linking says where a function of type `found` is given to an import `a:b/c#f` of type `expected`.
fn funcs(expected: (&str, &str), found: (&str, &str)) -> String {
    let mut e = FakeEngine::new();
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func("f", nothing);
    let given = instantiate(&mut e, &plan(&provider(found.0, found.1)), &linker).unwrap();
    let mut linker: Linker<Closure, usize> = Linker::new();
    assert!(linker.export("a:b/c", &given, "i"));
    let text = format!(
        r#"(component (import "a:b/c" (instance {} (export "f" (func {})))))"#,
        expected.0, expected.1
    );
    match instantiate(&mut e, &plan(&text), &linker) {
        Ok(_) => "ok".to_string(),
        Err(error) => error.to_string(),
    }
}

/// The same for one parameter `p` of these types, without the part of the message that is always the same.
fn values(expected: &str, found: &str) -> String {
    let param = |ty: &str| format!(r#"(param "x" u8) (param "p" {ty})"#);
    let text = funcs(("", &param(expected)), ("", &param(found)));
    let prefix = "import \"a:b/c#f\": parameter 2 \"p\": ";
    text.strip_prefix(prefix).unwrap_or(&text).to_string()
}

#[test]
fn function_types_that_differ_as_a_whole_are_both_shown() {
    let sync = r#"(param "x" u32) (result u32)"#;
    let message = "import \"a:b/c#f\": expected async func(x: u32) -> u32, found func(x: u32) -> u32";
    assert_eq!(funcs(("", &format!("async {sync}")), ("", sync)), message);
    let message = "import \"a:b/c#f\": expected func(), found func(x: u32) -> u32";
    assert_eq!(funcs(("", ""), ("", sync)), message);
    assert_eq!(funcs(("", sync), ("", sync)), "ok");
}

#[test]
fn the_place_in_a_function_type_is_named() {
    let cases = [
        (
            r#"(param "a" u8)"#,
            r#"(param "b" u8)"#,
            "import \"a:b/c#f\": parameter 1: expected the name \"a\", found \"b\"",
        ),
        ("(result u8)", "(result s8)", "import \"a:b/c#f\": result: expected u8, found s8"),
        ("(result string)", "", "import \"a:b/c#f\": result: expected string, found none"),
        ("", "(result string)", "import \"a:b/c#f\": result: expected none, found string"),
    ];
    for (expected, found, message) in cases {
        assert_eq!(funcs(("", expected), ("", found)), message);
    }
}

#[test]
fn the_place_in_a_value_type_is_named() {
    let cases = [
        ("u32", "string", "expected u32, found string"),
        ("(list u8)", "(list s8)", "element: expected u8, found s8"),
        ("(list u8)", "u8", "expected list<u8>, found u8"),
        ("(list u8)", "(list u8 4)", "expected list<u8>, found list<u8, 4>"),
        ("(list u8 3)", "(list u8 4)", "expected list<u8, 3>, found list<u8, 4>"),
        ("(list u8 4)", "(list u16 4)", "element: expected u8, found u16"),
        ("(tuple u8 u16)", "(tuple u8 (list char))", "element 2: expected u16, found list<char>"),
        ("(tuple u8)", "(tuple u8 u8)", "expected tuple<u8>, found tuple<u8, u8>"),
        ("(option u8)", "(option (option u8))", "some: expected u8, found option<u8>"),
        ("(result u8 (error u16))", "(result u8 (error u32))", "error: expected u16, found u32"),
        ("(result u8)", "(result)", "ok: expected u8, found none"),
        ("(map string u8)", "(map u8 u8)", "key: expected string, found u8"),
        ("(map string u8)", "(map string u16)", "value: expected u8, found u16"),
        (
            "(map string u8)",
            "(list (tuple string u8))",
            "expected map<string, u8>, found list<tuple<string, u8>>",
        ),
        ("(stream u8)", "(stream)", "element: expected u8, found none"),
        ("(stream u8)", "(future u8)", "expected stream<u8>, found future<u8>"),
        ("error-context", "u32", "expected error-context, found u32"),
        (
            "(list (option (tuple u8 u8)))",
            "(list (option (tuple u8 s8)))",
            "element: some: element 2: expected u8, found s8",
        ),
    ];
    for (expected, found, message) in cases {
        assert_eq!(values(expected, found), message, "{expected} and {found}");
        assert_eq!(values(expected, expected), "ok");
    }
}

/// Types with labels have to be exported with a name: one that takes `$t`.
fn labelled(expected: &str, found: &str) -> String {
    let func = r#"(param "p" $t)"#;
    let expected = format!("(type $t' {expected}) (export \"t\" (type $t (eq $t')))");
    let found = format!("(type $t' {found}) (import \"t\" (type $t (eq $t')))");
    let text = funcs((&expected, func), (&found, func));
    let prefix = "import \"a:b/c#f\": parameter 1 \"p\": ";
    text.strip_prefix(prefix).unwrap_or(&text).to_string()
}

#[test]
fn the_place_in_a_type_with_labels_is_named() {
    let cases = [
        (
            r#"(record (field "q" u32) (field "r" u8))"#,
            r#"(record (field "q" string) (field "r" u8))"#,
            "field \"q\": expected u32, found string",
        ),
        (
            r#"(record (field "q" u32))"#,
            r#"(record (field "r" u32))"#,
            "field 1: expected the name \"q\", found \"r\"",
        ),
        (
            r#"(record (field "q" u32))"#,
            r#"(record (field "q" u32) (field "r" u8))"#,
            "expected record { q: u32 }, found record { q: u32, r: u8 }",
        ),
        (
            r#"(variant (case "a") (case "b" u8))"#,
            r#"(variant (case "a") (case "b"))"#,
            "case \"b\": expected u8, found none",
        ),
        (
            r#"(variant (case "a") (case "b"))"#,
            r#"(variant (case "a") (case "c"))"#,
            "case 2: expected the name \"b\", found \"c\"",
        ),
        (r#"(enum "a" "b")"#, r#"(enum "b" "a")"#, "expected enum { a, b }, found enum { b, a }"),
        (r#"(flags "a")"#, r#"(flags "a" "b")"#, "expected flags { a }, found flags { a, b }"),
        (r#"(enum "a" "b")"#, r#"(flags "a" "b")"#, "expected enum { a, b }, found flags { a, b }"),
    ];
    for (expected, found, message) in cases {
        assert_eq!(labelled(expected, found), message, "{expected} and {found}");
        assert_eq!(labelled(expected, expected), "ok");
    }
}

/// A type can be a small graph that is a large tree.
#[test]
fn a_difference_deep_in_a_shared_graph_is_found() {
    let types = |leaf: &str| {
        let mut text = format!("(type $t0 (tuple {leaf} u8))");
        for level in 1..=13 {
            text += &format!("(type $t{level} (tuple $t{0} $t{0}))", level - 1);
        }
        text
    };
    let func = r#"(param "p" $t13)"#;
    assert_eq!(funcs((&types("u16"), func), (&types("u16"), func)), "ok");
    let message = funcs((&types("u16"), func), (&types("s16"), func));
    assert!(message.ends_with("element 1: element 1: expected u16, found s16"), "{message}");
    assert_eq!(message.matches("element 1").count(), 14);
}

const RESOURCE: &str = r#"(component
    (import "i" (instance $i
        (export "r" (type $r (sub resource)))
        (export "f" (func (param "x" (own $r)) (param "y" (list (borrow $r)))))))
    (export "i" (instance $i)))"#;

#[test]
fn a_function_of_another_resource_type_is_refused_where_it_takes_it() {
    let mut e = FakeEngine::new();
    let provider = || {
        let mut linker: Linker<Closure, usize> = Linker::new();
        linker.func("i#f", nothing);
        linker
    };
    let mut make = || {
        let resource = canon_async_component::define_host_resource(&mut e, None).unwrap();
        let mut linker = provider();
        linker.resource("i#r", resource);
        instantiate(&mut e, &plan(RESOURCE), &linker).unwrap()
    };
    let (first, second) = (make(), make());
    let mut linker: Linker<Closure, usize> = Linker::new();
    assert!(linker.export("i", &first, "i"));
    assert!(instantiate(&mut e, &plan(RESOURCE), &linker).is_ok());
    assert!(linker.export("i#r", &second, "i#r"));
    let error = instantiate(&mut e, &plan(RESOURCE), &linker).unwrap_err().to_string();
    assert_eq!(
        error,
        "import \"i#f\": parameter 1 \"x\": expected resource \"r\", found another resource \"r\""
    );
}

#[test]
fn a_type_that_an_instance_exports_has_to_be_equal() {
    let import = |ty: &str| {
        format!(r#"(component (import "i" (instance (type $t {ty}) (export "t" (type (eq $t))))))"#)
    };
    let export = r#"(component (type $t (tuple u8 string)) (export $t' "t" (type $t)))"#;
    let mut e = FakeEngine::new();
    let given = instantiate(&mut e, &plan(export), &Linker::new()).unwrap();
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.instance("i", &given);
    assert!(instantiate(&mut e, &plan(&import("(tuple u8 string)")), &linker).is_ok());
    let error = instantiate(&mut e, &plan(&import("(tuple u8 char)")), &linker).unwrap_err();
    assert_eq!(error.to_string(), "import \"i#t\": element 2: expected char, found string");
    // Of another kind.
    linker.func("i#t", nothing);
    let error = instantiate(&mut e, &plan(&import("(tuple u8 char)")), &linker).unwrap_err();
    assert_eq!(error.to_string(), "import \"i#t\": expected type, found func");
}

#[test]
fn what_is_of_another_kind_is_named_with_both_kinds() {
    let mut e = FakeEngine::new();
    let resource = canon_async_component::define_host_resource(&mut e, None).unwrap();
    let imports = [
        (r#"(func (param "x" u8))"#, "func(x: u8)"),
        (r#"(instance (export "g" (func)))"#, "instance"),
        (r#"(type (sub resource))"#, "resource"),
        ("(core module)", "core module"),
        ("(component)", "component"),
    ];
    for (import, expected) in imports {
        let plan = plan(&format!(r#"(component (import "x" {import}))"#));
        let mut linkers: Vec<(Linker<Closure, usize>, &str)> = Vec::new();
        let mut add = |define: &dyn Fn(&mut Linker<Closure, usize>), found| {
            let mut linker = Linker::new();
            define(&mut linker);
            linkers.push((linker, found));
        };
        add(&|linker| _ = linker.func("x", nothing), "func");
        add(&|linker| _ = linker.func("x#other", nothing), "instance");
        add(&|linker| _ = linker.resource("x", resource), "resource");
        add(&|linker| _ = linker.module("x", 0), "core module");
        for (linker, found) in linkers.iter().filter(|(_, found)| !expected.starts_with(found)) {
            let error = instantiate(&mut e, &plan, linker).unwrap_err().to_string();
            assert_eq!(error, format!("import \"x\": expected {expected}, found {found}"));
        }
    }
}

#[test]
fn a_type_of_a_host_function_is_compared_too() {
    let mut e = FakeEngine::new();
    let field = |name: &str, ty| Field { name: name.into(), ty };
    let own = TypeTable {
        defs: vec![TypeDef::Record(vec![field("q", ValType::String)])],
        funcs: vec![FuncType {
            params: vec![field("p", ValType::Defined(0))],
            result: None,
            is_async: false,
        }],
        ..TypeTable::default()
    };
    let mut linker: Linker<Closure, usize> = Linker::new();
    linker.func_typed("a:b/c#x#f", own, 0, nothing).unwrap();
    let text = |ty: &str| {
        format!(
            r#"(component (import "a:b/c" (instance (export "x" (instance
                (type $t' (record (field "q" {ty}))) (export "t" (type $t (eq $t')))
                (export "f" (func (param "p" $t))))))))"#
        )
    };
    assert!(instantiate(&mut e, &plan(&text("string")), &linker).is_ok());
    let error = instantiate(&mut e, &plan(&text("u32")), &linker).unwrap_err().to_string();
    assert_eq!(error, "import \"a:b/c#x#f\": parameter 1 \"p\": field \"q\": expected u32, found string");
}
