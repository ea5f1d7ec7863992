//! Types, imports and exports, and component instances.

use canon_async::spec::PtrType;
use canon_async_component::Plan;
use canon_async_component::plan::{ExportItem, Func, Import, ImportItem, ModuleRef, PlanInstance, Value};
use canon_async_component::types::{Field, FuncType, Origin, TypeDef, ValType};

use crate::common;
use crate::common::plans;
use crate::error;

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

#[test]
fn there_are_no_names_of_what_is_not_there() {
    let lifts = common::plan(plans::EVERYTHING).lifts.len();
    assert_eq!(
        error(|plan| plan.names.lifts.resize(lifts + 1, None)),
        format!("names.lifts: {} names, but there are {lifts} lifted functions", lifts + 1)
    );
    let instances = common::plan(plans::EVERYTHING).instances.len();
    assert_eq!(
        error(|plan| plan.names.instances.resize(instances + 1, None)),
        format!("names.instances: {} names, but there are {instances} component instances", instances + 1)
    );
}
