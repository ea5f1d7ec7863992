//! Spec: Canonical ABI Options, and what `canon lift` and `canon lower` make of them.

use crate::id::{FuncRef, FuncTypeId, InstanceId, LiftId, MemoryRef, OptsId};
use crate::spec::{MAX_CORE_PARAMS, PtrType};
use crate::storage::Blank;

/// `string-encoding`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum StringEncoding {
    /// `utf8`.
    #[default]
    Utf8,
    /// `utf16`.
    Utf16,
    /// `latin1+utf16`.
    Latin1Utf16,
}

/// `memory.ptr_type()`, as [`Options::ptr_type`] has it.
pub(crate) fn ptr_type(memory: Option<MemoryRef>) -> PtrType {
    memory.map_or(PtrType::I32, MemoryRef::ptr_type)
}

/// `CanonicalOptions`, with the instance that they belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Options {
    /// The instance whose memory and functions these are.
    pub instance: InstanceId,
    /// `memory`.
    pub memory: Option<MemoryRef>,
    /// `realloc`.
    pub realloc: Option<FuncRef>,
    /// `post-return`.
    pub post_return: Option<FuncRef>,
    /// `callback`.
    pub callback: Option<FuncRef>,
    /// `string-encoding`.
    pub encoding: StringEncoding,
    /// `async`.
    pub is_async: bool,
}

impl Options {
    /// The options of an instance where nothing is given: the defaults of the spec.
    pub const fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            memory: None,
            realloc: None,
            post_return: None,
            callback: None,
            encoding: StringEncoding::Utf8,
            is_async: false,
        }
    }

    /// `memory.ptr_type()`; `i32` where there is no memory, as built-ins have it whose memory may be missing.
    pub fn ptr_type(&self) -> PtrType {
        ptr_type(self.memory)
    }

    /// `LiftOptions.equal`, of a `task.return` with the options that the task was lifted with. A `task.return` whose type
    /// needs no memory may name none, as the reference tests have it.
    pub fn lift_equal(&self, lifted: &Self) -> bool {
        self.encoding == lifted.encoding && (self.memory.is_none() || self.memory == lifted.memory)
    }
}

impl Blank for Options {
    const BLANK: Self = Self::new(InstanceId::from_index(0));
}

/// A component function: `canon lift` of a core function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lift {
    /// The core function.
    pub func: FuncRef,
    /// Its component type.
    pub ty: FuncTypeId,
    /// Its options; their instance is the one that the function runs in.
    pub options: OptsId,
}

impl Blank for Lift {
    const BLANK: Self =
        Self { func: FuncRef::from_index(0), ty: FuncTypeId::from_index(0), options: OptsId::from_index(0) };
}

/// A component function made callable for core code: `canon lower`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Lower {
    /// The function it calls.
    pub callee: LiftId,
    /// Its options; their instance is the caller's.
    pub options: OptsId,
}

impl Blank for Lower {
    const BLANK: Self = Self { callee: LiftId::from_index(0), options: OptsId::from_index(0) };
}

/// The flat arguments of a call that could not start at once: they are lifted when the callee starts.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct QueuedArgs {
    args: [u64; MAX_CORE_PARAMS],
    len: u8,
}

impl QueuedArgs {
    /// No arguments.
    pub const EMPTY: Self = Self { args: [0; MAX_CORE_PARAMS], len: 0 };

    /// Keeps arguments; those past [`MAX_CORE_PARAMS`] can't be and are left out.
    pub fn keep(&mut self, args: &[u64]) {
        self.len = args.len().min(MAX_CORE_PARAMS) as u8;
        self.args.iter_mut().zip(args).for_each(|(to, from)| *to = *from);
    }

    /// Copies the arguments, and zeros after them: how many they are.
    pub(crate) fn copy_to(&self, args: &mut [u64; MAX_CORE_PARAMS]) -> usize {
        *args = self.args;
        usize::from(self.len)
    }
}
