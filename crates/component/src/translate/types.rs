//! Type definitions, evaluated in a scope.
//!
//! Spec: Explainer, "Type Definitions".

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmparser::{
    ComponentDefinedType, ComponentFuncType, ComponentType as Syntax, ComponentValType, PrimitiveValType,
};

use super::TranslateError;
use super::inline::Inliner;
use super::scope::{ComponentType, InstanceType, ScopeId, TypeItem};
use crate::plan::{CoreKind, Step};
use crate::types::{Case, Field, FuncType, Origin, TypeDef, ValType};

impl<'t, 'a> Inliner<'t, 'a> {
    /// A type definition.
    pub(super) fn eval_type(
        &mut self,
        scope: ScopeId,
        ty: &'t Syntax<'a>,
    ) -> Result<TypeItem<'t, 'a>, TranslateError> {
        Ok(match ty {
            Syntax::Defined(def) => TypeItem::Value(self.defined_type(scope, def)?),
            Syntax::Func(func) => TypeItem::Func(self.func_type(scope, func)?),
            Syntax::Instance(decls) => TypeItem::Instance(InstanceType { decls, scope }),
            Syntax::Component(decls) => TypeItem::Component(ComponentType { decls, scope }),
            Syntax::Resource { rep, dtor } => {
                let rep = self.pointer_type(*rep)?;
                let instance = self.scope(scope)?.instance;
                let resource = self.tables.resource("", Origin::Defined { instance, rep })?;
                if let Some(dtor) = dtor {
                    let func = self.core_item(scope, CoreKind::Func, *dtor)?;
                    self.step(Step::Destructor { resource, func })?;
                }
                TypeItem::Resource(resource)
            }
        })
    }

    /// A value type, by reference.
    pub(super) fn val_type(
        &mut self,
        scope: ScopeId,
        ty: ComponentValType,
    ) -> Result<ValType, TranslateError> {
        match ty {
            ComponentValType::Primitive(primitive) => self.primitive(primitive),
            ComponentValType::Type(index) => match self.type_item(scope, index)? {
                TypeItem::Value(ty) => Ok(ty),
                _ => Err(self.expected("a value type")),
            },
        }
    }

    /// A value type that may be missing.
    pub(super) fn opt_type(
        &mut self,
        scope: ScopeId,
        ty: Option<ComponentValType>,
    ) -> Result<Option<ValType>, TranslateError> {
        ty.map(|ty| self.val_type(scope, ty)).transpose()
    }

    /// The index of a type that has to be a resource.
    pub(super) fn resource_type(&self, scope: ScopeId, index: u32) -> Result<u32, TranslateError> {
        match self.type_item(scope, index)? {
            TypeItem::Resource(resource) => Ok(resource),
            _ => Err(self.expected("a resource type")),
        }
    }

    fn primitive(&self, ty: PrimitiveValType) -> Result<ValType, TranslateError> {
        Ok(match ty {
            PrimitiveValType::Bool => ValType::Bool,
            PrimitiveValType::S8 => ValType::S8,
            PrimitiveValType::U8 => ValType::U8,
            PrimitiveValType::S16 => ValType::S16,
            PrimitiveValType::U16 => ValType::U16,
            PrimitiveValType::S32 => ValType::S32,
            PrimitiveValType::U32 => ValType::U32,
            PrimitiveValType::S64 => ValType::S64,
            PrimitiveValType::U64 => ValType::U64,
            PrimitiveValType::F32 => ValType::F32,
            PrimitiveValType::F64 => ValType::F64,
            PrimitiveValType::Char => ValType::Char,
            PrimitiveValType::String => ValType::String,
            PrimitiveValType::ErrorContext => ValType::ErrorContext,
        })
    }

    fn defined_type(
        &mut self,
        scope: ScopeId,
        ty: &ComponentDefinedType<'a>,
    ) -> Result<ValType, TranslateError> {
        let def = match ty {
            ComponentDefinedType::Primitive(ty) => return self.primitive(*ty),
            ComponentDefinedType::Record(fields) => TypeDef::Record(self.fields(scope, fields)?),
            ComponentDefinedType::Variant(cases) => {
                let mut out = Vec::new();
                for case in cases {
                    self.charge_name(case.name)?;
                    out.push(Case { name: case.name.to_string(), ty: self.opt_type(scope, case.ty)? });
                }
                TypeDef::Variant(out)
            }
            ComponentDefinedType::List(ty) => TypeDef::List(self.val_type(scope, *ty)?),
            ComponentDefinedType::FixedLengthList(ty, len) => {
                TypeDef::FixedList(self.val_type(scope, *ty)?, *len)
            }
            ComponentDefinedType::Tuple(types) => {
                let mut out = Vec::new();
                for ty in types {
                    self.charge(1)?;
                    out.push(self.val_type(scope, *ty)?);
                }
                TypeDef::Tuple(out)
            }
            ComponentDefinedType::Flags(labels) => TypeDef::Flags(self.labels(labels)?),
            ComponentDefinedType::Enum(labels) => TypeDef::Enum(self.labels(labels)?),
            ComponentDefinedType::Option(ty) => TypeDef::Option(self.val_type(scope, *ty)?),
            ComponentDefinedType::Result { ok, err } => {
                TypeDef::Result { ok: self.opt_type(scope, *ok)?, err: self.opt_type(scope, *err)? }
            }
            ComponentDefinedType::Map(key, value) => {
                TypeDef::Map(self.val_type(scope, *key)?, self.val_type(scope, *value)?)
            }
            ComponentDefinedType::Own(index) => TypeDef::Own(self.resource_type(scope, *index)?),
            ComponentDefinedType::Borrow(index) => TypeDef::Borrow(self.resource_type(scope, *index)?),
            ComponentDefinedType::Stream(ty) => TypeDef::Stream(self.opt_type(scope, *ty)?),
            ComponentDefinedType::Future(ty) => TypeDef::Future(self.opt_type(scope, *ty)?),
        };
        self.tables.def(def, self.at)
    }

    fn func_type(&mut self, scope: ScopeId, ty: &ComponentFuncType<'a>) -> Result<u32, TranslateError> {
        let params = self.fields(scope, &ty.params)?;
        let result = self.opt_type(scope, ty.result)?;
        self.tables.func(FuncType { params, result, is_async: ty.async_ })
    }

    fn fields(
        &mut self,
        scope: ScopeId,
        fields: &[(&'a str, ComponentValType)],
    ) -> Result<Vec<Field>, TranslateError> {
        let mut out = Vec::new();
        for (name, ty) in fields {
            self.charge_name(name)?;
            out.push(Field { name: name.to_string(), ty: self.val_type(scope, *ty)? });
        }
        Ok(out)
    }

    fn labels(&mut self, labels: &[&'a str]) -> Result<Vec<String>, TranslateError> {
        let mut out = Vec::new();
        for label in labels {
            self.charge_name(label)?;
            out.push(label.to_string());
        }
        Ok(out)
    }
}
