//! Whether a core module fits where another is expected.
//!
//! Spec: Explainer, "Type Checking": a module may import less and export more than its type says. What it
//! imports and exports is compared by core wasm's import matching (WebAssembly, "Matching").

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::LinkError;
use crate::plan::{
    CoreAbstract, CoreComposite, CoreGlobal, CoreHeap, CoreItemType, CoreLimits, CoreRef, CoreTypes,
    CoreValType, MAX_SUPERTYPES, ModuleType, group_of,
};

/// Checks a module against its type, in time O(n log n) of the two.
pub(super) fn check(path: &str, expected: &ModuleType, found: &ModuleType) -> Result<(), LinkError> {
    let mut types = CoreTypes::new();
    let wanted =
        Ids::new(&mut types, expected).ok_or_else(|| LinkError::plan("a module type of known types"))?;
    let given = Ids::new(&mut types, found).ok_or_else(|| {
        let message = "the engine says that it is of types that are not there".to_string();
        LinkError::Engine { what: format!("import \"{path}\""), message }
    })?;
    let matching = Matching(&types);
    let differs = |at: String, wanted: Option<&CoreItemType>, given: Option<&CoreItemType>| {
        let text = |of: &ModuleType, item: Option<&CoreItemType>| match item {
            Some(item) => of.display(*item).to_string(),
            None => "none".to_string(),
        };
        let (path, at) = (path.to_string(), Vec::from([at]));
        let (expected, mut found) = (text(expected, wanted), text(found, given));
        if expected == found {
            found += ", which differs in what is not shown";
        }
        LinkError::Mismatch { path, at, expected, found }
    };
    let mut offers = BTreeMap::new();
    for (module, field, ty) in &expected.imports {
        offers.insert((module.as_str(), field.as_str()), ty);
    }
    for (module, field, ty) in &found.imports {
        let offer = offers.get(&(module.as_str(), field.as_str())).copied();
        if !offer.is_some_and(|offer| matching.items(wanted.of(offer), given.of(ty))) {
            return Err(differs(format!("import \"{module}\" \"{field}\""), offer, Some(ty)));
        }
    }
    for (name, ty) in &expected.exports {
        let export = found.exports.get(name);
        if !export.is_some_and(|export| matching.items(given.of(export), wanted.of(ty))) {
            return Err(differs(format!("export \"{name}\""), Some(ty), export));
        }
    }
    Ok(())
}

/// The indices that a module's types have in a table without duplicates, by their own.
struct Ids(Vec<u32>);

impl Ids {
    /// `None` where a type refers to one that does not come before it and is not of its group.
    fn new(types: &mut CoreTypes, module: &ModuleType) -> Option<Self> {
        let mut ids = Vec::with_capacity(module.types.len());
        while ids.len() < module.types.len() {
            let group = group_of(&module.types, u32::try_from(ids.len()).ok()?);
            let mut defs = module.types.get(group.clone())?.to_vec();
            let (start, mut are_known) = (types.len(), true);
            let mut translate = |index: &mut u32| {
                let at = *index as usize;
                let id = match at.checked_sub(group.start) {
                    Some(own) if at < group.end => {
                        u32::try_from(own).ok().and_then(|own| start.checked_add(own))
                    }
                    _ => ids.get(at).copied(),
                };
                are_known &= id.is_some();
                *index = id.unwrap_or_default();
            };
            defs.iter_mut().for_each(|def| def.each_index(&mut translate));
            if !are_known || defs.is_empty() {
                return None;
            }
            let first = types.group(defs);
            ids.extend((0..).take(group.len()).map(|at: u32| first.saturating_add(at)));
        }
        Some(Self(ids))
    }

    /// The type with these indices. A function of a type that is not there fits nothing.
    fn of(&self, item: &CoreItemType) -> CoreItemType {
        let mut item = *item;
        item.each_index(&mut |index| *index = self.0.get(*index as usize).copied().unwrap_or(u32::MAX));
        item
    }
}

/// Whether one type is a subtype of another. Both are of one table without duplicates.
struct Matching<'t>(&'t CoreTypes);

impl Matching<'_> {
    fn items(&self, sub: CoreItemType, of: CoreItemType) -> bool {
        match (sub, of) {
            (CoreItemType::Func(sub), CoreItemType::Func(of)) => self.defs(sub, of),
            (CoreItemType::Tag(sub), CoreItemType::Tag(of)) => sub == of && self.0.get(of).is_some(),
            (CoreItemType::Table(sub), CoreItemType::Table(of)) => {
                sub.element == of.element
                    && (sub.is_64, sub.shared) == (of.is_64, of.shared)
                    && limits(sub.limits, of.limits)
            }
            (CoreItemType::Memory(sub), CoreItemType::Memory(of)) => {
                (sub.is_64, sub.shared, sub.page_size_log2) == (of.is_64, of.shared, of.page_size_log2)
                    && limits(sub.limits, of.limits)
            }
            (CoreItemType::Global(sub), CoreItemType::Global(of)) => self.globals(sub, of),
            _ => false,
        }
    }

    fn globals(&self, sub: CoreGlobal, of: CoreGlobal) -> bool {
        (sub.mutable, sub.shared) == (of.mutable, of.shared)
            && match sub.mutable {
                true => sub.content == of.content,
                false => self.vals(sub.content, of.content),
            }
    }

    fn vals(&self, sub: CoreValType, of: CoreValType) -> bool {
        match (sub, of) {
            (CoreValType::Ref(sub), CoreValType::Ref(of)) => self.refs(sub, of),
            (sub, of) => sub == of,
        }
    }

    fn refs(&self, sub: CoreRef, of: CoreRef) -> bool {
        (of.nullable || !sub.nullable) && self.heaps(sub.heap, of.heap)
    }

    fn heaps(&self, sub: CoreHeap, of: CoreHeap) -> bool {
        use CoreAbstract::{NoFunc, None};
        match (sub, of) {
            (CoreHeap::Defined(sub), CoreHeap::Defined(of)) => self.defs(sub, of),
            (CoreHeap::Abstract { kind, shared }, CoreHeap::Abstract { kind: of, shared: of_shared }) => {
                shared == of_shared && kinds(kind, of)
            }
            (CoreHeap::Defined(sub), CoreHeap::Abstract { kind: of, shared }) => {
                self.kind(sub).is_some_and(|(kind, sub_shared)| sub_shared == shared && kinds(kind, of))
            }
            (CoreHeap::Abstract { kind, shared }, CoreHeap::Defined(of)) => {
                self.kind(of).is_some_and(|(of, of_shared)| {
                    of_shared == shared && matches!(kind, None | NoFunc) && kinds(kind, of)
                })
            }
        }
    }

    /// What is of a type is of this kind.
    fn kind(&self, index: u32) -> Option<(CoreAbstract, bool)> {
        let def = self.0.get(index)?;
        let kind = match def.composite {
            CoreComposite::Func(_) => CoreAbstract::Func,
            CoreComposite::Struct(_) => CoreAbstract::Struct,
            CoreComposite::Array(_) => CoreAbstract::Array,
        };
        Some((kind, def.shared))
    }

    /// Whether one type is the other, or declares it above itself.
    fn defs(&self, sub: u32, of: u32) -> bool {
        let declared = |index: &u32| self.0.get(*index).and_then(|def| def.supertype);
        let mut above = core::iter::successors(Some(sub), declared).take(MAX_SUPERTYPES.saturating_add(1));
        self.0.get(of).is_some() && above.any(|index| index == of)
    }
}

fn limits(sub: CoreLimits, of: CoreLimits) -> bool {
    sub.min >= of.min && of.max.is_none_or(|of| sub.max.is_some_and(|sub| sub <= of))
}

/// Whether whatever is of one kind is of the other too.
fn kinds(sub: CoreAbstract, of: CoreAbstract) -> bool {
    use CoreAbstract::{Any, Array, Eq, Exn, Extern, Func, I31, NoExn, NoExtern, NoFunc, None, Struct};
    sub == of
        || match sub {
            NoFunc => of == Func,
            NoExtern => of == Extern,
            NoExn => of == Exn,
            Eq => of == Any,
            I31 | Struct | Array => matches!(of, Eq | Any),
            None => matches!(of, I31 | Struct | Array | Eq | Any),
            Func | Extern | Any | Exn => false,
        }
}
