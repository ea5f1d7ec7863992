//! Small components that cost much: each stands for one way to make the validator, the translation or the engine work
//! more than its bytes say. All of them are valid but for limits.

use wasm_encoder::{
    Alias, CodeSection, Component, ComponentBuilder, ComponentExportKind as Kind, ComponentOuterAliasKind,
    ComponentTypeRef, ComponentTypeSection, ComponentValType, ExportKind, ExportSection, Function,
    FunctionSection, InstanceType, Instruction, Module, PrimitiveValType, TypeBounds, TypeSection, ValType,
};

/// One of them.
pub struct Attack {
    pub name: &'static str,
    pub bytes: Vec<u8>,
    /// The field of `PlanLimits` that stops it.
    pub field: &'static str,
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let attack = |name, field, bytes| Attack { name, bytes, field };
    vec![
        attack("instances-times-lifts", "steps", instances_times_lifts(10_000, 4_090)),
        attack("instances-times-exports", "items", instances_times_exports()),
        attack("instances-times-names", "items", instances_times_names()),
        attack("instance-types-times-exports", "items", instance_types_times_exports()),
        attack("lifts-times-type-size", "type_size", lifts_times_type_size()),
        attack("aliases-times-type-size", "type_size", aliases_times_type_size()),
        attack("arguments-times-type-size", "type_size", arguments_times_type_size()),
        attack("core-instances-times-exports", "type_size", core_instances_times_exports()),
        attack("bags-in-bags", "items", bags_in_bags()),
        attack("instances-in-instances", "instances", instances_in_instances()),
        attack("nested-components", "nesting", nested_components()),
        attack("nested-types", "nesting", nested_types()),
        attack("many-types", "items", many_types()),
        attack("many-declarations", "items", many_declarations()),
        attack("many-modules", "modules", many_modules()),
        attack("many-functions", "core_functions", in_component(&functions(1_100_000, &[]))),
        attack("many-locals", "core_locals", in_component(&functions(60_000, &[(50_000, ValType::I64)]))),
        attack("calls-times-operands", "core_operands", in_component(&wide_calls(150_000))),
        attack("branches-times-operands", "core_operands", in_component(&wide_branches(150_000))),
    ]
}

fn in_component(module: &Module) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    component.core_module(None, module);
    component.finish()
}

/// A module that exports a function `f`.
fn exporting() -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    code.function(&body);
    module.section(&types).section(&functions).section(&exports).section(&code);
    module
}

/// Adds a core function without parameters.
fn core_func(component: &mut ComponentBuilder) -> u32 {
    let module = component.core_module(None, &exporting());
    let instance = component.core_instantiate(None, module, []);
    component.core_alias_export(None, instance, "f", ExportKind::Func)
}

/// A component of `exports` lifted functions, instantiated often: the validator copies the exports each time.
fn instances_times_lifts(exports: u32, instances: u32) -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let func = core_func(&mut inner);
    let (ty, mut encoder) = inner.type_function(None);
    encoder.params([] as [(&str, ComponentValType); 0]).result(None);
    for index in 0..exports {
        let func = inner.lift_func(None, func, ty, []);
        inner.export(format!("f{index}").as_str(), Kind::Func, func, None);
    }
    instantiated(inner, instances)
}

/// The same of an export that costs the plan nothing.
fn instances_times_exports() -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let (ty, encoder) = inner.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    for index in 0..10_000 {
        inner.export(format!("t{index}").as_str(), Kind::Type, ty, None);
    }
    instantiated(inner, 4_090)
}

fn instantiated(inner: ComponentBuilder, instances: u32) -> Vec<u8> {
    let mut outer = ComponentBuilder::default();
    let inner = outer.component(None, inner);
    for _ in 0..instances {
        outer.instantiate(None, inner, [] as [(&str, Kind, u32); 0]);
    }
    outer.finish()
}

/// One export of a name of 99,999 bytes: the validator copies it each time.
fn instances_times_names() -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let (ty, encoder) = inner.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    inner.export("x".repeat(99_999).as_str(), Kind::Type, ty, None);
    instantiated(inner, 4_090)
}

/// An instance type of a resource and 10,000 functions that take it, in 10,000 instance types: the resource is a new
/// one in each, so all is copied.
fn instance_types_times_exports() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let mut ty = InstanceType::new();
    ty.export("r", ComponentTypeRef::Type(TypeBounds::SubResource));
    ty.ty().defined_type().borrow(0);
    ty.ty().function().params([("r", ComponentValType::Type(1))]).result(None);
    for index in 0..10_000 {
        ty.export(format!("f{index}").as_str(), ComponentTypeRef::Func(2));
    }
    let inner = component.type_instance(None, &ty);
    for _ in 0..10_000 {
        let mut ty = InstanceType::new();
        ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index: inner });
        ty.export("i", ComponentTypeRef::Instance(0));
        component.type_instance(None, &ty);
    }
    component.finish()
}

/// A type of three levels that expands to 900,000 and flattens to four core types.
fn huge_type(component: &mut ComponentBuilder) -> u32 {
    let mut ty = ComponentValType::Primitive(PrimitiveValType::U8);
    let mut index = 0;
    for cases in [90, 95, 100] {
        let names: Vec<_> = (0..cases).map(|case| format!("c{case}")).collect();
        let (next, encoder) = component.type_defined(None);
        encoder.variant(names.iter().map(|name| (name.as_str(), Some(ty))));
        (ty, index) = (ComponentValType::Type(next), next);
    }
    index
}

/// Each lift walks the function's type, to find out whether it has pointers in it.
fn lifts_times_type_size() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([ValType::I32; 4], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    exports.export("f", ExportKind::Func, 0);
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    code.function(&body);
    module.section(&types).section(&functions).section(&exports).section(&code);
    let module = component.core_module(None, &module);
    let instance = component.core_instantiate(None, module, []);
    let func = component.core_alias_export(None, instance, "f", ExportKind::Func);
    let huge = huge_type(&mut component);
    let (ty, mut encoder) = component.type_function(None);
    encoder.params([("p", ComponentValType::Type(huge))]).result(None);
    for _ in 0..50_000 {
        component.lift_func(None, func, ty, []);
    }
    component.finish()
}

/// Each alias walks the type, to find out whether it has resources in it.
fn aliases_times_type_size() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let index = huge_type(&mut component);
    for _ in 0..900 {
        let mut inner = ComponentBuilder::default();
        let kind = ComponentOuterAliasKind::Type;
        inner.alias(None, Alias::Outer { kind, count: 1, index });
        component.component(None, inner);
    }
    component.finish()
}

/// Each instantiation compares the argument's type with the import's.
fn arguments_times_type_size() -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let huge = huge_type(&mut inner);
    inner.import("t", ComponentTypeRef::Type(TypeBounds::Eq(huge)));
    let mut outer = ComponentBuilder::default();
    let huge = huge_type(&mut outer);
    let inner = outer.component(None, inner);
    for _ in 0..4_000 {
        outer.instantiate(None, inner, [("t", Kind::Type, huge)]);
    }
    outer.finish()
}

/// Each instance of a core module looks its exports through.
fn core_instances_times_exports() -> Vec<u8> {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    for index in 0..20_000 {
        exports.export(&format!("f{index}"), ExportKind::Func, 0);
    }
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    code.function(&body);
    module.section(&types).section(&functions).section(&exports).section(&code);
    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &module);
    for _ in 0..4_000 {
        component.core_instantiate(None, module, []);
    }
    component.finish()
}

/// Each bag of exports has the one before it twice.
fn bags_in_bags() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let (ty, encoder) = component.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    let mut bag = component.instantiate_exports(None, [("t", Kind::Type, ty)]);
    for _ in 0..60 {
        bag = component.instantiate_exports(None, [("a", Kind::Instance, bag), ("b", Kind::Instance, bag)]);
    }
    component.finish()
}

/// Each component instantiates the one before it twice.
fn instances_in_instances() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let mut index = component.component(None, ComponentBuilder::default());
    for _ in 0..60 {
        let mut inner = ComponentBuilder::default();
        let kind = ComponentOuterAliasKind::Component;
        let before = inner.alias(None, Alias::Outer { kind, count: 1, index });
        inner.instantiate(None, before, [] as [(&str, Kind, u32); 0]);
        inner.instantiate(None, before, [] as [(&str, Kind, u32); 0]);
        index = component.component(None, inner);
    }
    component.instantiate(None, index, [] as [(&str, Kind, u32); 0]);
    component.finish()
}

fn nested_components() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    for _ in 0..500 {
        let mut outer = ComponentBuilder::default();
        outer.component(None, component);
        component = outer;
    }
    component.finish()
}

fn nested_types() -> Vec<u8> {
    let mut ty = InstanceType::new();
    for _ in 0..500 {
        let mut outer = InstanceType::new();
        outer.ty().instance(&ty);
        ty = outer;
    }
    let mut component = ComponentBuilder::default();
    component.type_instance(None, &ty);
    component.finish()
}

/// Two bytes each, of which the validator makes 50 or more.
fn many_types() -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    for _ in 0..1_500_000 {
        types.defined_type().primitive(PrimitiveValType::U8);
    }
    let mut component = Component::new();
    component.section(&types);
    component.finish()
}

/// Three bytes each, in one instance type, of which the reader makes 100 or more.
fn many_declarations() -> Vec<u8> {
    let mut ty = InstanceType::new();
    for _ in 0..1_500_000 {
        ty.ty().defined_type().primitive(PrimitiveValType::U8);
    }
    let mut component = ComponentBuilder::default();
    component.type_instance(None, &ty);
    component.finish()
}

fn many_modules() -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    for _ in 0..5_000 {
        component.core_module(None, &Module::new());
    }
    component.finish()
}

/// A module of functions with these locals.
pub fn functions(count: u32, locals: &[(u32, ValType)]) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    let (mut functions, mut code) = (FunctionSection::new(), CodeSection::new());
    for _ in 0..count {
        functions.function(0);
        let mut body = Function::new(locals.iter().copied());
        body.instruction(&Instruction::End);
        code.function(&body);
    }
    module.section(&types).section(&functions).section(&code);
    module
}

/// Calls of a function of 1,000 results, of which each makes the engine's code longer by as many.
fn wide_calls(calls: u32) -> Module {
    wide(calls, &Instruction::Call(0))
}

/// Branches that take 1,000 results along.
fn wide_branches(branches: u32) -> Module {
    wide(branches, &Instruction::BrIf(0))
}

fn wide(count: u32, instruction: &Instruction<'_>) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([ValType::I64; 1_000], [ValType::I64; 1_000]);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    for local in 0..1_000 {
        body.instruction(&Instruction::LocalGet(local));
    }
    for _ in 0..count {
        if let Instruction::BrIf(_) = instruction {
            body.instruction(&Instruction::I32Const(0));
        }
        body.instruction(instruction);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    module.section(&types).section(&functions).section(&code);
    module
}
