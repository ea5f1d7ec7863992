//! The core modules of a component: one with its memory, and one with its code.

use std::collections::BTreeMap;

use wasm_encoder::{
    BlockType, CodeSection, ConstExpr, DataSection, ElementSection, Elements, EntityType, ExportKind,
    ExportSection, Function, FunctionSection, GlobalSection, GlobalType, ImportSection, Instruction as I,
    MemorySection, MemoryType, Module, RefType, TableSection, TableType, TypeSection, ValType,
};

use super::code::{COUNTER, Fun, Ins, MOVE, PUSH, Pipe, SPILL, TEXT, class, word};
use super::types::Types;
use crate::tape::Tape;

const I32: ValType = ValType::I32;
/// Threads, the destructor, what `realloc` calls now and then, and some that are null.
const TABLE: TableType =
    TableType { element_type: RefType::FUNCREF, table64: false, minimum: 8, maximum: Some(8), shared: false };
const MEMORY: MemoryType =
    MemoryType { minimum: 1, maximum: Some(4), memory64: false, shared: false, page_size_log2: None };
/// Where `realloc` begins.
const HEAP: i32 = 4096;

/// A function type.
pub type CoreType = (Vec<ValType>, Vec<ValType>);

/// The memory, the table, `realloc`, and a destructor that calls the third function in the table.
pub fn memory(tape: &mut Tape) -> Module {
    let mut types = TypeSection::new();
    types.ty().function([I32; 4], [I32]);
    types.ty().function([I32], []);
    let mut functions = FunctionSection::new();
    functions.function(0).function(1);
    let mut tables = TableSection::new();
    tables.table(TABLE);
    let mut memories = MemorySection::new();
    memories.memory(MEMORY);
    let mut globals = GlobalSection::new();
    globals.global(GlobalType { val_type: I32, mutable: true, shared: false }, &ConstExpr::i32_const(HEAP));
    let mut exports = ExportSection::new();
    exports.export("memory", ExportKind::Memory, 0).export("table", ExportKind::Table, 0);
    exports.export("realloc", ExportKind::Func, 0).export("dtor", ExportKind::Func, 1);
    let mut code = CodeSection::new();
    code.function(&realloc(tape));
    let mut dtor = Function::new([]);
    for ins in [I::LocalGet(0), I::I32Const(2), I::CallIndirect { type_index: 1, table_index: 0 }, I::End] {
        dtor.instruction(&ins);
    }
    code.function(&dtor);
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&tables).section(&memories);
    module.section(&globals).section(&exports).section(&code);
    module
}

/// Blocks one after the other, and from the start again past a page; now and then one that breaks the rules.
fn realloc(tape: &mut Tape) -> Function {
    let mut f = Function::new([(1, I32)]);
    let wrong = tape.byte();
    if (248..=250).contains(&wrong) {
        f.instruction(&I::LocalGet(0)).instruction(&I::I32Const(3));
        f.instruction(&I::CallIndirect { type_index: 1, table_index: 0 });
    }
    for ins in [
        // Aligned, and within the first page.
        I::GlobalGet(0),
        I::LocalGet(2),
        I::I32Add,
        I::I32Const(1),
        I::I32Sub,
        I::I32Const(0),
        I::LocalGet(2),
        I::I32Sub,
        I::I32And,
        I::LocalTee(4),
        I::LocalGet(3),
        I::I32Add,
        I::I32Const(0xffff),
        I::I32GtU,
        I::If(BlockType::Empty),
        I::I32Const(HEAP),
        I::LocalSet(4),
        I::LocalGet(3),
        I::I32Const(0xe000),
        I::I32GtU,
        I::If(BlockType::Empty),
        I::Unreachable,
        I::End,
        I::End,
        // What the old block held.
        I::LocalGet(4),
        I::LocalGet(0),
        I::LocalGet(1),
        I::LocalGet(3),
        I::LocalGet(1),
        I::LocalGet(3),
        I::I32LtU,
        I::Select,
        I::MemoryCopy { src_mem: 0, dst_mem: 0 },
        I::LocalGet(4),
        I::LocalGet(3),
        I::I32Add,
        I::GlobalSet(0),
        I::LocalGet(4),
    ] {
        f.instruction(&ins);
    }
    match wrong {
        251 => drop(f.instruction(&I::I32Const(1)).instruction(&I::I32Add)),
        252 => drop(f.instruction(&I::I32Const(0xffff)).instruction(&I::I32Or)),
        253 => drop(f.instruction(&I::Drop).instruction(&I::I32Const(-8))),
        254 => drop(f.instruction(&I::Unreachable)),
        _ => {}
    }
    f.instruction(&I::End);
    f
}

/// A function of the module with the code.
#[derive(Debug)]
pub struct Body {
    /// Its name, where it is exported.
    pub name: Option<String>,
    pub ty: CoreType,
    pub code: Vec<Ins>,
}

/// The module with the code. The first four of `bodies` are those in the table.
pub fn code(tape: &mut Tape, types: &Types, bodies: Vec<Body>, funs: &BTreeMap<Fun, CoreType>) -> Module {
    let mut all = helpers(types);
    let first = all.len();
    all.extend(bodies);
    let mut interned: Vec<CoreType> = Vec::new();
    let mut intern = |ty: &CoreType| match interned.iter().position(|other| other == ty) {
        Some(at) => at as u32,
        None => {
            interned.push(ty.clone());
            interned.len() as u32 - 1
        }
    };
    let mut imports = ImportSection::new();
    imports.import("m", "memory", MEMORY).import("m", "table", TABLE);
    let numbers: BTreeMap<Fun, u32> = funs.keys().copied().zip(0..).collect();
    for (fun, ty) in funs {
        let name = numbers.get(fun).copied().unwrap_or(0).to_string();
        imports.import("b", &name, EntityType::Function(intern(ty)));
    }
    let imported = funs.len() as u32;
    let (mut functions, mut exports, mut section) =
        (FunctionSection::new(), ExportSection::new(), CodeSection::new());
    for (body, at) in all.iter().zip(imported..) {
        functions.function(intern(&body.ty));
        if let Some(name) = &body.name {
            exports.export(name, ExportKind::Func, at);
        }
        let mut f = Function::new([(2, I32), (1, ValType::I64), (1, I32)]);
        for ins in &body.code {
            f.instruction(&match ins {
                Ins::I(ins) => ins.clone(),
                Ins::Call(fun) => I::Call(numbers.get(fun).copied().unwrap_or(0)),
                Ins::Local(at) => I::Call(imported + at),
            });
        }
        f.instruction(&I::End);
        section.function(&f);
    }
    let mut elements = ElementSection::new();
    let table: Vec<u32> = (0..4).map(|at| imported + first as u32 + at).collect();
    elements.active(None, &ConstExpr::i32_const(0), Elements::Functions(table.into()));
    let mut type_section = TypeSection::new();
    for (params, results) in &interned {
        type_section.ty().function(params.iter().copied(), results.iter().copied());
    }
    let mut module = Module::new();
    module.section(&type_section).section(&imports).section(&functions).section(&exports);
    module.section(&elements).section(&section).section(&data(tape));
    module
}

/// Small words, which may be handles, lengths or cases; and text.
fn data(tape: &mut Tape) -> DataSection {
    let mut data = DataSection::new();
    let callbacks = 4 + tape.byte() % 16;
    data.active(0, &ConstExpr::i32_const(COUNTER as i32), [callbacks, 0, 0, 0]);
    let words: Vec<u8> = (0..64).flat_map(|_| [tape.byte() % 8, 0, 0, 0]).collect();
    data.active(0, &ConstExpr::i32_const(SPILL), words);
    let mut text = b"The quick brown fox jumps over a lazy dog. ".to_vec();
    text.extend("Žluťoučký kůň \u{1f40e}".bytes());
    text.extend([tape.byte(), tape.byte()]);
    data.active(0, &ConstExpr::i32_const(TEXT), text);
    data
}

fn helper(params: usize, results: usize, code: Vec<I<'static>>) -> Body {
    let code = code.into_iter().map(Ins::I).collect();
    Body { name: None, ty: (vec![I32; params], vec![I32; results]), code }
}

/// The functions that keep handles in lists: a length, then up to three handles.
fn helpers(types: &Types) -> Vec<Body> {
    let if_ = || I::If(BlockType::Empty);
    let push = helper(
        2,
        0,
        vec![
            I::LocalGet(1),
            if_(),
            // The last one is forgotten where there are three.
            I::LocalGet(0),
            I::I32Load(word(0)),
            I::LocalTee(2),
            I::I32Const(2),
            I::LocalGet(2),
            I::I32Const(3),
            I::I32LtU,
            I::Select,
            I::LocalSet(2),
            I::LocalGet(0),
            I::LocalGet(2),
            I::I32Const(2),
            I::I32Shl,
            I::I32Add,
            I::LocalGet(1),
            I::I32Store(word(4)),
            I::LocalGet(0),
            I::LocalGet(2),
            I::I32Const(1),
            I::I32Add,
            I::I32Store(word(0)),
            I::End,
        ],
    );
    let take = helper(
        1,
        1,
        vec![
            I::LocalGet(0),
            I::I32Load(word(0)),
            I::LocalTee(1),
            I::I32Eqz,
            if_(),
            I::I32Const(0),
            I::Return,
            I::End,
            I::LocalGet(0),
            I::LocalGet(1),
            I::I32Const(1),
            I::I32Sub,
            I::LocalTee(1),
            I::I32Store(word(0)),
            I::LocalGet(0),
            I::LocalGet(1),
            I::I32Const(2),
            I::I32Shl,
            I::I32Add,
            I::I32Load(word(4)),
        ],
    );
    let peek = helper(
        2,
        1,
        vec![
            I::LocalGet(0),
            I::I32Load(word(0)),
            I::LocalTee(2),
            I::I32Eqz,
            if_(),
            I::I32Const(0),
            I::Return,
            I::End,
            I::LocalGet(0),
            I::LocalGet(1),
            I::LocalGet(2),
            I::I32RemU,
            I::I32Const(2),
            I::I32Shl,
            I::I32Add,
            I::I32Load(word(4)),
        ],
    );
    vec![push, take, peek, move_(), settle(types)]
}

/// `move(from, to, handle)`: from one list to another, where it is in the first.
fn move_() -> Body {
    let mut code = Vec::new();
    for at in [0u32, 4, 8] {
        code.extend([
            I::LocalGet(0),
            I::I32Load(word(0)),
            I::I32Const(at as i32 / 4),
            I::I32GtU,
            I::LocalGet(0),
            I::I32Load(word(4 + at)),
            I::LocalGet(2),
            I::I32Eq,
            I::I32And,
            I::If(BlockType::Empty),
            // The last one takes its place.
            I::LocalGet(0),
            I::LocalGet(0),
            I::I32Load(word(0)),
            I::I32Const(1),
            I::I32Sub,
            I::LocalTee(3),
            I::I32Store(word(0)),
            I::LocalGet(0),
            I::LocalGet(0),
            I::LocalGet(3),
            I::I32Const(2),
            I::I32Shl,
            I::I32Add,
            I::I32Load(word(4)),
            I::I32Store(word(4 + at)),
        ]);
        code.extend([I::LocalGet(1), I::LocalGet(2)]);
        // Replaced below: a call.
        code.extend([I::Nop, I::Return, I::End]);
    }
    let code = code.into_iter().map(|ins| if matches!(ins, I::Nop) { Ins::Local(PUSH) } else { Ins::I(ins) });
    Body { name: None, ty: (vec![I32; 3], Vec::new()), code: code.collect() }
}

/// `settle(code, index, payload)`: an event moves its handle to the list of its new state.
fn settle(types: &Types) -> Body {
    let mut code = Vec::new();
    let mut when = |event: i32, from: i32, to: i32, masked: Option<(i32, i32)>| {
        code.extend([I::LocalGet(0), I::I32Const(event), I::I32Eq].map(Ins::I));
        if let Some((mask, least)) = masked {
            code.extend(
                [I::LocalGet(2), I::I32Const(mask), I::I32And, I::I32Const(least), I::I32GeU, I::I32And]
                    .map(Ins::I),
            );
        }
        code.push(Ins::I(I::If(BlockType::Empty)));
        code.extend([I::I32Const(from), I::I32Const(to), I::LocalGet(1)].map(Ins::I));
        code.push(Ins::Local(MOVE));
        code.push(Ins::I(I::End));
    };
    when(1, class::RUNNING, class::RESOLVED, Some((-1, 2)));
    let streams = (0..types.streams.len()).map(|at| Pipe { future: false, at });
    let futures = (0..types.futures.len()).map(|at| Pipe { future: true, at });
    for pipe in streams.chain(futures) {
        for write in [false, true] {
            let event = 2 + i32::from(write) + if pipe.future { 2 } else { 0 };
            let end = |state| class::end(pipe, write, state);
            if !pipe.future {
                when(event, end(class::BUSY), end(class::DONE), Some((1, 1)));
                when(event, end(class::BUSY), end(class::IDLE), None);
            } else {
                when(event, end(class::BUSY), end(class::DONE), None);
            }
        }
    }
    Body { name: None, ty: (vec![I32; 3], Vec::new()), code }
}
