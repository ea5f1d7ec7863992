//! Small components that cost much: each stands for one way to make the validator, the translation or the
//! engine work more than its bytes say. All of them are valid but for limits.

use wasm_encoder::{
    Alias, CodeSection, Component, ComponentBuilder, ComponentExportKind as Kind, ComponentOuterAliasKind,
    ComponentTypeRef, ComponentTypeSection, ComponentValType, ExportKind, ExportSection, Function,
    FunctionSection, InstanceType, Instruction, Module, PrimitiveValType, TypeBounds, TypeSection, ValType,
};

/// One of them.
pub struct Attack {
    pub name: &'static str,
    /// The component, of a size.
    make: fn(u32) -> Vec<u8>,
    /// The size that costs too much.
    size: u32,
    /// The field of `PlanLimits` that stops it.
    pub field: &'static str,
}

impl Attack {
    pub fn bytes(&self) -> Vec<u8> {
        (self.make)(self.size)
    }

    /// The same kind of component where it is small.
    pub fn harmless(&self) -> Vec<u8> {
        (self.make)(2)
    }
}

/// All of them.
pub fn all() -> Vec<Attack> {
    let attack = |name, field, size, make| Attack { name, make, size, field };
    vec![
        attack("instances-times-lifts", "steps", 4_090, instances_times_lifts),
        attack("instances-times-exports", "items", 4_090, instances_times_exports),
        attack("instances-times-names", "items", 4_090, instances_times_names),
        attack("instance-types-times-exports", "items", 10_000, instance_types_times_exports),
        attack("lifts-times-type-size", "type_size", 50_000, lifts_times_type_size),
        attack("lifts-times-names", "items", 30_000, lifts_times_names),
        attack("aliases-times-type-size", "type_size", 900, aliases_times_type_size),
        attack("arguments-times-type-size", "type_size", 4_000, arguments_times_type_size),
        attack("core-instances-times-exports", "core_items", 4_000, core_instances_times_exports),
        attack("core-instances-times-functions", "core_items", 4_000, core_instances_times_functions),
        attack("bags-in-bags", "items", 60, bags_in_bags),
        attack("instances-in-instances", "instances", 60, instances_in_instances),
        attack("nested-components", "nesting", 500, nested_components),
        attack("nested-types", "nesting", 500, nested_types),
        attack("many-types", "items", 1_500_000, many_types),
        attack("many-declarations", "items", 1_500_000, many_declarations),
        attack("many-modules", "modules", 5_000, many_modules),
        attack("many-functions", "core_functions", 1_100_000, |size| in_component(&functions(size, &[]))),
        attack("many-locals", "core_locals", 60_000, |size| {
            in_component(&functions(size, &[(50_000, ValType::I64)]))
        }),
        attack("calls-times-operands", "core_operands", 150_000, |size| in_component(&wide_calls(size))),
        attack("branches-times-operands", "core_operands", 150_000, |size| {
            in_component(&branches(size, 1_000))
        }),
        attack("branches-of-few-operands", "core_operands", 200_000, |size| {
            in_component(&branches(size, 64))
        }),
        attack("branch-tables", "core_operands", 200_000, |size| in_component(&branch_table(size))),
        attack("functions-times-operands", "core_operands", 12_000, |size| {
            in_component(&functions_of(&[ValType::I64; 1_000], size, &[]))
        }),
        attack("returns-times-types", "core_operands", 320_000, |size| in_component(&typed_returns(size))),
    ]
}

fn in_component(module: &Module) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    component.core_module(None, module);
    component.finish()
}

/// A module that exports a function of these parameters under these names.
fn exporting(params: &[ValType], names: impl IntoIterator<Item = String>) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function(params.iter().copied(), []);
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut exports = ExportSection::new();
    for name in names {
        exports.export(&name, ExportKind::Func, 0);
    }
    let mut code = CodeSection::new();
    let mut body = Function::new([]);
    body.instruction(&Instruction::End);
    code.function(&body);
    module.section(&types).section(&functions).section(&exports).section(&code);
    module
}

/// Adds a core function.
fn core_func(component: &mut ComponentBuilder, params: &[ValType], name: &str) -> u32 {
    let module = component.core_module(None, &exporting(params, [name.to_string()]));
    let instance = component.core_instantiate(None, module, []);
    component.core_alias_export(None, instance, name, ExportKind::Func)
}

/// A component of 10,000 lifted functions, instantiated often: the validator copies the exports each time.
fn instances_times_lifts(instances: u32) -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let func = core_func(&mut inner, &[], "f");
    let (ty, mut encoder) = inner.type_function(None);
    encoder.params([] as [(&str, ComponentValType); 0]).result(None);
    for index in 0..10_000 {
        let func = inner.lift_func(None, func, ty, []);
        inner.export(format!("f{index}").as_str(), Kind::Func, func, None);
    }
    instantiated(inner, instances)
}

/// The same of an export that costs the plan nothing.
fn instances_times_exports(instances: u32) -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let (ty, encoder) = inner.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    for index in 0..10_000 {
        inner.export(format!("t{index}").as_str(), Kind::Type, ty, None);
    }
    instantiated(inner, instances)
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
fn instances_times_names(instances: u32) -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let (ty, encoder) = inner.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    inner.export("x".repeat(99_999).as_str(), Kind::Type, ty, None);
    instantiated(inner, instances)
}

/// An instance type of a resource and 10,000 functions that take it, in 10,000 instance types: the resource
/// is a new one in each, so all is copied.
fn instance_types_times_exports(types: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let mut ty = InstanceType::new();
    ty.export("r", ComponentTypeRef::Type(TypeBounds::SubResource));
    ty.ty().defined_type().borrow(0);
    ty.ty().function().params([("r", ComponentValType::Type(1))]).result(None);
    for index in 0..10_000 {
        ty.export(format!("f{index}").as_str(), ComponentTypeRef::Func(2));
    }
    let inner = component.type_instance(None, &ty);
    for _ in 0..types {
        let mut ty = InstanceType::new();
        ty.alias(Alias::Outer { kind: ComponentOuterAliasKind::Type, count: 1, index: inner });
        ty.export("i", ComponentTypeRef::Instance(0));
        component.type_instance(None, &ty);
    }
    component.finish()
}

/// A type of three levels that expands to 900,000: variants, which flatten to four core types, or tuples,
/// which need no name to be imported.
fn huge_type(component: &mut ComponentBuilder, of_variants: bool) -> u32 {
    let mut ty = ComponentValType::Primitive(PrimitiveValType::U8);
    let mut index = 0;
    for parts in [90, 95, 100] {
        let names: Vec<_> = (0..parts).map(|part| format!("c{part}")).collect();
        let (next, encoder) = component.type_defined(None);
        match of_variants {
            true => encoder.variant(names.iter().map(|name| (name.as_str(), Some(ty)))),
            false => encoder.tuple(names.iter().map(|_| ty)),
        }
        (ty, index) = (ComponentValType::Type(next), next);
    }
    index
}

/// Each lift walks the function's type, to find out whether it has pointers in it.
fn lifts_times_type_size(lifts: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let func = core_func(&mut component, &[ValType::I32; 4], "f");
    let huge = huge_type(&mut component, true);
    let (ty, mut encoder) = component.type_function(None);
    encoder.params([("p", ComponentValType::Type(huge))]).result(None);
    for _ in 0..lifts {
        component.lift_func(None, func, ty, []);
    }
    component.finish()
}

/// Each lift of the plan has the name of the core function, of 99,999 bytes.
fn lifts_times_names(lifts: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let func = core_func(&mut component, &[], &"x".repeat(99_999));
    let (ty, mut encoder) = component.type_function(None);
    encoder.params([] as [(&str, ComponentValType); 0]).result(None);
    for _ in 0..lifts {
        component.lift_func(None, func, ty, []);
    }
    component.finish()
}

/// Each alias walks the type, to find out whether it has resources in it.
fn aliases_times_type_size(aliases: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let index = huge_type(&mut component, true);
    for _ in 0..aliases {
        let mut inner = ComponentBuilder::default();
        let kind = ComponentOuterAliasKind::Type;
        inner.alias(None, Alias::Outer { kind, count: 1, index });
        component.component(None, inner);
    }
    component.finish()
}

/// Each instantiation compares the argument's type with the import's.
fn arguments_times_type_size(instances: u32) -> Vec<u8> {
    let mut inner = ComponentBuilder::default();
    let huge = huge_type(&mut inner, false);
    inner.import("t", ComponentTypeRef::Type(TypeBounds::Eq(huge)));
    let mut outer = ComponentBuilder::default();
    let huge = huge_type(&mut outer, false);
    let inner = outer.component(None, inner);
    for _ in 0..instances {
        outer.instantiate(None, inner, [("t", Kind::Type, huge)]);
    }
    outer.finish()
}

/// Each instance of a core module looks its exports through.
fn core_instances_times_exports(instances: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let names = (0..20_000).map(|index| format!("f{index}"));
    let module = component.core_module(None, &exporting(&[], names));
    for _ in 0..instances {
        component.core_instantiate(None, module, []);
    }
    component.finish()
}

/// An engine makes each function anew for each instance.
fn core_instances_times_functions(instances: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let module = component.core_module(None, &functions(50_000, &[]));
    for _ in 0..instances {
        component.core_instantiate(None, module, []);
    }
    component.finish()
}

/// Each bag of exports has the one before it twice.
fn bags_in_bags(size: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let (ty, encoder) = component.type_defined(None);
    encoder.primitive(PrimitiveValType::U8);
    let mut bag = component.instantiate_exports(None, [("t", Kind::Type, ty)]);
    for _ in 0..size {
        bag = component.instantiate_exports(None, [("a", Kind::Instance, bag), ("b", Kind::Instance, bag)]);
    }
    component.finish()
}

/// Each component instantiates the one before it twice.
fn instances_in_instances(size: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    let mut index = component.component(None, ComponentBuilder::default());
    for _ in 0..size {
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

fn nested_components(size: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    for _ in 0..size {
        let mut outer = ComponentBuilder::default();
        outer.component(None, component);
        component = outer;
    }
    component.finish()
}

fn nested_types(size: u32) -> Vec<u8> {
    let mut ty = InstanceType::new();
    for _ in 0..size {
        let mut outer = InstanceType::new();
        outer.ty().instance(&ty);
        ty = outer;
    }
    let mut component = ComponentBuilder::default();
    component.type_instance(None, &ty);
    component.finish()
}

/// Two bytes each, of which the validator makes 50 or more.
fn many_types(size: u32) -> Vec<u8> {
    let mut types = ComponentTypeSection::new();
    for _ in 0..size {
        types.defined_type().primitive(PrimitiveValType::U8);
    }
    let mut component = Component::new();
    component.section(&types);
    component.finish()
}

/// Three bytes each, in one instance type, of which the reader makes 100 or more.
fn many_declarations(size: u32) -> Vec<u8> {
    let mut ty = InstanceType::new();
    for _ in 0..size {
        ty.ty().defined_type().primitive(PrimitiveValType::U8);
    }
    let mut component = ComponentBuilder::default();
    component.type_instance(None, &ty);
    component.finish()
}

fn many_modules(size: u32) -> Vec<u8> {
    let mut component = ComponentBuilder::default();
    for _ in 0..size {
        component.core_module(None, &Module::new());
    }
    component.finish()
}

/// A module of functions with these locals.
fn functions(count: u32, locals: &[(u32, ValType)]) -> Module {
    functions_of(&[], count, locals)
}

fn functions_of(params: &[ValType], count: u32, locals: &[(u32, ValType)]) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function(params.iter().copied(), []);
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
    wide(1_000, calls, |body| {
        body.instruction(&Instruction::Call(0));
    })
}

/// Branches that take so many results along: four bytes each.
pub fn branches(branches: u32, operands: usize) -> Module {
    wide(operands, branches, |body| {
        body.instruction(&Instruction::I32Const(0)).instruction(&Instruction::BrIf(0));
    })
}

/// Branches that take 64 results along, of a byte each.
fn branch_table(targets: u32) -> Module {
    wide(64, 1, |body| {
        let targets: Vec<_> = (0..targets).map(|_| 0).collect();
        body.instruction(&Instruction::I32Const(0));
        body.instruction(&Instruction::BrTable(targets.into(), 0));
    })
}

/// A function that takes so many operands and returns them, and does something with them on the stack.
fn wide(operands: usize, count: u32, code: impl Fn(&mut Function)) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    let operands = vec![ValType::I64; operands];
    types.ty().function(operands.iter().copied(), operands.iter().copied());
    let mut functions = FunctionSection::new();
    functions.function(0);
    let mut body = Function::new([]);
    for local in (0..).take(operands.len()) {
        body.instruction(&Instruction::LocalGet(local));
    }
    for _ in 0..count {
        code(&mut body);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    module.section(&types).section(&functions).section(&code);
    module
}

/// As many returns as there are types, of which one is wide: a look at all types for each is quadratic.
fn typed_returns(count: u32) -> Module {
    let mut module = Module::new();
    let mut types = TypeSection::new();
    types.ty().function([], []);
    types.ty().function([], [ValType::I64; 65]);
    for _ in 0..count {
        types.ty().function([], []);
    }
    let mut functions = FunctionSection::new();
    functions.function(1);
    let mut body = Function::new([]);
    body.instruction(&Instruction::Unreachable);
    for _ in 0..count {
        body.instruction(&Instruction::Return);
    }
    body.instruction(&Instruction::End);
    let mut code = CodeSection::new();
    code.function(&body);
    module.section(&types).section(&functions).section(&code);
    module
}
