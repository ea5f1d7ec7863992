//! Limits act before work does: a component that costs much is refused by a scan of its bytes.

#[path = "common/attacks.rs"]
mod attacks;

use std::time::{Duration, Instant};

use canon_async_component::{
    CoreFeatures, PlanLimits, TranslateError, TranslateOptions, check_size, translate,
};

/// Far more than the scan takes (200 ms is the promise for a release build), and far less than the work it
/// prevents.
const AT_MOST: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

#[test]
fn component_that_costs_more_than_its_bytes_is_refused_at_once() {
    for attack in attacks::all() {
        let (name, bytes) = (attack.name, attack.bytes());
        let start = Instant::now();
        let error = translate(&bytes, &TranslateOptions::default()).expect_err(name);
        let took = start.elapsed();
        println!("{name}: {} bytes, {took:?}: {error}", bytes.len());
        let TranslateError::TooLarge { field, found, limit, offset, .. } = error else {
            panic!("{name}: {error}")
        };
        assert_eq!(field, format!("PlanLimits::{}", attack.field), "{name}");
        assert!(found > u64::from(limit) && offset.is_some(), "{name}");
        assert!(took < AT_MOST, "{name}: {took:?}");
    }
}

/// All but one, which costs the validator nothing and the translation much.
#[test]
fn component_that_costs_the_validator_too_much_is_refused_by_the_scan() {
    for attack in attacks::all() {
        let scanned = check_size(&attack.bytes(), &TranslateOptions::default());
        match attack.name {
            "lifts-times-names" => assert_eq!(scanned, Ok(()), "{}", attack.name),
            name => assert!(matches!(scanned, Err(TranslateError::TooLarge { .. })), "{name}: {scanned:?}"),
        }
    }
}

/// What the attacks are made of is valid: it is the size that is refused.
#[test]
fn component_of_an_attacks_kind_that_is_small_is_translated() {
    for attack in attacks::all() {
        let translated = translate(&attack.harmless(), &TranslateOptions::default());
        assert!(translated.is_ok(), "{}: {}", attack.name, translated.unwrap_err());
    }
}

#[test]
fn component_above_a_limit_is_translated_once_it_is_raised() {
    let bytes = wat::parse_str("(component (core module (func (local i32 i32 i32))))").expect("text");
    let limited = |core_locals| {
        let limits = PlanLimits::default().with_core_locals(core_locals);
        translate(&bytes, &TranslateOptions::default().with_limits(limits))
    };
    let error = limited(2).expect_err("three locals").to_string();
    let expected = "3 locals of core functions, at most 2 (PlanLimits::core_locals), at offset 0x20";
    assert_eq!(error, format!("component too large: {expected}"));
    assert!(limited(3).is_ok());
}

/// Of each call, block, branch and function, four are free.
#[test]
fn operands_of_core_code_are_counted_beyond_four_of_each() {
    let found = |code: &str| {
        let text = format!(
            "(component (core module
               (type $i (func (param i32 i32 i32 i32) (result i32 i32)))
               (import \"\" \"\" (func $i (type $i)))
               (func $six (param i32 i32 i32) (result i32 i32 i32) unreachable)
               (func $five (result i32 i32 i32 i32 i32) unreachable)
               (table 1 funcref)
               (func $main (result i32 i32 i32 i32 i32 i32) unreachable {code})))"
        );
        let bytes = wat::parse_str(text).expect("text");
        let found = |core_operands| {
            let limits = PlanLimits::default().with_core_operands(core_operands);
            let core = CoreFeatures::default().with_tail_calls(true);
            match translate(&bytes, &TranslateOptions::default().with_limits(limits).with_core(core)) {
                Ok(_) => None,
                Err(TranslateError::TooLarge { field: "PlanLimits::core_operands", found, .. }) => {
                    Some(found)
                }
                Err(error) => panic!("{code}: {error}"),
            }
        };
        // The functions themselves have five.
        assert_eq!(found(4), Some(5), "{code}");
        (5..100).find(|limit| found(*limit).is_none()).expect(code) - 5
    };
    for (code, expected) in [
        ("nop", 0),
        ("call $i unreachable", 2),
        ("call $six unreachable", 2),
        ("call_indirect (type $i) unreachable", 2),
        ("call $five unreachable", 1),
        ("return_call $main", 2),
        ("block (type $i) unreachable end unreachable", 2),
        ("block (type $i) br 0 end unreachable", 2),
        ("(block (result i32 i32 i32 i32 i32 i32) unreachable br_if 0 br_if 0) unreachable", 2 + 2 * 2),
        ("(block (result i32 i32 i32 i32 i32 i32) unreachable br_table 0 0 0) unreachable", 2 + 3 * 2),
        ("(block (result i32 i32 i32 i32 i32 i32) (block unreachable br 1) unreachable) unreachable", 2 + 2),
        ("(loop (param i32 i32 i32 i32 i32) (result i32) br 0) unreachable", 2 + 1),
        ("(if (type $i) (then unreachable) (else unreachable)) unreachable", 2),
        ("return", 2),
        ("br 0", 2),
        ("i32.const 0 br_if 0", 2),
    ] {
        assert_eq!(found(code), expected, "{code}");
    }
}

/// What wit-bindgen leaves in a core module is read by wit-component, which validates it.
#[test]
fn component_type_in_a_custom_section_is_scanned() {
    let attack = attacks::all().into_iter().find(|attack| attack.name == "many-types").expect("one");
    let mut module = wasm_encoder::Module::new();
    let data = attack.bytes().into();
    module.section(&wasm_encoder::CustomSection { name: "component-type:world".into(), data });
    let error = check_size(&module.finish(), &TranslateOptions::default()).expect_err("too many types");
    assert!(error.to_string().contains("(PlanLimits::items), at offset 0x"), "{error}");
}

/// An import named by an alias, a type of a type: what the scan knows of an index is what the index stands
/// for.
#[test]
fn type_that_comes_by_an_alias_of_an_export_has_its_own_size() {
    let text = |depth: u32| {
        let mut text = String::from("(component (type $t0 (tuple u8 u8 u8 u8))");
        for level in 1..=depth {
            let inner = level - 1;
            text += &format!("(type $t{level} (tuple $t{inner} $t{inner} $t{inner} $t{inner}))");
        }
        // Of the instance's two exports, the small one is used, many times.
        text += &format!(
            r#"(instance $i (export "huge" (type $t{depth})) (export "small" (type $t0)))
            (alias export $i "small" (type $small))
            (alias export $i "huge" (type $huge))"#
        );
        text
    };
    let limits = PlanLimits::default().with_type_size(30_000);
    let options = TranslateOptions::default().with_limits(limits);
    let bytes = |uses: String| wat::parse_str(text(6) + &uses + ")").expect("text");
    let uses = |ty: &str| (0..100).map(|at| format!("(export \"e{at}\" (type ${ty}))")).collect::<String>();
    assert_eq!(check_size(&bytes(uses("small")), &options), Ok(()));
    let error = check_size(&bytes(uses("huge")), &options).expect_err("a type of 20,000, often");
    assert!(error.to_string().contains("types, each expanded where it is used, at most 30000"), "{error}");
}
