//! What a script is made of. All of it is `const`, so that scripts lie in flash.

use canon_async::canon::Builtin;
use canon_async::id::LiftId;

/// An operand.
#[derive(Clone, Copy, Debug)]
pub enum Val {
    /// A register of the frame. A function's arguments are in the first ones.
    R(u8),
    /// A constant.
    K(u64),
    /// A global, seen by all scripts of a world.
    G(u8),
}

/// One operation of a script. What falls off the end returns 0.
#[derive(Clone, Copy, Debug)]
pub enum Op {
    /// Calls a built-in; the result goes to a register.
    Call(Builtin, &'static [Val], u8),
    /// Sets a register.
    Set(u8, Val),
    /// Sets a global.
    SetG(u8, Val),
    /// Adds to a register, wrapping.
    Add(u8, Val),
    /// Shifts a register right.
    Shr(u8, u32),
    /// Keeps these bits of a register.
    And(u8, u64),
    /// Two values must be equal, or the case fails.
    Eq(Val, Val),
    /// Reads 32 bits of the instance's memory.
    Load32(u8, Val),
    /// Reads a byte.
    Load8(u8, Val),
    /// Writes 32 bits.
    Store32(Val, Val),
    /// Writes a byte.
    Store8(Val, Val),
    /// Goes to the operation with this number where the value is not 0.
    Jump(Val, u16),
    /// Subtracts 1 from a register and goes to the operation with this number where it is not 0 then.
    Loop(u8, u16),
    /// Adds a number to the trace.
    Mark(u32),
    /// Returns.
    Ret(Val),
    /// Traps, as core wasm does.
    Trap(u32),
    /// Calls the function of another script, by its number in the world: a frame within the frame.
    Leaf(u32),
    /// A host function's code calls a component function; it must end with this trap, or well.
    Invoke(LiftId, u32, Option<canon_async::Error>),
    /// A host function answers later: it goes on when [`World::answer`](crate::world::World::answer) says so.
    Later,
    /// A host function says that it answers later, and traps.
    LaterThen(canon_async::Trap),
    /// A host function's code ticks, which must be refused.
    Tick,
}

/// A script.
pub type Script = &'static [Op];

/// A constant.
pub const fn k(value: u64) -> Val {
    Val::K(value)
}

/// Register 0, and so on.
pub const R0: Val = Val::R(0);
/// Register 1.
pub const R1: Val = Val::R(1);
/// Register 2.
pub const R2: Val = Val::R(2);
/// Register 3.
pub const R3: Val = Val::R(3);
/// Register 4.
pub const R4: Val = Val::R(4);
/// Register 5.
pub const R5: Val = Val::R(5);
/// Global 0.
pub const G0: Val = Val::G(0);
/// Global 1.
pub const G1: Val = Val::G(1);
/// Global 2.
pub const G2: Val = Val::G(2);
/// Global 3.
pub const G3: Val = Val::G(3);

/// Calls a built-in and drops what it answers (in register 7).
pub const fn run(builtin: Builtin, args: &'static [Val]) -> Op {
    Op::Call(builtin, args, 7)
}

/// Calls a built-in; the result goes to a register.
pub const fn call(builtin: Builtin, args: &'static [Val], to: u8) -> Op {
    Op::Call(builtin, args, to)
}

/// What `task.return` of a function without result takes.
pub const EXIT: u64 = 0;
/// The callback code YIELD.
pub const YIELD: u64 = 1;
/// The callback code WAIT, for a set with this index.
pub const fn wait(set: u64) -> u64 {
    2 | set << 4
}

/// A script as an expression.
#[macro_export]
macro_rules! script {
    ($($op:expr),* $(,)?) => {{
        const SCRIPT: $crate::op::Script = &[$($op),*];
        SCRIPT
    }};
}
