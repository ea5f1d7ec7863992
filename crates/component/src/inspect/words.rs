//! What a plan imports and exports, nearly as WIT. A plan has the names of types only where the component
//! imports or exports them.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::fmt::{self, Display, Formatter};

use super::Escaped;
use crate::plan::{Attributes, Export, ExportItem, Import, ImportItem, MAX_NESTING, Plan};
use crate::types::{TypeDef, ValType};

/// What a plan imports and exports, as text that is nearly WIT. Made by [`words`]. Names are [`Escaped`].
#[derive(Debug)]
pub struct Words<'a> {
    plan: &'a Plan,
    /// The names of types that WIT would not write in place.
    names: BTreeMap<u32, String>,
}

/// What a plan imports and exports. A type that the component gives a name is called by it, and others are
/// written in place, up to [`MAX_NODES`](crate::types::MAX_NODES) types. O(imports and exports).
pub fn words(plan: &Plan) -> Words<'_> {
    let mut words = Words { plan, names: BTreeMap::new() };
    words.name_imports(&plan.imports, 0);
    words.name_exports(&plan.exports, 0);
    words
}

/// One thing that is imported or exported.
enum Item<'a> {
    Func(Option<u32>),
    Imports(&'a [Import]),
    Exports(&'a [Export]),
    Resource,
    Type(ValType),
    OtherType,
    Module,
    Value(Option<ValType>),
    Component,
}

impl<'a> Item<'a> {
    fn imported(plan: &Plan, item: &'a ImportItem) -> Self {
        match item {
            ImportItem::Func(index) => Self::Func(plan.import_funcs.get(*index as usize).map(|func| func.ty)),
            ImportItem::Instance(inner) => Self::Imports(inner),
            ImportItem::Resource(_) => Self::Resource,
            ImportItem::Type(ty) => Self::Type(*ty),
            ImportItem::OtherType => Self::OtherType,
            ImportItem::Module(_) => Self::Module,
            ImportItem::Value(index) => {
                Self::Value(plan.import_values.get(*index as usize).map(|value| value.ty))
            }
            ImportItem::Component => Self::Component,
        }
    }

    fn exported(plan: &Plan, item: &'a ExportItem) -> Self {
        match item {
            ExportItem::Func(func) => Self::Func(plan.func_type_index(*func)),
            ExportItem::Instance(inner) => Self::Exports(inner),
            ExportItem::Resource(_) => Self::Resource,
            ExportItem::Type(ty) => Self::Type(*ty),
            ExportItem::OtherType => Self::OtherType,
            ExportItem::Module(_) => Self::Module,
            ExportItem::Value(_, ty) => Self::Value(Some(*ty)),
            ExportItem::Component => Self::Component,
        }
    }
}

/// Where a line stands: how far in, and whether it says `import` or `export`, as those of a world do.
#[derive(Clone, Copy)]
struct Place {
    depth: u32,
    word: &'static str,
}

impl Words<'_> {
    fn name_imports(&mut self, imports: &[Import], depth: u32) {
        for import in imports {
            match &import.item {
                ImportItem::Type(ty) => self.name(&import.name, *ty),
                ImportItem::Instance(inner) if depth < MAX_NESTING => {
                    self.name_imports(inner, depth.saturating_add(1));
                }
                _ => {}
            }
        }
    }

    fn name_exports(&mut self, exports: &[Export], depth: u32) {
        for export in exports {
            match &export.item {
                ExportItem::Type(ty) => self.name(&export.name, *ty),
                ExportItem::Instance(inner) if depth < MAX_NESTING => {
                    self.name_exports(inner, depth.saturating_add(1));
                }
                _ => {}
            }
        }
    }

    /// The first name of a type that WIT writes only where it is declared.
    fn name(&mut self, name: &str, ty: ValType) {
        let ValType::Defined(index) = ty else { return };
        let declared = |def: &TypeDef| {
            matches!(def, TypeDef::Record(_) | TypeDef::Variant(_) | TypeDef::Enum(_) | TypeDef::Flags(_))
        };
        if self.plan.types.def(index).is_some_and(declared) {
            self.names.entry(index).or_insert_with(|| name.into());
        }
    }

    fn imports(&self, f: &mut Formatter<'_>, imports: &[Import], place: Place) -> fmt::Result {
        imports.iter().try_for_each(|import| {
            let item = Item::imported(self.plan, &import.item);
            self.item(f, (&import.name, &import.attributes, &item), place)
        })
    }

    fn exports(&self, f: &mut Formatter<'_>, exports: &[Export], place: Place) -> fmt::Result {
        exports.iter().try_for_each(|export| {
            let item = Item::exported(self.plan, &export.item);
            self.item(f, (&export.name, &export.attributes, &item), place)
        })
    }

    fn item(
        &self,
        f: &mut Formatter<'_>,
        (name, attributes, item): (&str, &Attributes, &Item<'_>),
        place: Place,
    ) -> fmt::Result {
        let indent = format!("{:width$}", "", width = (place.depth as usize).saturating_mul(2));
        if let Some(id) = &attributes.external_id {
            writeln!(f, "{indent}@external-id({})", Escaped(&format!("{id:?}")))?;
        }
        write!(f, "{indent}{}", place.word)?;
        match item {
            Item::Type(ty) => return self.declaration(f, name, *ty),
            Item::Resource => return writeln!(f, "resource {};", Escaped(name)),
            Item::OtherType => return writeln!(f, "type {};", Escaped(name)),
            _ => {}
        }
        write!(f, "{}", Escaped(name))?;
        let suffix = attributes.version_suffix.as_deref().unwrap_or_default();
        match &attributes.implements {
            Some(interface) => write!(f, ": {}{} ", Escaped(interface), Escaped(suffix))?,
            None => write!(f, "{}: ", Escaped(suffix))?,
        }
        let inside = Place { depth: place.depth.saturating_add(1), word: "" };
        let closed = place.depth <= MAX_NESTING;
        match item {
            Item::Imports(inner) if closed => {
                f.write_str("interface {\n")?;
                self.imports(f, inner, inside)?;
                writeln!(f, "{indent}}}")
            }
            Item::Exports(inner) if closed => {
                f.write_str("interface {\n")?;
                self.exports(f, inner, inside)?;
                writeln!(f, "{indent}}}")
            }
            Item::Func(index) => {
                let ty = index.and_then(|index| self.plan.types.func(index));
                let text = ty.map(|ty| self.plan.types.display_func(ty).with_names(&self.names).to_string());
                writeln!(f, "{};", Escaped(text.as_deref().unwrap_or("func")))
            }
            Item::Value(ty) => {
                let text = ty.map(|ty| self.plan.types.display(ty).with_names(&self.names).to_string());
                writeln!(f, "value {};", Escaped(text.as_deref().unwrap_or("..")))
            }
            Item::Module => f.write_str("core module;\n"),
            Item::Component => f.write_str("component;\n"),
            Item::Imports(_) | Item::Exports(_) => f.write_str("interface { .. }\n"),
            // Written above.
            Item::Type(_) | Item::Resource | Item::OtherType => Ok(()),
        }
    }

    /// `record point { x: u32 }`, or `type points = list<point>;`.
    fn declaration(&self, f: &mut Formatter<'_>, name: &str, ty: ValType) -> fmt::Result {
        let own = match ty {
            ValType::Defined(index) => self.names.get(&index).is_some_and(|own| own == name),
            _ => false,
        };
        let text = self.plan.types.display(ty).with_names(&self.names);
        match own {
            true => {
                let text = text.expanded().to_string();
                let (word, rest) = text.split_once(' ').unwrap_or((&text, ""));
                writeln!(f, "{word} {} {}", Escaped(name), Escaped(rest))
            }
            false => writeln!(f, "type {} = {};", Escaped(name), Escaped(&text.to_string())),
        }
    }
}

impl Display for Words<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("world root {\n")?;
        self.imports(f, &self.plan.imports, Place { depth: 1, word: "import " })?;
        self.exports(f, &self.plan.exports, Place { depth: 1, word: "export " })?;
        f.write_str("}\n")
    }
}
