//! The types that the components of one input share, how they are flattened, and how they are written into a
//! component.

use wasm_encoder::{
    ComponentBuilder, ComponentExportKind, ComponentTypeRef, ComponentValType, PrimitiveValType as Prim,
    TypeBounds, ValType,
};

use crate::tape::Tape;

/// A value type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// One without parts.
    Prim(Prim),
    /// An entry of [`Types::named`].
    Named(usize),
    List(Box<Ty>),
    Fixed(Box<Ty>, u32),
    Tuple(Vec<Ty>),
    Option(Box<Ty>),
    Result(Option<Box<Ty>>, Option<Box<Ty>>),
    /// A map from strings.
    Map(Box<Ty>),
    /// Of the one resource type that all components know.
    Own,
    Borrow,
    /// An entry of [`Types::streams`].
    Stream(usize),
    /// An entry of [`Types::futures`].
    Future(usize),
}

/// A type that has labels, and therefore a name.
#[derive(Clone, Debug)]
pub enum Named {
    Record(Vec<Ty>),
    Variant(Vec<Option<Ty>>),
    Enum(u32),
    Flags(u32),
}

/// A function's type.
#[derive(Clone, Debug)]
pub struct Sig {
    pub params: Vec<Ty>,
    pub result: Option<Ty>,
    pub is_async: bool,
}

/// All types of an input.
#[derive(Clone, Debug, Default)]
pub struct Types {
    pub named: Vec<Named>,
    pub streams: Vec<Option<Ty>>,
    pub futures: Vec<Option<Ty>>,
    pub sigs: Vec<Sig>,
}

const PRIMS: [Prim; 14] = [
    Prim::U32,
    Prim::String,
    Prim::U8,
    Prim::ErrorContext,
    Prim::Bool,
    Prim::S64,
    Prim::F32,
    Prim::F64,
    Prim::Char,
    Prim::S8,
    Prim::U16,
    Prim::S16,
    Prim::S32,
    Prim::U64,
];
/// Flags, enums, records and variants have at most so many of these.
const LABELS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];

impl Types {
    /// Makes types up.
    pub fn new(tape: &mut Tape) -> Self {
        let mut types = Self::default();
        for _ in 0..tape.below(4) {
            let named = match tape.below(4) {
                0 => Named::Record((0..1 + tape.below(4)).map(|_| types.plain(tape, 2)).collect()),
                1 => {
                    let case = |tape: &mut Tape| (tape.byte() % 4 != 0).then(|| types.plain(tape, 2));
                    Named::Variant((0..1 + tape.below(4)).map(|_| case(tape)).collect())
                }
                2 => Named::Enum(1 + tape.below(LABELS.len()) as u32),
                _ => Named::Flags(1 + tape.below(LABELS.len()) as u32),
            };
            types.named.push(named);
        }
        for _ in 0..1 + tape.below(3) {
            let element = types.element(tape);
            types.streams.push(element);
        }
        for _ in 0..1 + tape.below(2) {
            let element = types.element(tape);
            types.futures.push(element);
        }
        for _ in 0..2 + tape.below(4) {
            let many = if tape.chance(12) { 18 } else { 4 };
            let params = (0..tape.below(many)).map(|_| types.any(tape, 2, true)).collect();
            let result = (tape.byte() % 4 != 3).then(|| types.any(tape, 2, false));
            types.sigs.push(Sig { params, result, is_async: tape.byte() % 4 != 3 });
        }
        // So that who needs a handle can get one.
        for ty in [Ty::Stream(0), Ty::Future(0), Ty::Own] {
            types.sigs.push(Sig { params: Vec::new(), result: Some(ty), is_async: true });
        }
        types
    }

    fn element(&self, tape: &mut Tape) -> Option<Ty> {
        match tape.byte() % 8 {
            0 | 1 => Some(Ty::Prim(Prim::U8)),
            2 => None,
            3 => Some(Ty::Own),
            _ => match self.any(tape, 1, false) {
                // Not valid, of all types.
                Ty::Prim(Prim::Char) => Some(Ty::Prim(Prim::U16)),
                ty => Some(ty),
            },
        }
    }

    /// Without handles of streams and futures, which come after.
    fn plain(&self, tape: &mut Tape, depth: u32) -> Ty {
        let inner = |tape: &mut Tape| Box::new(self.plain(tape, depth.saturating_sub(1)));
        match tape.byte() % if depth == 0 { 10 } else { 20 } {
            0 if !self.named.is_empty() => Ty::Named(tape.below(self.named.len())),
            1 => Ty::Own,
            0..=9 => Ty::Prim(tape.pick(&PRIMS).unwrap_or(Prim::U32)),
            10..=12 => Ty::List(inner(tape)),
            13 => Ty::Fixed(inner(tape), 1 + tape.below(3) as u32),
            14 | 15 => Ty::Tuple((0..1 + tape.below(4)).map(|_| *inner(tape)).collect()),
            16 | 17 => Ty::Option(inner(tape)),
            18 => {
                let side = |tape: &mut Tape| (tape.byte() % 2 == 0).then(|| inner(tape));
                Ty::Result(side(tape), side(tape))
            }
            // No handles, says the validator.
            _ => Ty::Map(Box::new(Ty::Prim(if tape.byte() % 2 == 0 { Prim::U32 } else { Prim::String }))),
        }
    }

    fn any(&self, tape: &mut Tape, depth: u32, borrows: bool) -> Ty {
        match tape.byte() % 16 {
            0 | 1 if !self.streams.is_empty() => Ty::Stream(tape.below(self.streams.len())),
            2 if !self.futures.is_empty() => Ty::Future(tape.below(self.futures.len())),
            5 => Ty::Own,
            6 if borrows => Ty::Borrow,
            7 => Ty::Prim(Prim::ErrorContext),
            8 if depth > 0 => Ty::Option(Box::new(self.any(tape, depth - 1, borrows))),
            9 if depth > 0 => Ty::List(Box::new(self.any(tape, depth - 1, borrows))),
            10 if depth > 0 => {
                Ty::Tuple((0..1 + tape.below(3)).map(|_| self.any(tape, depth - 1, borrows)).collect())
            }
            _ => self.plain(tape, depth),
        }
    }

    /// The flat types of a value.
    pub fn flat(&self, ty: &Ty) -> Vec<ValType> {
        use ValType::{F32, F64, I32, I64};
        match ty {
            Ty::Prim(Prim::S64 | Prim::U64) => vec![I64],
            Ty::Prim(Prim::F32) => vec![F32],
            Ty::Prim(Prim::F64) => vec![F64],
            Ty::Prim(Prim::String) | Ty::List(_) | Ty::Map(_) => vec![I32, I32],
            Ty::Prim(_) | Ty::Own | Ty::Borrow | Ty::Stream(_) | Ty::Future(_) => vec![I32],
            Ty::Fixed(ty, n) => {
                let one = self.flat(ty);
                (0..*n).flat_map(|_| one.clone()).collect()
            }
            Ty::Tuple(types) => types.iter().flat_map(|ty| self.flat(ty)).collect(),
            Ty::Option(_) | Ty::Result(..) => self.flat_cases(&cases(ty)),
            Ty::Named(at) => match self.named.get(*at) {
                Some(Named::Record(types)) => types.iter().flat_map(|ty| self.flat(ty)).collect(),
                Some(Named::Variant(cases)) => {
                    self.flat_cases(&cases.iter().map(Option::as_ref).collect::<Vec<_>>())
                }
                _ => vec![I32],
            },
        }
    }

    /// The flat types of values, one after the other.
    pub fn flat_all(&self, types: &[Ty]) -> Vec<ValType> {
        types.iter().flat_map(|ty| self.flat(ty)).collect()
    }

    /// A signature; the first where there is none of this number.
    pub fn sig(&self, at: usize) -> &Sig {
        const NONE: &Sig = &Sig { params: Vec::new(), result: None, is_async: false };
        self.sigs.get(at).or(self.sigs.first()).unwrap_or(NONE)
    }

    /// Whether a signature mentions what has a name: a resource, or a type with labels.
    pub fn needs_names(&self, sig: usize) -> bool {
        let sig = self.sig(sig);
        sig.params.iter().chain(&sig.result).any(|ty| self.has_names(ty))
    }

    fn has_names(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Prim(_) => false,
            Ty::Named(_) | Ty::Own | Ty::Borrow => true,
            Ty::List(ty) | Ty::Fixed(ty, _) | Ty::Option(ty) | Ty::Map(ty) => self.has_names(ty),
            Ty::Tuple(types) => types.iter().any(|ty| self.has_names(ty)),
            Ty::Result(ok, err) => [ok, err].into_iter().flatten().any(|ty| self.has_names(ty)),
            Ty::Stream(at) => self.streams.get(*at).into_iter().flatten().any(|ty| self.has_names(ty)),
            Ty::Future(at) => self.futures.get(*at).into_iter().flatten().any(|ty| self.has_names(ty)),
        }
    }

    fn flat_cases(&self, cases: &[Option<&Ty>]) -> Vec<ValType> {
        let mut joined: Vec<ValType> = Vec::new();
        for case in cases.iter().copied().flatten() {
            for (at, ty) in self.flat(case).into_iter().enumerate() {
                match joined.get_mut(at) {
                    Some(other) => *other = join(*other, ty),
                    None => joined.push(ty),
                }
            }
        }
        joined.insert(0, ValType::I32);
        joined
    }
}

/// The payloads of an option's or a result's cases.
pub fn cases(ty: &Ty) -> Vec<Option<&Ty>> {
    match ty {
        Ty::Option(ty) => vec![None, Some(ty)],
        Ty::Result(ok, err) => vec![ok.as_deref(), err.as_deref()],
        _ => Vec::new(),
    }
}

fn join(a: ValType, b: ValType) -> ValType {
    match (a, b) {
        _ if a == b => a,
        (ValType::I32, ValType::F32) | (ValType::F32, ValType::I32) => ValType::I32,
        _ => ValType::I64,
    }
}

/// The types in one component: its indices of them.
#[derive(Debug, Default)]
pub struct Defined {
    pub resource: u32,
    pub named: Vec<u32>,
    pub streams: Vec<u32>,
    pub futures: Vec<u32>,
}

impl Defined {
    /// Writes the named types, which are imported (by the resource's own component exported) so that they
    /// have a name, and those of streams and futures.
    pub fn new(b: &mut ComponentBuilder, types: &Types, resource: u32, home: bool) -> Self {
        let mut defined = Self { resource, ..Self::default() };
        for (at, named) in types.named.iter().enumerate() {
            let index = defined.define_named(b, named);
            let name = format!("t{at}");
            // Its own resource may be in it, which no import can have.
            defined.named.push(match home {
                true => b.export(name.as_str(), ComponentExportKind::Type, index, None),
                false => b.import(name.as_str(), ComponentTypeRef::Type(TypeBounds::Eq(index))),
            });
        }
        for element in &types.streams {
            let element = element.as_ref().map(|ty| defined.val(b, ty));
            let (index, encoder) = b.type_defined(None);
            encoder.stream(element);
            defined.streams.push(index);
        }
        for element in &types.futures {
            let element = element.as_ref().map(|ty| defined.val(b, ty));
            let (index, encoder) = b.type_defined(None);
            encoder.future(element);
            defined.futures.push(index);
        }
        defined
    }

    fn define_named(&self, b: &mut ComponentBuilder, named: &Named) -> u32 {
        let labels = |n: &u32| LABELS.into_iter().take(*n as usize).collect::<Vec<_>>();
        match named {
            Named::Record(types) => {
                let fields: Vec<_> = types.iter().map(|ty| self.val(b, ty)).collect();
                let (index, encoder) = b.type_defined(None);
                encoder.record(LABELS.into_iter().zip(fields).collect::<Vec<_>>());
                index
            }
            Named::Variant(cases) => {
                let cases: Vec<_> = cases.iter().map(|ty| ty.as_ref().map(|ty| self.val(b, ty))).collect();
                let (index, encoder) = b.type_defined(None);
                encoder.variant(LABELS.into_iter().zip(cases).collect::<Vec<_>>());
                index
            }
            Named::Enum(n) => {
                let (index, encoder) = b.type_defined(None);
                encoder.enum_type(labels(n));
                index
            }
            Named::Flags(n) => {
                let (index, encoder) = b.type_defined(None);
                encoder.flags(labels(n));
                index
            }
        }
    }

    /// A value type.
    pub fn val(&self, b: &mut ComponentBuilder, ty: &Ty) -> ComponentValType {
        if let Ty::Prim(prim) = ty {
            return ComponentValType::Primitive(*prim);
        }
        let known = |from: &[u32], at: &usize| from.get(*at).copied();
        let known = match ty {
            Ty::Named(at) => known(&self.named, at),
            Ty::Stream(at) => known(&self.streams, at),
            Ty::Future(at) => known(&self.futures, at),
            _ => None,
        };
        if let Some(index) = known {
            return ComponentValType::Type(index);
        }
        let parts: Vec<Option<ComponentValType>> = match ty {
            Ty::List(ty) | Ty::Fixed(ty, _) | Ty::Option(ty) | Ty::Map(ty) => vec![Some(self.val(b, ty))],
            Ty::Tuple(types) => types.iter().map(|ty| Some(self.val(b, ty))).collect(),
            Ty::Result(ok, err) => {
                [ok, err].into_iter().map(|ty| ty.as_ref().map(|ty| self.val(b, ty))).collect()
            }
            _ => Vec::new(),
        };
        let part = |at: usize| parts.get(at).copied().flatten();
        let first = part(0).unwrap_or(ComponentValType::Primitive(Prim::U32));
        let (index, encoder) = b.type_defined(None);
        match ty {
            Ty::List(_) => encoder.list(first),
            Ty::Fixed(_, n) => encoder.fixed_length_list(first, *n),
            Ty::Option(_) => encoder.option(first),
            Ty::Map(_) => encoder.map(ComponentValType::Primitive(Prim::String), first),
            Ty::Tuple(_) => encoder.tuple(parts.iter().copied().flatten().collect::<Vec<_>>()),
            Ty::Result(..) => encoder.result(part(0), part(1)),
            Ty::Own => encoder.own(self.resource),
            Ty::Borrow => encoder.borrow(self.resource),
            _ => encoder.primitive(Prim::U32),
        }
        ComponentValType::Type(index)
    }

    /// A function type.
    pub fn func(&self, b: &mut ComponentBuilder, sig: &Sig) -> u32 {
        let params: Vec<_> = sig.params.iter().map(|ty| self.val(b, ty)).collect();
        let names: Vec<String> = (0..params.len()).map(|at| format!("p{at}")).collect();
        let result = sig.result.as_ref().map(|ty| self.val(b, ty));
        let (index, mut encoder) = b.type_function(None);
        encoder.async_(sig.is_async);
        encoder.params(names.iter().map(String::as_str).zip(params).collect::<Vec<_>>());
        encoder.result(result);
        index
    }
}
