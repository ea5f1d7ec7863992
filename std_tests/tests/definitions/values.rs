//! Values: their layouts, and what arrives of them. std_tests/definitions/values.py says what a line is.

use super::types::{Both, Parser};
use super::{python, seeds};
use canon_async::Error;
use canon_async::abi::{Dest, Source};
use canon_async::spec::PtrType;
use canon_async::state::StringEncoding;
use canon_async_component::layout::{FlatType, Layouts};
use canon_async_component::plan::CoreType;
use libtest_mimic::Failed;
use std_tests::memories::{FILL, Memories};

/// Lines a seed.
const VALUES: u64 = 2000;
const SIZES: [usize; 2] = [4096, 32768];
const POINTERS: [PtrType; 2] = [PtrType::I32, PtrType::I64];

/// Runs the usual seeds, and compares line by line.
pub fn compare() -> Result<(), Failed> {
    for seed in seeds(3)? {
        let lines = python("values.py", [seed.to_string(), VALUES.to_string()], String::new())?;
        let (mut passed, mut trapped) = (0, 0);
        for line in lines.lines() {
            match check(line) {
                Ok(true) => trapped += 1,
                Ok(false) => passed += 1,
                Err(what) => return Err(format!("seed {seed}: {what}\n{line}").into()),
            }
        }
        // Otherwise the lines are not what they are meant to be.
        if passed + trapped != VALUES || passed < VALUES / 2 || trapped < VALUES / 100 {
            return Err(format!("seed {seed}: {passed} values passed, and {trapped} trapped").into());
        }
    }
    Ok(())
}

/// One line: whether it is one that traps.
fn check(line: &str) -> Result<bool, String> {
    let fields: Vec<&str> = line.split('|').collect();
    let [ty, sizes, flat_types, from, to, memory, source, dest, begin, outcome @ ..] = fields.as_slice()
    else {
        return Err("expected ten fields or more".into());
    };
    let (from, to) = (side(from)?, side(to)?);
    let mut e = Memories::with_pointers(SIZES, [from.0, to.0], [from.1, to.1]);
    let mut layouts = Layouts::default();
    let ty = Parser::parse(e.store.types_mut(), &mut layouts, ty);
    check_layout(&e, &layouts, ty, &numbers(sizes)?, flat_types)?;

    fill(&mut e.memories[0], memory)?;
    let given = numbers(source.get(2..).unwrap_or_default())?;
    let source = match source.starts_with('F') {
        true => Source::Flat(&given),
        false => Source::Memory(*given.first().ok_or("no address")? as usize),
    };
    let place = *numbers(dest.get(2..).unwrap_or_default())?.first().ok_or("no place")? as usize;
    let mut flat = vec![0xdead; if dest.starts_with('F') { place } else { 0 }];
    let dest = if dest.starts_with('F') { Dest::Flat(&mut flat) } else { Dest::Memory(place) };
    e.next[1] = *numbers(begin)?.first().ok_or("no beginning")? as u32;
    let result = e.go(source, dest, ty.store);

    match (outcome, result) {
        (["trap"], Err(Error::Trap(_))) => Ok(true),
        (["ok", memory, values, log], Ok(())) => {
            let mut expected = vec![FILL; SIZES[1]];
            fill(&mut expected, memory)?;
            if let Some(at) = expected.iter().zip(&e.memories[1]).position(|(a, b)| a != b) {
                return Err(format!("the memories differ at {at}"));
            }
            let calls: Result<Vec<_>, _> =
                log.split(';').filter(|call| !call.is_empty()).map(numbers).collect();
            let ours: Vec<Vec<u64>> = e.log.iter().map(|call| call.map(u64::from).to_vec()).collect();
            if ours != calls? {
                return Err(format!("realloc was called with {ours:?}"));
            }
            if flat != numbers(values)? {
                return Err(format!("the flat values are {flat:?}"));
            }
            Ok(false)
        }
        (_, result) => Err(format!("here it ends with {result:?}")),
    }
}

/// `elem_size`, `alignment`, `flatten_type`: a store's and a plan's.
fn check_layout(e: &Memories, layouts: &Layouts, ty: Both, sizes: &[u64], flat: &str) -> Result<(), String> {
    let ours = e.store.types().layout(ty.store).ok_or("no layout")?;
    for ((pointers, expected), flat) in POINTERS.into_iter().zip(sizes.chunks(2)).zip(flat.split(' ')) {
        let store = [ours.size(pointers), ours.align(pointers)].map(u64::from);
        let (size, align) = layouts.size_align(ty.plan, pointers).map_err(|error| error.to_string())?;
        if store != *expected || [size, align].map(u64::from) != *expected {
            return Err(format!("size and alignment: {store:?} in a store, {size} and {align} in a plan"));
        }
        let flat: Vec<&str> = flat.split(',').collect();
        if usize::from(ours.flat) != flat.len().min(255) {
            return Err(format!("{} flat values in a store", ours.flat));
        }
        let plan = layouts.flat(ty.plan).map_err(|error| error.to_string())?;
        let plan: Option<Vec<&str>> = plan.map(|plan| plan.iter().map(|ty| core(*ty, pointers)).collect());
        if plan != (flat.len() <= 16).then_some(flat) {
            return Err(format!("flat types in a plan: {plan:?}"));
        }
    }
    Ok(())
}

fn core(ty: FlatType, pointers: PtrType) -> &'static str {
    match ty.core(pointers) {
        CoreType::I32 => "i32",
        CoreType::I64 => "i64",
        CoreType::F32 => "f32",
        CoreType::F64 => "f64",
    }
}

fn side(text: &str) -> Result<(StringEncoding, PtrType), String> {
    let (encoding, pointers) = text.split_once(' ').ok_or("expected an encoding and a pointer type")?;
    let encoding = match encoding {
        "utf8" => StringEncoding::Utf8,
        "utf16" => StringEncoding::Utf16,
        "latin1+utf16" => StringEncoding::Latin1Utf16,
        other => return Err(format!("no encoding is {other}")),
    };
    match pointers {
        "i32" => Ok((encoding, PtrType::I32)),
        "i64" => Ok((encoding, PtrType::I64)),
        other => Err(format!("no pointers are {other}")),
    }
}

fn numbers(text: &str) -> Result<Vec<u64>, String> {
    let number = |text: &str| text.parse().map_err(|error| format!("{text}: {error}"));
    text.split(',').filter(|text| !text.is_empty()).map(number).collect()
}

/// Bytes in hexadecimal, from the beginning on; the others stay.
fn fill(memory: &mut [u8], text: &str) -> Result<(), String> {
    for (at, digits) in text.as_bytes().chunks(2).enumerate().filter(|_| text != "-") {
        let digits = std::str::from_utf8(digits).map_err(|error| error.to_string())?;
        let byte = u8::from_str_radix(digits, 16).map_err(|error| format!("{digits}: {error}"))?;
        *memory.get_mut(at).ok_or("more bytes than memory")? = byte;
    }
    Ok(())
}
