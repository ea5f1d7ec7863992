//! `canon compose`.

use std::path::{Path, PathBuf};

use canon_async_component::inspect::{Escaped, inspect};
use canon_async_component::link::newest_compatible;
use canon_async_component::{TranslateOptions, translate};
use clap::Args;
use wac_graph::types::{ItemKind, Package, SubtypeChecker};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

use crate::caught::caught;
use crate::console::{self, Failure};
use crate::{compile, input};

const AFTER_HELP: &str = "\
What the component imports is connected to what the components after --with export: by name,
and where no name is the same by a compatible version. Each of them may import what those
before it export, as with `canon run`. What nobody exports is imported by the composition,
which exports what the component does. Files in the language WAC are for `wac compose` of
https://github.com/bytecodealliance/wac.

Examples:
  canon compose app.wasm --with lib.wasm -o out.wasm
  canon compose app.wasm --with log.wasm --with lib.wasm -o - | canon run -

Exit codes: 0; 1 where a component is invalid or the types of an import and an export differ;
2 for usage, and where a component exports nothing that is imported.";

/// Make one component of a component and those that provide what it imports
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Compose {
    /// The component: .wasm, or .wat; - is stdin
    file: PathBuf,
    /// A component that provides what it exports; may be given more than once
    #[arg(long, value_name = "FILE", required = true)]
    with: Vec<PathBuf>,
    /// Where the composition goes; - is stdout
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    limits: input::FileLimits,
}

/// Runs the command.
///
/// # Errors
/// See the text of its help for the exit codes.
pub fn compose(args: &Compose) -> Result<(), Failure> {
    let files: Vec<&Path> = args.with.iter().chain([&args.file]).map(PathBuf::as_path).collect();
    let mut parts = Vec::new();
    for file in &files {
        let at = input::shown(file);
        let bytes = input::loaded(file, &args.limits)?.binary;
        let bytes = bytes.ok_or_else(|| {
            Failure::usage(format_args!("{at}: this is a plan; expected the component that it was made of"))
        })?;
        parts.push(Part { at, bytes });
    }
    let bytes = caught(|| composed(parts))
        .unwrap_or_else(|panic| Err(Failure::component(format_args!("wac can't compose these: {panic}"))))?;
    let plan = translate(&bytes, &TranslateOptions::default())
        .map_err(|error| Failure::component(format_args!("the composition is not valid: {error}")))?;
    if compile::written(&args.output, &bytes, &files)? {
        return Ok(());
    }
    let imports = inspect(&plan).imports;
    console::line(format_args!("{}: {} bytes", args.output.display(), bytes.len()));
    console::line(if imports.is_empty() { "imports: none" } else { "imports:" });
    imports.iter().for_each(|(path, ty)| console::line(format_args!("  {}: {}", Escaped(path), Escaped(ty))));
    Ok(())
}

/// A component.
struct Part {
    /// What to call it in messages.
    at: String,
    bytes: Vec<u8>,
}

/// A component of the graph.
struct Node {
    at: String,
    package: PackageId,
    instance: NodeId,
    /// Whether something that it exports is imported.
    is_used: bool,
}

/// Connects components, the last of which is the one that is exported.
fn composed(parts: Vec<Part>) -> Result<Vec<u8>, Failure> {
    let mut graph = CompositionGraph::new();
    let mut nodes: Vec<Node> = Vec::new();
    for (number, Part { at, bytes }) in parts.into_iter().enumerate() {
        let failed = |error: &dyn std::fmt::Display| Failure::component(format_args!("{at}: {error}"));
        let name = format!("canon:part{number}");
        let package = Package::from_bytes(&name, None, bytes, graph.types_mut());
        let package = package.map_err(|error| failed(&format_args!("{error:#}")))?;
        let package = graph.register_package(package).map_err(|error| failed(&error))?;
        let instance = graph.instantiate(package);
        let node = Node { at, package, instance, is_used: false };
        connect(&mut graph, &mut nodes, &node)?;
        nodes.push(node);
    }
    let Some(last) = nodes.pop() else { return Err(Failure::usage("no component")) };
    if let Some(unused) = nodes.iter().find(|node| !node.is_used) {
        return Err(nothing_imported(&graph, unused));
    }
    let exports = &graph.types()[graph[last.package].ty()].exports;
    for name in exports.keys().cloned().collect::<Vec<_>>() {
        let failed = |error: &dyn std::fmt::Display| {
            Failure::component(format_args!("{}: export \"{name}\": {error}", last.at))
        };
        let export = graph.alias_instance_export(last.instance, &name).map_err(|error| failed(&error))?;
        graph.export(export, &name).map_err(|error| failed(&error))?;
    }
    // `translate` validates, with a newer validator than wac's.
    let options = EncodeOptions { validate: false, ..EncodeOptions::default() };
    graph.encode(options).map_err(|error| {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let causes: Vec<_> = causes.map(ToString::to_string).collect();
        Failure::component(format_args!("the components can't be composed: {}", causes.join(": ")))
    })
}

/// Gives a component what those before it export. What was exported last counts, as with `canon run`.
fn connect(graph: &mut CompositionGraph, before: &mut [Node], to: &Node) -> Result<(), Failure> {
    let imports: Vec<_> = graph.types()[graph[to.package].ty()].imports.clone().into_iter().collect();
    for (import, wanted) in imports {
        let Some((at, export, given)) = exporter(graph, before, &import) else { continue };
        let Some(from) = before.get_mut(at) else { continue };
        let failed = |error: &dyn std::fmt::Display| {
            let (from, to) = (&from.at, &to.at);
            Failure::component(format_args!(
                "{to}: the import \"{import}\" does not fit the export \"{export}\" of {from}: {error}"
            ))
        };
        let mut cache = Default::default();
        let fits = SubtypeChecker::new(&mut cache).is_subtype(given, graph.types(), wanted, graph.types());
        fits.map_err(|error| failed(&format_args!("{error:#}")))?;
        let node = graph.alias_instance_export(from.instance, &export).map_err(|error| failed(&error))?;
        let connected = graph.set_instantiation_argument(to.instance, &import, node);
        connected.map_err(|error| failed(&error))?;
        from.is_used = true;
    }
    Ok(())
}

/// Who exports what an import gets: its index, and the export's name and type.
fn exporter(graph: &CompositionGraph, nodes: &[Node], import: &str) -> Option<(usize, String, ItemKind)> {
    let exports = |node: &Node| graph.types()[graph[node.package].ty()].exports.iter();
    let all: Vec<_> =
        nodes.iter().map(exports).enumerate().flat_map(|(at, of)| of.map(move |of| (at, of))).collect();
    let same = all.iter().rposition(|(_, (name, _))| *name == import);
    let names = all.iter().map(|(_, (name, _))| name.as_str());
    let (at, (name, kind)) = all.get(same.or_else(|| newest_compatible(import, names))?)?;
    Some((*at, name.to_string(), **kind))
}

/// That a component after --with is of no use, with what it exports.
fn nothing_imported(graph: &CompositionGraph, node: &Node) -> Failure {
    let names = graph.types()[graph[node.package].ty()].exports.keys();
    let names: Vec<_> = names.map(|name| format!("\"{name}\"")).collect();
    let (at, names) = (&node.at, if names.is_empty() { "nothing".into() } else { names.join(", ") });
    Failure::usage(format_args!(
        "{at}: no component after it imports what it exports: {names}; `canon wit` shows what a component imports"
    ))
}
