//! Type definitions. A component or instance type is read declaration by declaration: `wasmparser` would make
//! a list of all of them, and a million fit in three megabytes.

use core::ops::Range;

use wasmparser::{
    BinaryReader, ComponentAlias, ComponentDefinedType, ComponentImport, ComponentType, ComponentTypeRef,
    ComponentValType, CoreType, ModuleTypeDeclaration,
};

use super::space::{Entry, name};
use super::{Scan, Scanned, Stop};

/// How component types, instance types and module types begin.
const COMPONENT: u8 = 0x41;
const INSTANCE: u8 = 0x42;
const MODULE: u8 = 0x50;

impl<'a> Scan<'a> {
    /// The types of a section.
    pub(super) fn type_section(
        &mut self,
        range: Range<u64>,
        scan: impl Fn(&mut Self, &mut BinaryReader<'a>) -> Scanned,
    ) -> Scanned {
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        let (Ok(from), Ok(to)) = (start, end) else { return Err(Stop::Malformed) };
        let bytes: &'a [u8] = self.bytes;
        let Some(section) = bytes.get(from..to) else { return Err(Stop::Malformed) };
        let mut reader = BinaryReader::new_features(section, range.start, self.features);
        for _ in 0..reader.read_var_u32()? {
            self.at = reader.original_position();
            self.definition()?;
            scan(self, &mut reader)?;
        }
        Ok(())
    }

    /// A type, which is no entry of an index space yet.
    pub(super) fn type_def(&mut self, reader: &mut BinaryReader<'a>) -> Scanned<Entry> {
        let kind = peek(reader)?;
        if kind != COMPONENT && kind != INSTANCE {
            let size = match reader.read::<ComponentType<'a>>()? {
                ComponentType::Defined(ty) => self.defined_size(&ty)?,
                ComponentType::Func(ty) => {
                    let params = self.fields_size(&ty.params)?;
                    params.saturating_add(self.opt_size(ty.result)?)
                }
                _ => 1,
            };
            self.walk(1)?;
            return Ok(Entry::new(size));
        }
        reader.read_u8()?;
        self.enter()?;
        for _ in 0..reader.read_var_u32()? {
            self.at = reader.original_position();
            self.charge(1)?;
            self.declaration(kind, reader)?;
        }
        let Some(space) = self.stack.pop() else { return Err(Stop::Malformed) };
        Ok(self.finish(space))
    }

    fn declaration(&mut self, kind: u8, reader: &mut BinaryReader<'a>) -> Scanned {
        match reader.read_u8()? {
            0x00 => self.core_type(reader),
            0x01 => {
                let entry = self.type_def(reader)?;
                self.top()?.types.push(entry);
                Ok(())
            }
            0x02 => {
                let alias = reader.read::<ComponentAlias<'a>>()?;
                self.alias(alias)
            }
            0x03 if kind == COMPONENT => {
                let import = reader.read::<ComponentImport<'a>>()?;
                self.import(import)
            }
            0x04 => {
                let full = reader.read()?;
                let ty = reader.read::<ComponentTypeRef>()?;
                self.declared_export(&full, ty)
            }
            _ => Err(Stop::Malformed),
        }
    }

    /// A core type, or a recursion group of them.
    pub(super) fn core_type(&mut self, reader: &mut BinaryReader<'a>) -> Scanned {
        if peek(reader)? != MODULE {
            let CoreType::Rec(group) = reader.read::<CoreType<'a>>()? else { return Err(Stop::Malformed) };
            for _ in group.types() {
                self.charge(1)?;
                self.top()?.core_types.push(Entry::UNKNOWN);
            }
            return Ok(());
        }
        reader.read_u8()?;
        let mut size: u64 = 1;
        for _ in 0..reader.read_var_u32()? {
            self.at = reader.original_position();
            self.charge(1)?;
            let names = match reader.read::<ModuleTypeDeclaration<'a>>()? {
                ModuleTypeDeclaration::Import(import) => {
                    name(import.module).saturating_add(name(import.name))
                }
                ModuleTypeDeclaration::Export { name: export, .. } => name(export),
                ModuleTypeDeclaration::Type(group) => {
                    self.charge(u64::try_from(group.types().len().saturating_sub(1)).unwrap_or(u64::MAX))?;
                    0
                }
                ModuleTypeDeclaration::OuterAlias { .. } => 0,
            };
            size = size.saturating_add(names);
        }
        self.top()?.core_types.push(Entry::new(size));
        Ok(())
    }

    fn defined_size(&mut self, ty: &ComponentDefinedType<'a>) -> Scanned<u64> {
        use ComponentDefinedType as Type;
        Ok(match ty {
            Type::Primitive(_) | Type::Own(_) | Type::Borrow(_) => 1,
            Type::Record(fields) => self.fields_size(fields)?,
            Type::Variant(cases) => {
                let mut size: u64 = 1;
                for case in cases {
                    size = size.saturating_add(name(case.name)).saturating_add(self.opt_size(case.ty)?);
                }
                size
            }
            Type::List(ty) | Type::FixedLengthList(ty, _) | Type::Option(ty) => {
                self.val_size(*ty)?.saturating_add(1)
            }
            Type::Map(key, value) => {
                self.val_size(*key)?.saturating_add(self.val_size(*value)?).saturating_add(1)
            }
            Type::Tuple(types) => {
                let mut size: u64 = 1;
                for ty in types {
                    size = size.saturating_add(self.val_size(*ty)?);
                }
                size
            }
            Type::Flags(names) | Type::Enum(names) => {
                names.iter().fold(1, |sum: u64, label| sum.saturating_add(name(label)))
            }
            Type::Result { ok, err } => {
                self.opt_size(*ok)?.saturating_add(self.opt_size(*err)?).saturating_add(1)
            }
            Type::Stream(ty) | Type::Future(ty) => self.opt_size(*ty)?.saturating_add(1),
        })
    }

    fn fields_size(&mut self, fields: &[(&'a str, ComponentValType)]) -> Scanned<u64> {
        let mut size: u64 = 1;
        for (field, ty) in fields {
            size = size.saturating_add(name(field)).saturating_add(self.val_size(*ty)?);
        }
        Ok(size)
    }

    fn opt_size(&mut self, ty: Option<ComponentValType>) -> Scanned<u64> {
        ty.map_or(Ok(0), |ty| self.val_size(ty))
    }
}

/// The next byte.
fn peek(reader: &BinaryReader<'_>) -> Scanned<u8> {
    Ok(reader.clone().read_u8()?)
}
