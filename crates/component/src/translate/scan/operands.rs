//! Core code: what its calls, blocks and branches move. An engine's code is as long as that is much, where
//! the bytes of a call or a branch are few.

use alloc::vec::Vec;

use wasmparser::{
    BlockType, CompositeInnerType, Encoding, FunctionBody, Operator, Parser, Payload, TypeRef, WasmFeatures,
};

/// What a call, a block, a branch or a body moves beyond this many operands is counted. What compilers make
/// is mostly below, and so few cost an engine little more than other code of the same length.
const FREE: u64 = 4;

/// The operands of a module's code, and of those before it.
#[derive(Default)]
pub(super) struct Operands {
    /// Parameters and results of each type, and the most that one has of both together.
    types: Vec<[u16; 2]>,
    widest: u64,
    /// The type of each function.
    funcs: Vec<u32>,
    /// How many functions come before the body that is read next, imports included.
    bodies: usize,
    /// What a branch to each block around an operator takes along, the function itself first.
    labels: Vec<u16>,
}

impl Operands {
    /// Reads a section or a body of the module, and adds to what was found. Returns the offset of what is
    /// more than `most` with it.
    pub(super) fn payload(
        &mut self,
        payload: &Payload<'_>,
        found: &mut u64,
        most: u64,
    ) -> wasmparser::Result<Option<u64>> {
        match payload {
            Payload::TypeSection(section) => {
                for group in section.clone() {
                    for ty in group?.types() {
                        self.ty(&ty.composite_type.inner);
                    }
                }
            }
            Payload::ImportSection(section) => {
                for import in section.clone().into_imports() {
                    if let TypeRef::Func(ty) | TypeRef::FuncExact(ty) = import?.ty {
                        self.funcs.push(ty);
                        self.bodies = self.bodies.saturating_add(1);
                    }
                }
            }
            Payload::FunctionSection(section) => {
                for ty in section.clone() {
                    self.funcs.push(ty?);
                }
            }
            Payload::CodeSectionEntry(body) => {
                let index = self.bodies;
                self.bodies = index.saturating_add(1);
                // All of it is free.
                if self.widest > FREE {
                    return self.body(index, body, found, most);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn ty(&mut self, ty: &CompositeInnerType) {
        let ty = match ty {
            CompositeInnerType::Func(ty) => [ty.params().len(), ty.results().len()],
            _ => [0, 0],
        };
        let ty = ty.map(|operands| u16::try_from(operands).unwrap_or(u16::MAX));
        self.widest = self.widest.max(both(ty));
        self.types.push(ty);
    }

    fn body(
        &mut self,
        index: usize,
        body: &FunctionBody<'_>,
        found: &mut u64,
        most: u64,
    ) -> wasmparser::Result<Option<u64>> {
        let [params, results] = self.func(index);
        self.labels.clear();
        self.labels.push(results);
        *found = found.saturating_add(both([params, results]).saturating_sub(FREE));
        if *found > most {
            return Ok(Some(body.range().start));
        }
        let mut operators = body.get_operators_reader()?;
        while !operators.eof() {
            let offset = operators.original_position();
            let operands = self.operator(&operators.read()?, results);
            *found = found.saturating_add(operands);
            if *found > most {
                return Ok(Some(offset));
            }
        }
        Ok(None)
    }

    /// What an operator moves that is not free, in a function of so many results.
    fn operator(&mut self, operator: &Operator<'_>, results: u16) -> u64 {
        let operands = match *operator {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                both(self.func(function_index as usize))
            }
            Operator::CallIndirect { type_index, .. }
            | Operator::ReturnCallIndirect { type_index, .. }
            | Operator::CallRef { type_index }
            | Operator::ReturnCallRef { type_index } => both(self.get(type_index)),
            Operator::Block { blockty } | Operator::If { blockty } => {
                let ty @ [_, results] = self.block(blockty);
                self.labels.push(results);
                both(ty)
            }
            Operator::Loop { blockty } => {
                let ty @ [params, _] = self.block(blockty);
                self.labels.push(params);
                both(ty)
            }
            Operator::TryTable { ref try_table } => {
                let ty @ [_, results] = self.block(try_table.ty);
                self.labels.push(results);
                let catches = u64::try_from(try_table.catches.len()).unwrap_or(u64::MAX);
                both(ty).saturating_add(self.widest.saturating_mul(catches))
            }
            Operator::End => {
                self.labels.pop();
                0
            }
            Operator::Br { relative_depth }
            | Operator::BrIf { relative_depth }
            | Operator::BrOnNull { relative_depth }
            | Operator::BrOnNonNull { relative_depth }
            | Operator::BrOnCast { relative_depth, .. }
            | Operator::BrOnCastFail { relative_depth, .. } => self.label(relative_depth),
            Operator::BrTable { ref targets } => {
                let each = self.label(targets.default()).saturating_sub(FREE);
                return u64::from(targets.len()).saturating_add(1).saturating_mul(each);
            }
            Operator::Return => results.into(),
            _ => 0,
        };
        operands.saturating_sub(FREE)
    }

    /// Parameters and results of a type.
    fn get(&self, ty: u32) -> [u16; 2] {
        self.types.get(ty as usize).copied().unwrap_or_default()
    }

    fn func(&self, func: usize) -> [u16; 2] {
        self.funcs.get(func).map_or([0, 0], |ty| self.get(*ty))
    }

    fn block(&self, ty: BlockType) -> [u16; 2] {
        match ty {
            BlockType::Empty => [0, 0],
            BlockType::Type(_) => [0, 1],
            BlockType::FuncType(ty) => self.get(ty),
        }
    }

    /// What a branch takes along. One to nowhere is invalid.
    fn label(&self, depth: u32) -> u64 {
        let at = self.labels.len().checked_sub(depth as usize).and_then(|at| at.checked_sub(1));
        at.and_then(|at| self.labels.get(at)).copied().unwrap_or(0).into()
    }
}

fn both([params, results]: [u16; 2]) -> u64 {
    u64::from(params).saturating_add(results.into())
}

/// Adds what the code of a module moves, until it is more than `most`. Malformed bytes are the engine's to
/// refuse: what comes before them is counted.
pub(crate) fn core_operands(module: &[u8], found: &mut u64, most: u64) {
    let mut operands = Operands::default();
    let mut parser = Parser::new(0);
    // An engine may know more than the translation.
    parser.set_features(WasmFeatures::all());
    for payload in parser.parse_all(module) {
        let Ok(payload) = payload else { return };
        if let Payload::Version { encoding: Encoding::Component, .. } = payload {
            return;
        }
        let is_body = matches!(payload, Payload::CodeSectionEntry(_));
        match operands.payload(&payload, found, most) {
            Ok(None) => {}
            // Bodies may be looked at last of all.
            Err(_) if is_body => {}
            Ok(Some(_)) | Err(_) => return,
        }
    }
}
