//! Plans as bytes: what is written is what is read, and whatever is not a plan is an error that says why.

mod common;

use std::borrow::Cow;
use std::sync::OnceLock;

use canon_async_component::plan::FORMAT;
use canon_async_component::{Plan, PlanError};
use common::plans::{
    self, CHECKSUM, HEADER, MODULES, PRODUCER, SIZE, TABLES, around, seal, set_word, tables, word,
};
use proptest::prelude::*;

fn everything() -> Vec<u8> {
    common::plan(plans::EVERYTHING).to_bytes().unwrap()
}

fn error(bytes: &[u8]) -> String {
    Plan::from_bytes(bytes).expect_err("refused").to_string()
}

#[test]
fn a_plan_that_is_written_and_read_is_the_same() {
    for plan in plans::samples() {
        let bytes = plan.to_bytes().unwrap();
        assert!(Plan::is_plan(&bytes));
        assert_eq!(Plan::size(&bytes), Ok(bytes.len() as u32));
        let read = Plan::from_bytes(&bytes).unwrap();
        assert_eq!(read, plan);
        assert_eq!(read.to_bytes().unwrap(), bytes, "there is one way to write it");
        // Postcard's own reader takes the tables as they are.
        let mut by_postcard: Plan = postcard::from_bytes(&tables(&plan)).unwrap();
        by_postcard.modules = plan.modules.clone();
        assert_eq!(by_postcard, plan);
    }
}

#[test]
fn the_modules_of_a_plan_that_lives_for_ever_stay_where_they_are() {
    let bytes: &'static [u8] = everything().leak();
    let plan = Plan::from_static(bytes).unwrap();
    assert_eq!(plan, Plan::from_bytes(bytes).unwrap());
    assert!(!plan.modules.is_empty());
    for module in &plan.modules {
        let Cow::Borrowed(module) = module.bytes else { panic!("copied") };
        assert!(bytes.as_ptr_range().contains(&module.as_ptr()));
        assert_eq!((module.as_ptr() as usize - bytes.as_ptr() as usize) % 8, 0, "aligned");
        assert_eq!(&module[..4], b"\0asm");
    }
}

#[test]
fn a_plan_that_is_cut_off_anywhere_is_an_error_that_says_so() {
    let bytes = everything();
    for len in 0..bytes.len() {
        let error = Plan::from_bytes(&bytes[..len]).expect_err("cut off");
        let expected = if len < HEADER { HEADER as u32 } else { bytes.len() as u32 };
        match len < 8 {
            true => assert_eq!(error, PlanError::NotPlan),
            false => assert_eq!(error, PlanError::Size { expected, found: len }),
        }
    }
    assert_eq!(
        error(&bytes[..100]),
        format!("the plan is cut off: expected {} bytes, found 100", bytes.len())
    );
    let mut longer = bytes.clone();
    longer.push(0);
    assert_eq!(
        error(&longer),
        format!("more than a plan: expected {} bytes, found {}", bytes.len(), longer.len())
    );
    assert_eq!(Plan::size(&longer), Ok(bytes.len() as u32));
    assert_eq!(error(b"(component)"), "not a plan: it does not begin with \"\\0canon\\r\\n\"");
}

#[test]
fn every_bit_that_flips_is_found() {
    let mut bytes = everything();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let error = Plan::from_bytes(&bytes).expect_err("damaged");
            let as_expected = match at {
                0..8 => error == PlanError::NotPlan,
                8..SIZE => matches!(error, PlanError::Format { .. }),
                SIZE..CHECKSUM => matches!(error, PlanError::Size { .. }),
                _ => matches!(error, PlanError::Checksum { .. }),
            };
            assert!(as_expected, "byte {at}, bit {bit}: {error}");
            bytes[at] ^= 1 << bit;
        }
    }
    bytes[HEADER] ^= 1;
    assert!(error(&bytes).starts_with("damaged plan: expected the checksum "));
}

#[test]
fn a_plan_of_another_format_says_who_made_it_and_what_to_do() {
    let mut bytes = everything();
    set_word(&mut bytes, 8, FORMAT + 1);
    bytes[PRODUCER..HEADER].fill(0);
    bytes[PRODUCER..PRODUCER + 5].copy_from_slice(b"9.8.7");
    let own = env!("CARGO_PKG_VERSION");
    assert_eq!(
        error(&bytes),
        format!(
            "the plan is of format {}, made by version 9.8.7; expected format {FORMAT}, of version {own}: compile the \
             component again, with `canon compile` of that version",
            FORMAT + 1
        )
    );
    // Whatever it says of itself is shown as text alone.
    bytes[PRODUCER..PRODUCER + 8].copy_from_slice(b"1.0\x1b[31m");
    assert!(error(&bytes).contains("made by version 1.0; "));
}

#[test]
fn a_header_that_contradicts_the_rest_names_its_field() {
    let good = everything();
    let with = |at: usize, value: u32| {
        let mut bytes = good.clone();
        set_word(&mut bytes, at, value);
        seal(&mut bytes);
        error(&bytes)
    };
    let size = good.len();
    let (first, second) = (word(&good, HEADER), word(&good, HEADER + 8));
    assert_eq!(
        with(MODULES, u32::MAX),
        format!("damaged plan: modules.len: 4294967295, and the plan has {size} bytes")
    );
    assert_eq!(
        with(TABLES, u32::MAX),
        format!("damaged plan: tables.size: 4294967295, and the plan has {size} bytes")
    );
    assert_eq!(
        with(HEADER, u32::MAX),
        format!("damaged plan: modules[0].offset: 4294967295, expected {first}")
    );
    assert_eq!(
        with(HEADER + 4, u32::MAX),
        format!("damaged plan: modules[0].size: 4294967295, and the plan has {size} bytes")
    );
    assert_eq!(
        with(HEADER + 8, first),
        format!("damaged plan: modules[1].offset: {first}, expected {second}"),
        "modules don't overlap"
    );
    // Fewer modules than there are: what were offsets are tables now.
    assert!(with(MODULES, 1).starts_with("damaged plan: "));
    assert!(with(TABLES, word(&good, TABLES) - 1).starts_with("damaged plan: "));
    // Bytes between the parts.
    let mut bytes = around(&tables(&common::plan("(component)")), &[]);
    bytes.extend([0; 8]);
    let size = bytes.len() as u32;
    set_word(&mut bytes, SIZE, size);
    seal(&mut bytes);
    assert_eq!(error(&bytes), format!("damaged plan: size: {size}, expected {}", size - 8));
    let mut bytes = around(&[0; 20], &[]);
    *bytes.last_mut().unwrap() = 1;
    seal(&mut bytes);
    assert_eq!(error(&bytes), "damaged plan: tables: expected zeros up to the next multiple of 8");
}

#[test]
fn tables_that_can_not_be_read_name_the_field() {
    let good = tables(&common::plan(r#"(component $x (import "f" (func (param "p" u32))))"#));
    // `name` first: an option, a length, and a text.
    assert_eq!(good[..3], [1, 1, b'x']);
    let with = |changes: &[(usize, u8)]| {
        let mut tables = good.clone();
        changes.iter().for_each(|(at, byte)| tables[*at] = *byte);
        error(&around(&tables, &[]))
    };
    assert_eq!(with(&[(0, 2)]), "damaged plan: name: neither 0 nor 1");
    assert_eq!(with(&[(2, 0xff)]), "damaged plan: name: not UTF-8");
    assert_eq!(with(&[(1, 0x7f)]), "damaged plan: name: the bytes end before it does");
    // `types.defs`: its length.
    let len = good.len();
    let many = [(3, 0xff), (4, 0xff), (5, 0xff), (6, 0xff), (7, 0x0f)];
    assert_eq!(
        with(&many),
        format!("damaged plan: types.defs: 4294967295 elements, and {len} bytes have not room for as many")
    );
    assert_eq!(
        with(&[(3, 0xff), (4, 0xff), (5, 0xff), (6, 0xff), (7, 0x1f)]),
        "damaged plan: types.defs: a number that is too large"
    );
    // `types.funcs[0].params[0].ty`: u32 is variant 6.
    assert_eq!(good[3..9], [0, 1, 1, 1, b'p', 6]);
    assert_eq!(
        with(&[(8, 99)]),
        "damaged plan: types.funcs[0].params[0].ty: 99, expected variant index 0 <= i < 15"
    );
    let mut longer = good.clone();
    longer.push(0);
    assert_eq!(error(&around(&longer, &[])), "damaged plan: tables: 1 bytes after their end");
    assert_eq!(
        error(&around(&good[..len - 1], &[])),
        "damaged plan: names.lifts: the bytes end before it does"
    );
}

/// How many bytes of tables come before the imports, where there is nothing else.
const BEFORE_IMPORTS: usize = 6;

/// Each element of a list takes a byte at least, so lengths that are larger together are a lie, wherever they stand.
#[test]
fn what_lengths_make_the_host_allocate_is_bounded() {
    // A plan whose imports are instances in instances, each with a claim of as many imports as there are bytes.
    let mut tables = vec![0; BEFORE_IMPORTS];
    for _ in 0..20 {
        // A length; then a name without characters, no attributes, and `ImportItem::Instance`.
        tables.extend([100, 0, 0, 0, 0, 1]);
    }
    let text = error(&around(&tables, &[]));
    assert!(text.ends_with("100 elements, and 126 bytes have not room for as many"), "{text}");
    assert!(text.starts_with("damaged plan: imports[0].item: "), "{text}");
}

#[test]
fn imports_that_nest_too_deep_are_refused_before_the_stack_ends() {
    let nested = |levels: usize| {
        let mut tables = vec![0; BEFORE_IMPORTS];
        for _ in 0..levels {
            tables.extend([1, 0, 0, 0, 0, 1]);
        }
        tables.push(0);
        tables.extend([0; 20]);
        error(&around(&tables, &[]))
    };
    for levels in [34, 100, 100_000] {
        let text = nested(levels);
        assert!(
            text.starts_with("damaged plan: imports[0].item[0]")
                && text.ends_with("nests deeper than 32 levels"),
            "{text}"
        );
    }
    assert!(!nested(30).contains("nests deeper"));
}

/// Reads bytes and, where they are a plan, goes on to whatever one does with one.
fn use_plan(bytes: &[u8]) -> Result<(), TestCaseError> {
    match Plan::from_bytes(bytes) {
        Ok(plan) => {
            let again = Plan::from_bytes(&plan.to_bytes().expect("it was checked")).expect("it was written");
            prop_assert_eq!(&again, &plan);
            plans::link(&plan);
        }
        Err(PlanError::Field { path, problem }) => prop_assert!(!path.is_empty() && !problem.is_empty()),
        Err(error) => prop_assert!(false, "{error}"),
    }
    Ok(())
}

#[test]
fn a_byte_of_the_tables_that_is_another_loads_or_names_a_field() {
    let plan = common::plan(plans::EVERYTHING);
    let modules: Vec<&[u8]> = plan.modules.iter().map(|module| &*module.bytes).collect();
    let good = tables(&plan);
    for at in 0..good.len() {
        for byte in [0, 0x7f, good[at].wrapping_add(1), good[at].wrapping_sub(1)] {
            let mut tables = good.clone();
            tables[at] = byte;
            use_plan(&around(&tables, &modules)).unwrap();
            // The linker takes what has not been checked, too.
            if let Ok(plan) = postcard::from_bytes::<Plan>(&tables) {
                plans::link(&plan);
            }
        }
    }
}

/// A change of the tables: at a place, remove as many bytes and insert these.
fn change() -> impl Strategy<Value = (prop::sample::Index, usize, Vec<u8>)> {
    (any::<prop::sample::Index>(), 0..4usize, prop::collection::vec(any::<u8>(), 0..4))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn tables_that_were_changed_at_random_load_or_name_a_field(
        changes in prop::collection::vec(change(), 1..4),
        sample in any::<prop::sample::Index>(),
    ) {
        static SAMPLES: OnceLock<Vec<Plan>> = OnceLock::new();
        let samples = SAMPLES.get_or_init(plans::samples);
        let plan = &samples[sample.index(samples.len())];
        let modules: Vec<&[u8]> = plan.modules.iter().map(|module| &*module.bytes).collect();
        let mut tables = tables(plan);
        for (at, removed, inserted) in changes {
            let at = at.index(tables.len() + 1);
            let end = (at + removed).min(tables.len());
            tables.splice(at..end, inserted);
        }
        use_plan(&around(&tables, &modules))?;
        if let Ok(plan) = postcard::from_bytes::<Plan>(&tables) {
            plans::link(&plan);
        }
    }

    #[test]
    fn bytes_that_were_changed_at_random_load_or_are_an_error(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
        let mut bytes = GOOD.get_or_init(everything).clone();
        for (at, byte) in changes {
            let at = SIZE + at.index(bytes.len() - SIZE);
            bytes[at] = byte;
        }
        let size = bytes.len() as u32;
        set_word(&mut bytes, SIZE, size);
        seal(&mut bytes);
        use_plan(&bytes)?;
    }

    #[test]
    fn tables_of_random_bytes_are_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        use_plan(&around(&bytes, &[]))?;
    }
}
