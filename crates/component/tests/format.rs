//! The format of plans changes its number with its shape.

mod common;

use std::path::PathBuf;
use std::{env, fs};

use canon_async::spec::PtrType;
use canon_async_component::Plan;
use canon_async_component::plan::{
    BuiltinKind, CoreAbstract, CoreComposite, CoreHeap, CoreItem, CoreItemType, CoreKind, CoreStorage,
    CoreType, CoreValType, ExportItem, FORMAT, Func, ImportItem, ModuleRef, Step, StringEncoding, Value,
};
use canon_async_component::types::{Origin, TypeDef, ValType};
use common::plans::{self, HEADER};
use serde_reflection::{Samples, Tracer, TracerConfig};

/// What to do where a test here fails.
const HELP: &str = "the format of plans has changed: raise FORMAT in crates/component/src/plan/format.rs, say so in \
                    CHANGELOG.md, and run this test once with STORE_PLAN_FORMAT=1";

/// A file of the format, stored anew where that is asked for and it is not there yet.
fn stored(extension: &str, found: &[u8]) -> Vec<u8> {
    let path =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/plans/format-{FORMAT}.{extension}"));
    if env::var_os("STORE_PLAN_FORMAT").is_some() && !path.exists() {
        fs::write(&path, found).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; {HELP}", path.display()))
}

/// serde's stand-in for [`PtrType`], by the name that the crate's has.
#[derive(serde::Deserialize)]
#[allow(dead_code, reason = "only its shape is of interest")]
enum PtrTypeDef {
    I32,
    I64,
}

#[test]
fn the_shape_of_plans_is_that_of_their_format() {
    let mut tracer = Tracer::new(TracerConfig::default());
    let samples = Samples::new();
    macro_rules! trace {
        ($($ty:ty)*) => {
            $(tracer.trace_type::<$ty>(&samples).unwrap();)*
        };
    }
    trace! {
        ValType TypeDef Origin ModuleRef CoreKind CoreItem CoreType StringEncoding Func BuiltinKind Value Step ImportItem
        ExportItem CoreAbstract CoreHeap CoreValType CoreStorage CoreComposite CoreItemType Plan PtrTypeDef
    }
    let shape = tracer.registry().unwrap();
    let shape: String = shape.iter().map(|(name, format)| format!("{name}: {format:?}\n")).collect();
    let stored = String::from_utf8(stored("shape", shape.as_bytes())).unwrap();
    assert!(stored == shape, "{HELP}\nstored:\n{stored}\nfound:\n{shape}");
}

#[test]
fn a_plan_of_this_format_that_was_stored_is_read_and_written_the_same() {
    let plan = common::plan(plans::EVERYTHING);
    let bytes = plan.to_bytes().unwrap();
    let stored = stored("plan", &bytes);
    match Plan::from_bytes(&stored) {
        Ok(read) => assert!(read == plan, "{HELP}"),
        Err(error) => panic!("{error}; {HELP}"),
    }
    assert!(bytes[HEADER..] == stored[HEADER..], "{HELP}");
}

/// The numbers of what is fixed by position alone.
#[test]
fn pointer_types_are_numbered_as_the_spec_lists_them() {
    let with = |start| {
        let table = CoreItem::Export { instance: 0, name: String::new() };
        postcard::to_allocvec(&BuiltinKind::ThreadNewIndirect { table, start }).unwrap()
    };
    assert_eq!(with(PtrType::I32).last(), Some(&0));
    assert_eq!(with(PtrType::I64).last(), Some(&1));
}
