//! One component: what it imports, its code, its lifted functions, and maybe another component in it.

use std::collections::BTreeMap;

use wasm_encoder::{
    CanonicalOption as Opt, ComponentBuilder, ComponentExportKind as Kind, ComponentTypeRef, ExportKind,
    Instruction, ModuleArg, TypeBounds, ValType,
};

use super::code::{Code, Fun, Ins, Pipe, Role, Scope};
use super::module::{self, Body, CoreType};
use super::types::{Defined, Sig, Types};
use crate::tape::Tape;

const I32: ValType = ValType::I32;

/// What a component is given.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Whether it defines the resource type that the others import.
    pub home: bool,
    /// The functions that it imports, with their signatures.
    pub imports: Vec<(String, usize)>,
    /// How deep components may nest in it.
    pub nesting: u32,
}

/// The core things that options name.
#[derive(Clone, Copy, Debug)]
struct Core {
    memory: u32,
    realloc: u32,
    table: u32,
    /// Of a thread's function.
    start: u32,
    encoding: Opt,
}

impl Core {
    fn options(&self, is_async: bool) -> Vec<Opt> {
        let mut options = vec![Opt::Memory(self.memory), Opt::Realloc(self.realloc), self.encoding];
        if is_async {
            options.push(Opt::Async);
        }
        options
    }
}

/// A lifted function.
#[derive(Clone, Copy, Debug)]
struct Export {
    sig: usize,
    role: Role,
    post_return: bool,
}

/// Writes a component: it, and the signatures of the functions that it exports as `f0`, `f1` and so on. It
/// also exports `die`, which traps.
pub fn write(tape: &mut Tape, types: &Types, spec: &Spec) -> (ComponentBuilder, Vec<usize>) {
    let mut b = ComponentBuilder::default();
    let libc = b.core_module(None, &module::memory(tape));
    let libc = b.core_instantiate(None, libc, []);
    let dtor = b.core_alias_export(None, libc, "dtor", ExportKind::Func);
    let core = Core {
        memory: b.core_alias_export(None, libc, "memory", ExportKind::Memory),
        realloc: b.core_alias_export(None, libc, "realloc", ExportKind::Func),
        table: b.core_alias_export(None, libc, "table", ExportKind::Table),
        start: {
            let (index, encoder) = b.core_type(None);
            encoder.core().function([I32], []);
            index
        },
        encoding: [Opt::UTF8, Opt::UTF16, Opt::CompactUTF16].get(tape.below(3)).copied().unwrap_or(Opt::UTF8),
    };
    let resource = match spec.home {
        true => {
            let ty = b.type_resource(None, I32, Some(dtor));
            b.export("r", Kind::Type, ty, None)
        }
        false => b.import("r", ComponentTypeRef::Type(TypeBounds::SubResource)),
    };
    let defined = Defined::new(&mut b, types, resource, spec.home);
    let mut funcs = Vec::new();
    for (name, sig) in &spec.imports {
        let ty = defined.func(&mut b, types.sig(*sig));
        funcs.push((b.import(name.as_str(), ComponentTypeRef::Func(ty)), *sig));
    }
    if spec.nesting > 0 && tape.byte() % 4 == 3 {
        add_child(&mut b, tape, types, spec, &defined, &mut funcs);
    }

    let sigs: Vec<usize> = funcs.iter().map(|(_, sig)| *sig).collect();
    let scope = Scope { types, funcs: &sigs, home: spec.home };
    let exports: Vec<Export> = (0..1 + tape.below(4)).map(|_| export(tape, types)).collect();
    let bodies = bodies(tape, scope, &exports);
    let called = bodies.iter().flat_map(|body| &body.code);
    let used = called.filter_map(|ins| if let Ins::Call(fun) = ins { Some(*fun) } else { None });
    let funs: BTreeMap<Fun, CoreType> = used.map(|fun| (fun, core_type(types, &sigs, fun))).collect();
    let main = b.core_module(None, &module::code(tape, types, bodies, &funs));
    let given: Vec<(String, ExportKind, u32)> = (0u32..)
        .zip(funs.keys())
        .map(|(number, fun)| {
            (number.to_string(), ExportKind::Func, canon(&mut b, types, &defined, core, &funcs, *fun))
        })
        .collect();
    let given = given.iter().map(|(name, kind, at)| (name.as_str(), *kind, *at)).collect::<Vec<_>>();
    let given = b.core_instantiate_exports(None, given);
    let args = [("m", ModuleArg::Instance(libc)), ("b", ModuleArg::Instance(given))];
    let main = b.core_instantiate(None, main, args);
    lift(&mut b, types, &defined, core, main, &exports);
    (b, exports.iter().map(|export| export.sig).collect())
}

fn export(tape: &mut Tape, types: &Types) -> Export {
    let sig = tape.below(types.sigs.len());
    let role = match tape.byte() % 8 {
        _ if !types.sig(sig).is_async => Role::Sync,
        0..=4 => Role::Callback,
        5 | 6 => Role::Stackful,
        _ => Role::Sync,
    };
    Export { sig, role, post_return: role == Role::Sync && tape.byte() % 4 == 3 }
}

/// A component inside of this one, which gets what this one gets; its functions can be called like those.
fn add_child(
    b: &mut ComponentBuilder,
    tape: &mut Tape,
    types: &Types,
    spec: &Spec,
    defined: &Defined,
    funcs: &mut Vec<(u32, usize)>,
) {
    let inner = Spec { home: false, nesting: spec.nesting.saturating_sub(1), ..spec.clone() };
    let (child, exports) = write(tape, types, &inner);
    let child = b.component(None, child);
    for _ in 0..1 + tape.below(2) {
        let mut args = vec![("r".to_string(), Kind::Type, defined.resource)];
        let named = defined.named.iter().enumerate();
        args.extend(named.map(|(at, ty)| (format!("t{at}"), Kind::Type, *ty)));
        let imports = spec.imports.iter().zip(funcs.iter());
        args.extend(
            imports.map(|((name, _), (func, _))| (name.clone(), Kind::Func, *func)).collect::<Vec<_>>(),
        );
        let instance = b.instantiate(None, child, args);
        for (at, sig) in exports.iter().enumerate() {
            funcs.push((b.alias_export(instance, &format!("f{at}"), Kind::Func), *sig));
        }
    }
}

/// All functions of the code's module: those in the table, then those of the exports.
fn bodies(tape: &mut Tape, scope: Scope<'_>, exports: &[Export]) -> Vec<Body> {
    let mut bodies = Vec::new();
    let start: CoreType = (vec![I32], Vec::new());
    for role in [Role::Thread, Role::Thread, Role::Leaf, Role::Leaf] {
        let mut code = Code::new(scope, role, None, 1);
        code.body(tape);
        bodies.push(Body { name: None, ty: start.clone(), code: code.out });
    }
    for (at, export) in exports.iter().enumerate() {
        let ty = lift_type(scope.types, export);
        let mut code = Code::new(scope, export.role, Some(export.sig), ty.0.len());
        code.params(scope.types.sig(export.sig));
        code.body(tape);
        bodies.push(Body { name: Some(format!("e{at}")), ty: ty.clone(), code: code.out });
        if export.role == Role::Callback {
            let mut code = Code::new(scope, export.role, Some(export.sig), 3);
            code.callback(tape);
            code.body(tape);
            bodies.push(Body { name: Some(format!("c{at}")), ty: (vec![I32; 3], vec![I32]), code: code.out });
        }
        if export.post_return {
            let mut code = Code::new(scope, Role::Leaf, None, ty.1.len());
            code.body(tape);
            bodies.push(Body { name: Some(format!("p{at}")), ty: (ty.1, Vec::new()), code: code.out });
        }
    }
    let code = vec![Ins::I(Instruction::Unreachable)];
    bodies.push(Body { name: Some("die".into()), ty: CoreType::default(), code });
    bodies
}

fn lift(
    b: &mut ComponentBuilder,
    types: &Types,
    defined: &Defined,
    core: Core,
    main: u32,
    exports: &[Export],
) {
    let mut lifted = Vec::new();
    for (at, export) in exports.iter().enumerate() {
        let mut core_func =
            |prefix: &str| b.core_alias_export(None, main, &format!("{prefix}{at}"), ExportKind::Func);
        let func = core_func("e");
        let mut options = core.options(export.role != Role::Sync);
        if export.role == Role::Callback {
            options.push(Opt::Callback(core_func("c")));
        }
        if export.post_return {
            options.push(Opt::PostReturn(core_func("p")));
        }
        let ty = defined.func(b, types.sig(export.sig));
        lifted.push((format!("f{at}"), b.lift_func(None, func, ty, options)));
    }
    let die = b.core_alias_export(None, main, "die", ExportKind::Func);
    let ty = defined.func(b, &Sig { params: Vec::new(), result: None, is_async: false });
    lifted.push(("die".into(), b.lift_func(None, die, ty, [])));
    for (name, func) in lifted {
        b.export(name.as_str(), Kind::Func, func, None);
    }
}

/// The core type of a lifted function.
fn lift_type(types: &Types, export: &Export) -> CoreType {
    let sig = types.sig(export.sig);
    let params = spilled(types.flat_all(&sig.params), 16);
    let result = sig.result.as_ref().map(|ty| types.flat(ty)).unwrap_or_default();
    match export.role {
        Role::Callback => (params, vec![I32]),
        Role::Sync => (params, spilled(result, 1)),
        _ => (params, Vec::new()),
    }
}

fn spilled(flat: Vec<ValType>, most: usize) -> Vec<ValType> {
    if flat.len() > most { vec![I32] } else { flat }
}

/// The core type of what the component gives.
fn core_type(types: &Types, funcs: &[usize], fun: Fun) -> CoreType {
    let (params, results) = match fun {
        Fun::Lower(at, is_async) => {
            let sig = types.sig(funcs.get(at).copied().unwrap_or(0));
            let mut params = spilled(types.flat_all(&sig.params), if is_async { 4 } else { 16 });
            let result = sig.result.as_ref().map(|ty| types.flat(ty)).unwrap_or_default();
            let by_pointer = result.len() > usize::from(!is_async);
            if by_pointer {
                params.push(I32);
            }
            return match is_async {
                true => (params, vec![I32]),
                false => (params, if by_pointer { Vec::new() } else { result }),
            };
        }
        Fun::TaskReturn(at) => {
            let result = types.sig(at).result.as_ref().map(|ty| types.flat(ty)).unwrap_or_default();
            return (spilled(result, 16), Vec::new());
        }
        Fun::New(_) => return (Vec::new(), vec![ValType::I64]),
        Fun::TaskCancel | Fun::Inc | Fun::Dec => (0, 0),
        Fun::ContextGet(_) | Fun::SetNew | Fun::ThreadIndex | Fun::Suspend | Fun::Yield => (0, 1),
        Fun::ContextSet(_) | Fun::SetDrop | Fun::SubtaskDrop | Fun::ResumeLater => (1, 0),
        Fun::DropReadable(_) | Fun::DropWritable(_) | Fun::ErrorDrop | Fun::ResourceDrop => (1, 0),
        Fun::Join | Fun::ErrorMessage | Fun::Forward(_) => (2, 0),
        Fun::SetWait | Fun::SetPoll | Fun::ThreadNew | Fun::ErrorNew => (2, 1),
        Fun::Read(pipe, _) | Fun::Write(pipe, _) => (if pipe.future { 2 } else { 3 }, 1),
        Fun::SubtaskCancel(_) | Fun::CancelRead(..) | Fun::CancelWrite(..) => (1, 1),
        Fun::SuspendThenResume | Fun::YieldThenResume => (1, 1),
        Fun::SuspendThenPromote | Fun::YieldThenPromote | Fun::ResourceNew | Fun::ResourceRep => (1, 1),
    };
    (vec![I32; params], vec![I32; results])
}

/// Defines what the component gives: its core function.
fn canon(
    b: &mut ComponentBuilder,
    types: &Types,
    defined: &Defined,
    core: Core,
    funcs: &[(u32, usize)],
    fun: Fun,
) -> u32 {
    let of = |pipe: Pipe| {
        let from = if pipe.future { &defined.futures } else { &defined.streams };
        from.get(pipe.at).copied().unwrap_or(0)
    };
    match fun {
        Fun::Lower(at, is_async) => {
            let func = funcs.get(at).map_or(0, |(func, _)| *func);
            b.lower_func(None, func, core.options(is_async))
        }
        Fun::TaskReturn(at) => {
            let result = types.sig(at).result.as_ref().map(|ty| defined.val(b, ty));
            b.task_return(result, [Opt::Memory(core.memory), core.encoding])
        }
        Fun::TaskCancel => b.task_cancel(),
        Fun::ContextGet(slot) => b.context_get(I32, slot),
        Fun::ContextSet(slot) => b.context_set(I32, slot),
        Fun::Inc => b.backpressure_inc(),
        Fun::Dec => b.backpressure_dec(),
        Fun::SetNew => b.waitable_set_new(),
        Fun::SetWait => b.waitable_set_wait(core.memory),
        Fun::SetPoll => b.waitable_set_poll(core.memory),
        Fun::SetDrop => b.waitable_set_drop(),
        Fun::Join => b.waitable_join(),
        Fun::SubtaskCancel(is_async) => b.subtask_cancel(is_async),
        Fun::SubtaskDrop => b.subtask_drop(),
        Fun::New(pipe) if pipe.future => b.future_new(of(pipe)),
        Fun::New(pipe) => b.stream_new(of(pipe)),
        Fun::Read(pipe, is_async) if pipe.future => b.future_read(of(pipe), core.options(is_async)),
        Fun::Read(pipe, is_async) => b.stream_read(of(pipe), core.options(is_async)),
        Fun::Write(pipe, is_async) if pipe.future => b.future_write(of(pipe), core.options(is_async)),
        Fun::Write(pipe, is_async) => b.stream_write(of(pipe), core.options(is_async)),
        Fun::CancelRead(pipe, is_async) if pipe.future => b.future_cancel_read(of(pipe), is_async),
        Fun::CancelRead(pipe, is_async) => b.stream_cancel_read(of(pipe), is_async),
        Fun::CancelWrite(pipe, is_async) if pipe.future => b.future_cancel_write(of(pipe), is_async),
        Fun::CancelWrite(pipe, is_async) => b.stream_cancel_write(of(pipe), is_async),
        Fun::DropReadable(pipe) if pipe.future => b.future_drop_readable(of(pipe)),
        Fun::DropReadable(pipe) => b.stream_drop_readable(of(pipe)),
        Fun::DropWritable(pipe) if pipe.future => b.future_drop_writable(of(pipe)),
        Fun::DropWritable(pipe) => b.stream_drop_writable(of(pipe)),
        Fun::Forward(pipe) if pipe.future => b.future_forward(of(pipe)),
        Fun::Forward(pipe) => b.stream_forward(of(pipe)),
        Fun::ThreadIndex => b.thread_index(),
        Fun::ThreadNew => b.thread_new_indirect(core.start, core.table),
        Fun::ResumeLater => b.thread_resume_later(),
        Fun::Suspend => b.thread_suspend(),
        Fun::Yield => b.thread_yield(),
        Fun::SuspendThenResume => b.thread_suspend_then_resume(),
        Fun::YieldThenResume => b.thread_yield_then_resume(),
        Fun::SuspendThenPromote => b.thread_suspend_then_promote(),
        Fun::YieldThenPromote => b.thread_yield_then_promote(),
        Fun::ErrorNew => b.error_context_new(core.options(false)),
        Fun::ErrorMessage => b.error_context_debug_message(core.options(false)),
        Fun::ErrorDrop => b.error_context_drop(),
        Fun::ResourceNew => b.resource_new(defined.resource),
        Fun::ResourceRep => b.resource_rep(defined.resource),
        Fun::ResourceDrop => b.resource_drop(defined.resource),
    }
}
