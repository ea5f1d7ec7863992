//! What core modules import and export as text: as WAT has it, with types in the place of their names.

use core::fmt::{self, Write};
use core::ops::Range;

use super::module_type::group_of;
use super::{
    CoreAbstract, CoreComposite, CoreDef, CoreField, CoreGlobal, CoreHeap, CoreItemType, CoreLimits,
    CoreMemory, CoreRef, CoreSignature, CoreStorage, CoreTable, CoreValType, ModuleType,
};

/// How much is shown of a type: types that refer to types can be a small graph that is a large tree.
const MAX_TEXT: usize = 2_000;
/// How deep a type is shown that refers to types.
const MAX_DEPTH: u32 = 8;

impl ModuleType {
    /// What is imported or exported with a type of these, as text.
    ///
    /// ```
    /// use canon_async_component::plan::{CoreItemType, CoreRef, CoreSignature, CoreTypes, CoreValType, ModuleType};
    ///
    /// let mut types = CoreTypes::new();
    /// let params = [CoreValType::Ref(CoreRef::EXTERN)].into();
    /// let index = types.func(CoreSignature { params, results: Vec::new() });
    /// let module = ModuleType { types: types.into_defs(), ..ModuleType::default() };
    /// assert_eq!(module.display(CoreItemType::Func(index)).to_string(), "(func (param externref))");
    /// ```
    pub fn display(&self, item: CoreItemType) -> impl fmt::Display + '_ {
        Item { types: &self.types, item }
    }
}

struct Item<'a> {
    types: &'a [CoreDef],
    item: CoreItemType,
}

impl fmt::Display for Item<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Cut { f, left: MAX_TEXT, is_cut: false, after_space: false };
        let written = Writer { types: self.types, out: &mut out, depth: 0, group: 0..0 }.item(&self.item);
        if out.is_cut { Ok(()) } else { written }
    }
}

/// References to types of their own are as they are: `$3`.
impl fmt::Display for CoreSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Cut { f, left: MAX_TEXT, is_cut: false, after_space: false };
        let mut writer = Writer { types: &[], out: &mut out, depth: 0, group: 0..usize::MAX };
        let written = writer.signature("func", self);
        if out.is_cut { Ok(()) } else { written }
    }
}

/// A writer that cuts text at a length: it writes two dots, and then fails, which ends the `Display` that writes.
struct Cut<'a, 'f> {
    f: &'a mut fmt::Formatter<'f>,
    left: usize,
    is_cut: bool,
    after_space: bool,
}

impl Write for Cut<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match self.left.checked_sub(text.len()) {
            Some(left) => {
                self.left = left;
                self.after_space = text.ends_with(' ');
                self.f.write_str(text)
            }
            None => {
                self.is_cut = true;
                self.f.write_str(if self.after_space { ".." } else { " .." })?;
                Err(fmt::Error)
            }
        }
    }
}

struct Writer<'a, 'o> {
    types: &'a [CoreDef],
    out: &'o mut dyn Write,
    depth: u32,
    /// The recursion group that is being written: its types have numbers.
    group: Range<usize>,
}

impl Writer<'_, '_> {
    fn text(&mut self, text: &str) -> fmt::Result {
        self.out.write_str(text)
    }

    fn item(&mut self, item: &CoreItemType) -> fmt::Result {
        match item {
            CoreItemType::Func(index) => self.func("func", *index),
            CoreItemType::Tag(index) => self.func("tag", *index),
            CoreItemType::Table(table) => self.table(table),
            CoreItemType::Memory(memory) => self.memory(memory),
            CoreItemType::Global(CoreGlobal { content, mutable, shared }) => {
                self.text(match (shared, mutable) {
                    (true, true) => "(global (shared mut ",
                    (true, false) => "(global (shared ",
                    (false, true) => "(global (mut ",
                    (false, false) => "(global ",
                })?;
                self.val(content)?;
                self.text(if *shared || *mutable { "))" } else { ")" })
            }
        }
    }

    fn table(&mut self, table: &CoreTable) -> fmt::Result {
        let CoreTable { element, limits, is_64, shared } = table;
        self.text(if *shared { "(table shared" } else { "(table" })?;
        self.limits(*is_64, limits)?;
        self.text(" ")?;
        self.reference(element)?;
        self.text(")")
    }

    fn memory(&mut self, memory: &CoreMemory) -> fmt::Result {
        let CoreMemory { limits, is_64, shared, page_size_log2 } = memory;
        self.text("(memory")?;
        self.limits(*is_64, limits)?;
        self.text(if *shared { " shared" } else { "" })?;
        match page_size_log2 {
            16 => {}
            log2 => write!(self.out, " (pagesize {})", 1u64.checked_shl(*log2).unwrap_or(0))?,
        }
        self.text(")")
    }

    fn limits(&mut self, is_64: bool, limits: &CoreLimits) -> fmt::Result {
        self.text(if is_64 { " i64" } else { "" })?;
        write!(self.out, " {}", limits.min)?;
        limits.max.map_or(Ok(()), |max| write!(self.out, " {max}"))
    }

    /// A function or a tag; with its type by definition, if that says more than what it takes and gives.
    fn func(&mut self, word: &str, index: u32) -> fmt::Result {
        match self.types.get(index as usize) {
            Some(CoreDef {
                is_final: true,
                supertype: None,
                shared: false,
                composite: CoreComposite::Func(ty),
                ..
            }) if group_of(self.types, index).len() == 1 => {
                // It may refer to itself.
                self.group = group_of(self.types, index);
                self.signature(word, ty)
            }
            _ => {
                write!(self.out, "({word} (type ")?;
                self.defined(index)?;
                self.text("))")
            }
        }
    }

    fn signature(&mut self, word: &str, ty: &CoreSignature) -> fmt::Result {
        write!(self.out, "({word}")?;
        for (word, list) in [("param", &ty.params), ("result", &ty.results)] {
            if !list.is_empty() {
                write!(self.out, " ({word}")?;
                for ty in list {
                    self.text(" ")?;
                    self.val(ty)?;
                }
                self.text(")")?;
            }
        }
        self.text(")")
    }

    fn val(&mut self, ty: &CoreValType) -> fmt::Result {
        match ty {
            CoreValType::Number(ty) => write!(self.out, "{ty}"),
            CoreValType::V128 => self.text("v128"),
            CoreValType::Ref(ty) => self.reference(ty),
        }
    }

    fn reference(&mut self, ty: &CoreRef) -> fmt::Result {
        let (word, short) = match ty.heap {
            CoreHeap::Abstract { kind, .. } => names(kind),
            CoreHeap::Defined(_) => ("", ""),
        };
        if let CoreRef { nullable: true, heap: CoreHeap::Abstract { shared: false, .. } } = ty {
            return self.text(short);
        }
        self.text(if ty.nullable { "(ref null " } else { "(ref " })?;
        match ty.heap {
            CoreHeap::Abstract { shared: true, .. } => write!(self.out, "(shared {word})")?,
            CoreHeap::Abstract { .. } => self.text(word)?,
            CoreHeap::Defined(index) => self.defined(index)?,
        }
        self.text(")")
    }

    /// A type; in its own group, or if there is none, its number. Recursion ends at [`MAX_DEPTH`].
    fn defined(&mut self, index: u32) -> fmt::Result {
        let at = index as usize;
        if self.group.contains(&at) || at >= self.types.len() {
            let start = if self.group.contains(&at) { self.group.start } else { 0 };
            return write!(self.out, "${}", at.saturating_sub(start));
        }
        if self.depth >= MAX_DEPTH {
            return self.text("..");
        }
        let group = group_of(self.types, index);
        let outer = core::mem::replace(&mut self.group, group.clone());
        self.depth = self.depth.saturating_add(1);
        match self.types.get(group.clone()).unwrap_or_default() {
            [def] => self.def(def)?,
            defs => {
                let at = at.saturating_sub(group.start);
                write!(self.out, "${at} of (rec")?;
                for (at, def) in defs.iter().enumerate() {
                    write!(self.out, " (type ${at} ")?;
                    self.def(def)?;
                    self.text(")")?;
                }
                self.text(")")?;
            }
        }
        self.depth = self.depth.saturating_sub(1);
        self.group = outer;
        Ok(())
    }

    fn def(&mut self, def: &CoreDef) -> fmt::Result {
        let CoreDef { is_final, supertype, shared, composite, continues: _ } = def;
        let is_sub = !is_final || supertype.is_some();
        if is_sub {
            self.text(if *is_final { "(sub final " } else { "(sub " })?;
            if let Some(supertype) = supertype {
                self.defined(*supertype)?;
                self.text(" ")?;
            }
        }
        self.text(if *shared { "(shared " } else { "" })?;
        match composite {
            CoreComposite::Func(signature) => self.signature("func", signature)?,
            CoreComposite::Struct(fields) => {
                self.text("(struct")?;
                for field in fields {
                    self.text(" (field ")?;
                    self.field(field)?;
                    self.text(")")?;
                }
                self.text(")")?;
            }
            CoreComposite::Array(element) => {
                self.text("(array ")?;
                self.field(element)?;
                self.text(")")?;
            }
        }
        self.text(if *shared { ")" } else { "" })?;
        self.text(if is_sub { ")" } else { "" })
    }

    fn field(&mut self, field: &CoreField) -> fmt::Result {
        self.text(if field.mutable { "(mut " } else { "" })?;
        match &field.storage {
            CoreStorage::I8 => self.text("i8")?,
            CoreStorage::I16 => self.text("i16")?,
            CoreStorage::Val(ty) => self.val(ty)?,
        }
        self.text(if field.mutable { ")" } else { "" })
    }
}

/// A kind of what there are references to, and the short form of a reference that may be null.
fn names(kind: CoreAbstract) -> (&'static str, &'static str) {
    match kind {
        CoreAbstract::Func => ("func", "funcref"),
        CoreAbstract::NoFunc => ("nofunc", "nullfuncref"),
        CoreAbstract::Extern => ("extern", "externref"),
        CoreAbstract::NoExtern => ("noextern", "nullexternref"),
        CoreAbstract::Any => ("any", "anyref"),
        CoreAbstract::Eq => ("eq", "eqref"),
        CoreAbstract::I31 => ("i31", "i31ref"),
        CoreAbstract::Struct => ("struct", "structref"),
        CoreAbstract::Array => ("array", "arrayref"),
        CoreAbstract::None => ("none", "nullref"),
        CoreAbstract::Exn => ("exn", "exnref"),
        CoreAbstract::NoExn => ("noexn", "nullexnref"),
    }
}
