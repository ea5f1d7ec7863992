//! Which `#[cfg]` hold in the build that is tested: the standard features, on an operating system.

use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token, punctuated::Punctuated};

/// The features of the core that the tests build it with.
const FEATURES: [&str; 3] = ["std", "alloc", "messages"];

/// Whether an item with these attributes is compiled.
pub fn holds(attributes: &[Attribute]) -> bool {
    attributes.iter().filter(|a| a.path().is_ident("cfg")).all(|a| a.parse_args().is_ok_and(|m| is_true(&m)))
}

fn is_true(meta: &Meta) -> bool {
    match meta {
        Meta::Path(path) => path.is_ident("debug_assertions") || path.is_ident("unix"),
        Meta::NameValue(pair) => {
            let Expr::Lit(ExprLit { lit: Lit::Str(value), .. }) = &pair.value else { return false };
            if pair.path.is_ident("feature") {
                FEATURES.contains(&value.value().as_str())
            } else {
                pair.path.is_ident("target_has_atomic")
            }
        }
        Meta::List(list) => {
            let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
            let Ok(inner) = list.parse_args_with(parse) else { return false };
            let mut inner = inner.iter().map(is_true);
            if list.path.is_ident("not") {
                !inner.all(|holds| holds)
            } else if list.path.is_ident("any") {
                inner.any(|holds| holds)
            } else {
                inner.all(|holds| holds)
            }
        }
    }
}
