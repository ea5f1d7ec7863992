//! Limits act before work does: a component that costs much is refused by a scan of its bytes.

#[path = "common/attacks.rs"]
mod attacks;

use std::time::{Duration, Instant};

use canon_async_component::{PlanLimits, TranslateError, TranslateOptions, check_size, translate};

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
        let limits = PlanLimits { core_locals, ..PlanLimits::default() };
        translate(&bytes, &TranslateOptions { limits, ..TranslateOptions::default() })
    };
    let error = limited(2).expect_err("three locals").to_string();
    let expected = "3 locals of core functions, at most 2 (PlanLimits::core_locals), at offset 0x20";
    assert_eq!(error, format!("component too large: {expected}"));
    assert!(limited(3).is_ok());
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
    let limits = PlanLimits { type_size: 30_000, ..PlanLimits::default() };
    let options = TranslateOptions { limits, ..TranslateOptions::default() };
    let bytes = |uses: String| wat::parse_str(text(6) + &uses + ")").expect("text");
    let uses = |ty: &str| (0..100).map(|at| format!("(export \"e{at}\" (type ${ty}))")).collect::<String>();
    assert_eq!(check_size(&bytes(uses("small")), &options), Ok(()));
    let error = check_size(&bytes(uses("huge")), &options).expect_err("a type of 20,000, often");
    assert!(error.to_string().contains("types, each expanded where it is used, at most 30000"), "{error}");
}
