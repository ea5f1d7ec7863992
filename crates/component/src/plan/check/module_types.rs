//! The types of imported core modules.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use super::{Checked, in_range, wrong};
use crate::plan::{
    CoreComposite, CoreItemType, CoreLimits, MAX_SUPERTYPES, ModuleType, Plan, PlanError, group_of,
};

/// The sizes of pages that there are, as powers of two.
const PAGE_SIZES: [u32; 2] = [0, 16];

/// Types refer to those before them and to all of their own group, and items to types that there are.
pub(super) fn module_types(plan: &Plan) -> Checked {
    for (index, module) in plan.import_modules.iter().enumerate() {
        let path = format!("import_modules[{index}].ty");
        types(&path, &module.ty)?;
        let mut names = BTreeSet::new();
        for (index, (module_name, field, item)) in module.ty.imports.iter().enumerate() {
            let path = format!("{path}.imports[{index}]");
            if !names.insert((module_name, field)) {
                return Err(wrong(path, format_args!("\"{module_name}\" \"{field}\" is there twice")));
            }
            check_item(&path, item, &module.ty)?;
        }
        for (index, item) in module.ty.exports.values().enumerate() {
            check_item(&format!("{path}.exports[{index}]"), item, &module.ty)?;
        }
    }
    Ok(())
}

fn types(path: &str, module: &ModuleType) -> Checked {
    // Of each type, how many are above it.
    let mut depths: Vec<usize> = Vec::with_capacity(module.types.len());
    let mut group = 0..0;
    for (index, def) in module.types.iter().enumerate() {
        let path = format!("{path}.types[{index}]");
        if index == 0 && def.continues {
            return Err(wrong(format_args!("{path}.continues"), "true, and no type is before it"));
        }
        if !group.contains(&index) {
            group = group_of(&module.types, u32::try_from(index).unwrap_or(u32::MAX));
        }
        let above = match def.supertype {
            None => 0,
            Some(supertype) => {
                let path = format!("{path}.supertype");
                in_range(&path, supertype, index, "types before it")?;
                let above = depths.get(supertype as usize).copied().unwrap_or_default().saturating_add(1);
                if above > MAX_SUPERTYPES {
                    return Err(wrong(
                        path,
                        format_args!("{above} types above it, at most {MAX_SUPERTYPES}"),
                    ));
                }
                above
            }
        };
        depths.push(above);
        let mut checked = Ok(());
        def.clone().each_index(&mut |index| {
            if checked.is_ok() {
                checked = in_range(&path, *index, group.end, "types before it and in its group");
            }
        });
        checked?;
    }
    Ok(())
}

fn check_item(path: &str, item: &CoreItemType, module: &ModuleType) -> Checked {
    let mut checked = Ok(());
    (*item).clone().each_index(&mut |index| {
        checked = in_range(path, *index, module.types.len(), "types");
    });
    checked?;
    match item {
        CoreItemType::Func(index) | CoreItemType::Tag(index) => {
            match module.types.get(*index as usize).map(|def| &def.composite) {
                Some(CoreComposite::Func(_)) => Ok(()),
                _ => Err(wrong(path, format_args!("types[{index}] is no function type"))),
            }
        }
        CoreItemType::Table(table) => limits(path, table.limits),
        CoreItemType::Memory(memory) if !PAGE_SIZES.contains(&memory.page_size_log2) => {
            let found = memory.page_size_log2;
            Err(wrong(format_args!("{path}.page_size_log2"), format_args!("{found}, expected 0 or 16")))
        }
        CoreItemType::Memory(memory) => limits(path, memory.limits),
        CoreItemType::Global(_) => Ok(()),
    }
}

fn limits(path: &str, limits: CoreLimits) -> Result<(), PlanError> {
    match limits {
        CoreLimits { min, max: Some(max) } if max < min => {
            Err(wrong(format_args!("{path}.limits.max"), format_args!("{max}, and the least is {min}")))
        }
        _ => Ok(()),
    }
}
