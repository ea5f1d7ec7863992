//! A plan in words: what it imports and exports, which built-ins it uses, and what it needs of a store.
//!
//! | module | what |
//! |---|---|
//! | `words` | imports and exports, nearly as WIT |
//! | `needs` | what linking takes of a store |
//! | `capacities` | what linking and calls take of a store: a profile |

mod capacities;
mod needs;
mod words;

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

pub use capacities::{Profile, capacities, entries, profile};
pub use needs::{Needs, needs};
pub use words::{Words, words};

use crate::plan::{
    Attributes, Builtin, BuiltinKind, Export, ExportItem, Import, ImportItem, MAX_NESTING, ModuleRef, Plan,
    Step,
};
use crate::types::TypeTable;

/// What there is to know about a plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The component's name.
    pub name: Option<String>,
    /// What it imports, instances taken apart: path and type.
    pub imports: Vec<(String, String)>,
    /// What it exports, instances taken apart: path and type.
    pub exports: Vec<(String, String)>,
    /// What names of imports and exports say besides, of those that say something: 🏷️ the interface that they
    /// implement, 🏷️ their external id, 🔗 the version that a canonical name stands for.
    pub attributes: Vec<(String, String)>,
    /// The built-ins that it uses, by the spec's names, and how many of each.
    pub builtins: BTreeMap<&'static str, u32>,
    /// The sizes of its core modules, in bytes.
    pub modules: Vec<usize>,
    /// How many core instances it makes.
    pub core_instances: u32,
    /// What it needs of a store.
    pub needs: Needs,
}

/// Summarises a plan.
pub fn inspect(plan: &Plan) -> Summary {
    let (mut imports, mut exports) = (Vec::new(), Vec::new());
    list_imports(plan, &plan.imports, ("", 0), &mut imports);
    list_exports(plan, &plan.exports, ("", 0), &mut exports);
    let mut attributes = Vec::new();
    list_attributes(plan, &mut attributes);
    let mut builtins = BTreeMap::new();
    for builtin in &plan.builtins {
        let count: &mut u32 = builtins.entry(builtin_name(&builtin.kind)).or_default();
        *count = count.saturating_add(1);
    }
    let made = plan.steps.iter().filter(|step| matches!(step, Step::InstantiateCore { .. })).count();
    Summary {
        name: plan.name.clone(),
        imports,
        exports,
        attributes,
        builtins,
        modules: plan.modules.iter().map(|module| module.bytes.len()).collect(),
        core_instances: count(made),
        needs: needs(plan),
    }
}

fn count(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn list_imports(
    plan: &Plan,
    imports: &[Import],
    (prefix, depth): (&str, u32),
    out: &mut Vec<(String, String)>,
) {
    for import in imports {
        let path = format!("{prefix}{}", import.name);
        let text = match &import.item {
            ImportItem::Instance(inner) if depth < MAX_NESTING => {
                let before = out.len();
                list_imports(plan, inner, (&format!("{path}#"), depth.saturating_add(1)), out);
                if out.len() > before {
                    continue;
                }
                "instance".to_string()
            }
            ImportItem::Instance(_) => "instance { .. }".to_string(),
            ImportItem::Func(index) => {
                let ty = plan.import_funcs.get(*index as usize).map(|func| func.ty);
                func_text(&plan.types, ty)
            }
            ImportItem::Resource(_) => "resource".to_string(),
            ImportItem::Type(ty) => format!("type {}", plan.types.display(*ty)),
            ImportItem::OtherType => "type".to_string(),
            ImportItem::Module(_) => "core module".to_string(),
            ImportItem::Value(index) => {
                let ty = plan.import_values.get(*index as usize).map(|value| value.ty);
                ty.map_or_else(|| "value".to_string(), |ty| format!("value {}", plan.types.display(ty)))
            }
            ImportItem::Component => "component".to_string(),
        };
        out.push((path, text));
    }
}

fn list_exports(
    plan: &Plan,
    exports: &[Export],
    (prefix, depth): (&str, u32),
    out: &mut Vec<(String, String)>,
) {
    for export in exports {
        let path = format!("{prefix}{}", export.name);
        let text = match &export.item {
            ExportItem::Instance(inner) if depth < MAX_NESTING => {
                let before = out.len();
                list_exports(plan, inner, (&format!("{path}#"), depth.saturating_add(1)), out);
                if out.len() > before {
                    continue;
                }
                "instance".to_string()
            }
            ExportItem::Instance(_) => "instance { .. }".to_string(),
            ExportItem::Func(func) => func_text(&plan.types, plan.func_type_index(*func)),
            ExportItem::Resource(_) => "resource".to_string(),
            ExportItem::Type(ty) => format!("type {}", plan.types.display(*ty)),
            ExportItem::OtherType => "type".to_string(),
            ExportItem::Module(ModuleRef::Inline(_) | ModuleRef::Import(_)) => "core module".to_string(),
            ExportItem::Value(_, ty) => format!("value {}", plan.types.display(*ty)),
            ExportItem::Component => "component".to_string(),
        };
        out.push((path, text));
    }
}

/// Of the root's own names: those in instances are what the instance's interface says.
fn list_attributes(plan: &Plan, out: &mut Vec<(String, String)>) {
    let imports = plan.imports.iter().map(|import| ("import", &import.name, &import.attributes));
    let exports = plan.exports.iter().map(|export| ("export", &export.name, &export.attributes));
    for (word, name, Attributes { implements, external_id, version_suffix }) in imports.chain(exports) {
        let suffix = version_suffix.as_deref().unwrap_or_default();
        let version = || name.split_once('@').map(|(_, version)| format!("version {version}{suffix}"));
        let mut said = Vec::new();
        match implements {
            Some(interface) => said.push(format!("implements \"{interface}{suffix}\"")),
            None => said.extend(version_suffix.as_ref().and_then(|_| version())),
        }
        said.extend(external_id.as_ref().map(|id| format!("external id {id:?}")));
        if !said.is_empty() {
            out.push((format!("{word} {name}"), said.join(", ")));
        }
    }
}

fn func_text(types: &TypeTable, index: Option<u32>) -> String {
    let ty = index.and_then(|index| types.func(index));
    ty.map_or_else(|| "func".to_string(), |ty| types.display_func(ty).to_string())
}

/// A component's own text, to be shown on a terminal in one line: characters that control one, or that change
/// the direction of text, are shown as Rust writes them.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.0.split_inclusive(hides) {
            let last = part.chars().next_back().filter(|last| hides(*last));
            f.write_str(part.strip_suffix(hides).unwrap_or(part))?;
            last.map_or(Ok(()), |last| write!(f, "{}", last.escape_default()))?;
        }
        Ok(())
    }
}

fn hides(c: char) -> bool {
    Escaped::hides(c)
}

impl Escaped<'_> {
    /// Whether a character is shown as Rust writes it.
    pub fn hides(c: char) -> bool {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}')
    }
}

/// The spec's name of a built-in.
pub fn builtin_name(kind: &BuiltinKind) -> &'static str {
    match kind {
        BuiltinKind::Lower { .. } => "lower",
        BuiltinKind::ResourceNew { .. } => "resource.new",
        BuiltinKind::ResourceDrop { .. } => "resource.drop",
        BuiltinKind::ResourceRep { .. } => "resource.rep",
        BuiltinKind::ContextGet { .. } => "context.get",
        BuiltinKind::ContextSet { .. } => "context.set",
        BuiltinKind::BackpressureInc => "backpressure.inc",
        BuiltinKind::BackpressureDec => "backpressure.dec",
        BuiltinKind::TaskReturn { .. } => "task.return",
        BuiltinKind::TaskCancel => "task.cancel",
        BuiltinKind::WaitableSetNew => "waitable-set.new",
        BuiltinKind::WaitableSetWait { .. } => "waitable-set.wait",
        BuiltinKind::WaitableSetPoll { .. } => "waitable-set.poll",
        BuiltinKind::WaitableSetDrop => "waitable-set.drop",
        BuiltinKind::WaitableJoin => "waitable.join",
        BuiltinKind::SubtaskCancel { .. } => "subtask.cancel",
        BuiltinKind::SubtaskDrop => "subtask.drop",
        BuiltinKind::StreamNew { .. } => "stream.new",
        BuiltinKind::StreamRead { .. } => "stream.read",
        BuiltinKind::StreamWrite { .. } => "stream.write",
        BuiltinKind::StreamCancelRead { .. } => "stream.cancel-read",
        BuiltinKind::StreamCancelWrite { .. } => "stream.cancel-write",
        BuiltinKind::StreamDropReadable { .. } => "stream.drop-readable",
        BuiltinKind::StreamDropWritable { .. } => "stream.drop-writable",
        BuiltinKind::StreamForward { .. } => "stream.forward",
        BuiltinKind::FutureNew { .. } => "future.new",
        BuiltinKind::FutureRead { .. } => "future.read",
        BuiltinKind::FutureWrite { .. } => "future.write",
        BuiltinKind::FutureCancelRead { .. } => "future.cancel-read",
        BuiltinKind::FutureCancelWrite { .. } => "future.cancel-write",
        BuiltinKind::FutureDropReadable { .. } => "future.drop-readable",
        BuiltinKind::FutureDropWritable { .. } => "future.drop-writable",
        BuiltinKind::FutureForward { .. } => "future.forward",
        BuiltinKind::ThreadIndex => "thread.index",
        BuiltinKind::ThreadNewIndirect { .. } => "thread.new-indirect",
        BuiltinKind::ThreadResumeLater => "thread.resume-later",
        BuiltinKind::ThreadSuspend => "thread.suspend",
        BuiltinKind::ThreadYield => "thread.yield",
        BuiltinKind::ThreadSuspendThenResume => "thread.suspend-then-resume",
        BuiltinKind::ThreadYieldThenResume => "thread.yield-then-resume",
        BuiltinKind::ThreadSuspendThenPromote => "thread.suspend-then-promote",
        BuiltinKind::ThreadYieldThenPromote => "thread.yield-then-promote",
        BuiltinKind::ErrorContextNew { .. } => "error-context.new",
        BuiltinKind::ErrorContextDebugMessage { .. } => "error-context.debug-message",
        BuiltinKind::ErrorContextDrop => "error-context.drop",
    }
}

impl Builtin {
    /// The spec's name of the built-in.
    pub fn name(&self) -> &'static str {
        builtin_name(&self.kind)
    }
}
