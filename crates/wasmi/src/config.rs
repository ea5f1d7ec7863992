//! [`Config`], and the [`Engine`] that is made of it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use canon_async::spec::Features;
use canon_async::store::Choose;
use canon_async::{Limits, Resource};
#[cfg(feature = "translate")]
use canon_async_component::{CoreFeatures, PlanLimits, TranslateOptions};

use crate::budget::{self, MemoryMeter};

/// What components may use and how much. The default is what a PC can give to code that it doesn't trust.
#[derive(Clone, Debug)]
pub struct Config {
    /// `None`: not set.
    limits: Option<Limits>,
    /// `None`: half of the limits.
    root_limits: Option<Limits>,
    features: Features,
    tail_calls: bool,
    #[cfg(feature = "translate")]
    core_features: CoreFeatures,
    #[cfg(feature = "translate")]
    plan_limits: PlanLimits,
    host_bytes: u32,
    guest_bytes: usize,
    root_bytes: Option<usize>,
    memory_bytes: Option<usize>,
    table_elements: usize,
    stack_bytes_total: Option<usize>,
    memory_meter: Option<MemoryMeter>,
    stack: Stack,
    eager: bool,
    choose: Choose,
    strict: bool,
    fuel: bool,
    interruptible: bool,
    slice_fuel: u32,
    trap_names: bool,
}

/// wasmi's stacks. Bytes, and how many.
#[derive(Clone, Copy, Debug)]
struct Stack {
    min: usize,
    /// Of values and frames together.
    max: usize,
    /// How many frames; `None`: as many as fit a third of the bytes.
    depth: Option<usize>,
    cached: usize,
}

/// What wasmi keeps of a call on its stack beside the values: three words.
const FRAME: usize = size_of::<[usize; 3]>();

impl Stack {
    fn depth(&self) -> usize {
        // At least the function that is called.
        self.depth.unwrap_or((self.max / 3) / FRAME).max(1)
    }

    /// Bytes of values.
    fn values(&self) -> usize {
        self.max.saturating_sub(self.depth().saturating_mul(FRAME))
    }
}

/// Far below what a PC has, and a part of what a 32-bit address space has.
const GUEST_BYTES: usize = if usize::BITS >= 64 { 2 << 30 } else { 256 << 20 };
/// An interpreter's 4,000 frames; a list of 100,000 nodes that drops itself recursively.
const STACK_BYTES: usize = if usize::BITS >= 64 { 16 << 20 } else { 512 << 10 };

/// A level takes 5 KiB of native stack, and 35 KiB unoptimised, beside what host functions take: this many fit
/// the 2 MiB that Rust gives a thread. It is the limit if the system does not say
/// how much there is.
pub(crate) const DEPTH: u32 = 40;
/// What has to be left of the native stack where a call between components is begun: for one more level, with the values that it
/// passes and the host function that it may end in.
#[cfg(feature = "std")]
pub(crate) const NATIVE_RESERVE: usize = 128 << 10;
#[cfg(feature = "std")]
const DEFAULT_LIMITS: Limits = Limits::HEAP.with_depth(100_000);
#[cfg(not(feature = "std"))]
const DEFAULT_LIMITS: Limits = Limits::HEAP.with_depth(DEPTH);

impl Default for Config {
    fn default() -> Self {
        Self {
            limits: None,
            root_limits: None,
            features: Features::ALL,
            tail_calls: false,
            #[cfg(feature = "translate")]
            core_features: CoreFeatures::default(),
            #[cfg(feature = "translate")]
            plan_limits: PlanLimits::default(),
            host_bytes: 64 << 20,
            guest_bytes: GUEST_BYTES,
            root_bytes: None,
            memory_bytes: None,
            table_elements: 10_000_000,
            stack_bytes_total: None,
            #[cfg(feature = "std")]
            memory_meter: Some(budget::resident),
            #[cfg(not(feature = "std"))]
            memory_meter: None,
            // With wasmi's own cache of two, a chain of three guests allocates a stack for each call.
            stack: Stack { min: 1_000, max: STACK_BYTES, depth: None, cached: 16 },
            eager: false,
            choose: Choose::Eager,
            strict: false,
            fuel: false,
            interruptible: false,
            slice_fuel: 100_000,
            trap_names: cfg!(feature = "std"),
        }
    }
}

impl Config {
    /// What [`Config::limits`] is by default.
    pub const DEFAULT_LIMITS: Limits = DEFAULT_LIMITS;

    /// The default.
    pub fn new() -> Self {
        Self::default()
    }

    /// How much of everything that the Component Model keeps: tasks, handles, and so on. Default:
    /// [`Limits::HEAP`], with a `depth` that the native stack of the thread limits first: with the feature
    /// `std`, a call between components is refused where less than 128 KiB of it is left, which host
    /// functions can rely on. Without, the `depth` is 40, which takes about 200 KiB of native stack in an
    /// optimised build: set fewer on a device.
    pub fn limits(&mut self, limits: Limits) -> &mut Self {
        self.limits = Some(limits);
        self
    }

    /// How much of it one root component may hold, which is each that is instantiated: its tasks, threads, subtasks and ends, sets,
    /// streams, error contexts, queued calls and lends, and the handles of all instances in it together. A root that takes more
    /// gets the error, and no other does. Default: half of the limits, rounded up. See
    /// [`Store::set_root_limits`](canon_async::Store::set_root_limits).
    pub fn root_limits(&mut self, limits: Limits) -> &mut Self {
        self.root_limits = Some(limits);
        self
    }

    /// Which of the Component Model's gated features components may use. Default: all that are implemented. 64-bit memories
    /// also need this crate's feature `memory64` (on by default): without it wasmi refuses the core modules that have one.
    pub fn features(&mut self, features: Features) -> &mut Self {
        self.features = features;
        self
    }

    /// Whether core modules may use tail calls. Default: no, and they are refused when a component is
    /// compiled.
    ///
    /// wasmi 2.0 corrupts its stack when a guest tail-calls a host function, so that a valid module can end
    /// the process. With this, every built-in is reached by a function of wasm, which is safe and takes about
    /// as long as a further call; most toolchains make no tail calls.
    pub fn tail_calls(&mut self, on: bool) -> &mut Self {
        self.tail_calls = on;
        self
    }

    /// What the core modules of components may use, beside [`Config::tail_calls`]. What wasmi hasn't, it
    /// refuses when a component is compiled.
    #[cfg(feature = "translate")]
    pub fn core_features(&mut self, features: CoreFeatures) -> &mut Self {
        self.core_features = features;
        self
    }

    /// How large the plan of a component may get.
    #[cfg(feature = "translate")]
    pub fn plan_limits(&mut self, limits: PlanLimits) -> &mut Self {
        self.plan_limits = limits;
        self
    }

    /// The most bytes of values on their way between a guest and the host. Default: 64 MiB.
    pub fn host_bytes(&mut self, bytes: u32) -> &mut Self {
        self.host_bytes = bytes;
        self
    }

    /// The most bytes that the guests of a store may cause to be allocated, all told: linear memories,
    /// tables, stacks of guests, values on their way to the host, and what the Component Model keeps.
    /// `memory.grow` above it returns -1, and a component whose memories begin above it is not instantiated;
    /// all else is a `limit reached` that names this option. Default: 2 GiB (256 MiB where addresses have 32
    /// bits).
    ///
    /// wasmi fills memories with zeros when they grow, so they are committed then, touched or not.
    pub fn guest_bytes(&mut self, bytes: usize) -> &mut Self {
        self.guest_bytes = bytes;
        self
    }

    /// The most bytes of memories, tables and stacks of one root component, within [`Config::guest_bytes`]: one that takes all
    /// that it can leaves its neighbours theirs. A store with a single guest may give it all. Default: half of
    /// `guest_bytes`.
    pub fn root_bytes(&mut self, bytes: usize) -> &mut Self {
        self.root_bytes = Some(bytes);
        self
    }

    /// The most bytes of all linear memories of a store together, within [`Config::guest_bytes`];
    /// `memory.grow` above it returns -1. Default: no limit but that.
    pub fn memory_bytes(&mut self, bytes: usize) -> &mut Self {
        self.memory_bytes = Some(bytes);
        self
    }

    /// The most bytes of all stacks of guests that run or are suspended, within [`Config::guest_bytes`]. Each counts as the most
    /// that it may get ([`Config::max_stack_bytes`]), since wasmi does not say how much of it is in use. Default: no limit but
    /// that.
    pub fn stack_bytes_total(&mut self, bytes: usize) -> &mut Self {
        self.stack_bytes_total = Some(bytes);
        self
    }

    /// How many bytes of memory the program has in use, for many guests that are suspended at once. If
    /// stacks, each counted at its most, are over what their root or the store may take, that part is held
    /// against what has come into use since the store was made, also by other parts of the program, other
    /// stores among them; a guest is let in if a whole stack would fit. Default: the process's resident
    /// memory, with the feature `std`; else none, and the count decides, as it does if the meter returns
    /// `None`.
    pub fn memory_meter(&mut self, meter: Option<MemoryMeter>) -> &mut Self {
        self.memory_meter = meter;
        self
    }

    /// The most elements of all tables of a store together; `table.grow` above it returns -1. Default: 10
    /// million.
    pub fn table_elements(&mut self, elements: usize) -> &mut Self {
        self.table_elements = elements;
        self
    }

    /// The bytes that a guest's stack starts with. Each suspended guest keeps at least as much: 0 costs an
    /// allocation or two for each call, and is for devices. Default: 1000. No more than the maximum counts.
    pub fn min_stack_bytes(&mut self, bytes: usize) -> &mut Self {
        self.stack.min = bytes;
        self
    }

    /// The most bytes of one guest's stack: its values, and three words for each call. A guest that recurses deeper traps. Default:
    /// 16 MiB (512 KiB where addresses have 32 bits).
    ///
    /// The engine doubles a stack that is full, so up to twice as much may be allocated, of which so much is ever touched.
    pub fn max_stack_bytes(&mut self, bytes: usize) -> &mut Self {
        self.stack.max = bytes;
        self
    }

    /// How deep functions of one guest stack may call each other. Default: as deep as a third of [`Config::max_stack_bytes`] has room
    /// for: 233,016 calls of the default.
    pub fn max_call_depth(&mut self, depth: usize) -> &mut Self {
        self.stack.depth = Some(depth);
        self
    }

    /// How many stacks that are not in use are kept for the next call. As many as guests call each other deep
    /// make calls free of allocation; 0 is for devices. Default: 16.
    pub fn max_cached_stacks(&mut self, stacks: usize) -> &mut Self {
        self.stack.cached = stacks;
        self
    }

    /// Whether core functions are compiled with their component, and not each when it is first called.
    /// Default: no.
    pub fn eager(&mut self, eager: bool) -> &mut Self {
        self.eager = eager;
        self
    }

    /// How the scheduler chooses where the spec leaves it free. Default: [`Choose::Eager`].
    pub fn choose(&mut self, choose: Choose) -> &mut Self {
        self.choose = choose;
        self
    }

    /// Whether components are held to what the spec's reference tests expect "for now", and Wasmtime does, beyond
    /// what the spec says: a synchronous function traps before it calls what *may* block, and a component
    /// may not call one around it or inside it. Default: no. See
    /// [`set_strict`](canon_async::Store::set_strict).
    pub fn strict(&mut self, strict: bool) -> &mut Self {
        self.strict = strict;
        self
    }

    /// Whether guests' instructions, and the work that they cause, are paid for with the fuel that
    /// [`Store::set_fuel`](crate::Store::set_fuel) gives: a
    /// guest that runs out of it traps. Costs some speed, and compiles components eagerly. Default: no.
    pub fn fuel(&mut self, fuel: bool) -> &mut Self {
        self.fuel = fuel;
        self
    }

    /// Whether guests can be ended by a [`Store::interrupt_handle`](crate::Store::interrupt_handle) or a
    /// deadline (`Store::set_deadline`). They then run on slices of fuel, between which these are looked at;
    /// that costs the speed that [`Config::fuel`] costs, whether or not that is set too, and compiles
    /// components eagerly. Default: no.
    pub fn interruptible(&mut self, interruptible: bool) -> &mut Self {
        self.interruptible = interruptible;
        self
    }

    /// How much fuel a slice has: about how many instructions run between two looks at the flag and the
    /// clock. Default: 100,000, which is below a millisecond on a PC; devices want less. A single
    /// `memory.copy`, `memory.fill` or `memory.grow` is not divided: it takes as long as it takes to write
    /// the largest memory.
    ///
    /// wasmi can't resume a `table.grow` by 8 elements or more that finds its slice at the end: such a guest
    /// traps, with this option's name. With larger slices that is rarer.
    pub fn slice_fuel(&mut self, fuel: u32) -> &mut Self {
        self.slice_fuel = fuel;
        self
    }

    /// Whether a [`Backtrace`](crate::Backtrace) says components' and functions' names. For that a store
    /// keeps each [`Component`](crate::Component) that was instantiated in it, with its plan, and 12 bytes
    /// for each function that components lift. Without, a backtrace has numbers. Default: yes with the
    /// feature `std`, else no.
    pub fn trap_names(&mut self, names: bool) -> &mut Self {
        self.trap_names = names;
        self
    }

    /// Bytes that one root may take.
    fn root(&self) -> usize {
        self.root_bytes.unwrap_or(self.guest_bytes.div_ceil(2)).min(self.guest_bytes)
    }

    /// Stacks, of which one takes an eighth of what its root may take at most: else a small budget would
    /// let no guest in.
    fn stack(&self) -> Stack {
        Stack { max: self.stack.max.min(self.root() / 8), ..self.stack }
    }

    fn wasmi(&self) -> wasmi::Config {
        let stack = self.stack();
        let mut config = wasmi::Config::default();
        // In this order wasmi finds no minimum above its maximum, which would be a panic.
        let max = stack.values();
        config.set_min_stack_height(0).set_max_stack_height(max).set_min_stack_height(stack.min.min(max));
        config.set_max_recursion_depth(stack.depth()).set_max_cached_stacks(stack.cached);
        let metered = self.fuel || self.interruptible;
        config.consume_fuel(metered);
        // What the translation lets pass and wasmi has switched off.
        config.wasm_custom_page_sizes(true).wasm_wide_arithmetic(true);
        config.wasm_tail_call(self.tail_calls);
        config.ignore_custom_sections(true);
        // Lazy compilation would be charged to whoever calls a function first.
        config.compilation_mode(if self.eager || metered {
            wasmi::CompilationMode::Eager
        } else {
            wasmi::CompilationMode::LazyTranslation
        });
        config
    }
}

/// A size for people.
struct Bytes(usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            let whole = self.0.wrapping_shr(shift);
            if whole > 0 && whole.wrapping_shl(shift) == self.0 {
                return write!(f, "{whole} {unit}");
            }
        }
        write!(f, "{} bytes", self.0)
    }
}

/// wasmi with a [`Config`]. A clone is the same engine; stores of one engine share its stacks.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    wasmi: wasmi::Engine,
    config: Config,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.0.config).finish()
    }
}

impl Engine {
    /// An engine.
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Inner { wasmi: wasmi::Engine::new(&config.wasmi()), config: config.clone() }))
    }

    pub(crate) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn wasmi(&self) -> &wasmi::Engine {
        &self.0.wasmi
    }

    pub(crate) fn limits(&self) -> Limits {
        self.set_limits().unwrap_or(DEFAULT_LIMITS)
    }

    /// The limits that were set.
    pub(crate) fn set_limits(&self) -> Option<Limits> {
        self.0.config.limits
    }

    /// What the configuration says of the component-model store itself.
    pub(crate) fn settle(&self, core: &mut canon_async::Store<canon_async::Heap>) {
        core.set_choose(self.0.config.choose);
        core.set_strict(self.0.config.strict);
        if let Some(limits) = self.0.config.root_limits {
            core.set_root_limits(limits);
        }
    }

    pub(crate) fn keeps_names(&self) -> bool {
        self.0.config.trap_names
    }

    pub(crate) fn max_stack_bytes(&self) -> usize {
        self.0.config.stack().max
    }

    pub(crate) fn host_bytes(&self) -> u32 {
        self.0.config.host_bytes
    }

    pub(crate) fn budget(&self) -> budget::Limits {
        let config = &self.0.config;
        budget::Limits {
            total: config.guest_bytes,
            root: config.root(),
            memory: config.memory_bytes.unwrap_or(usize::MAX),
            stacks: config.stack_bytes_total.unwrap_or(usize::MAX),
            stack: config.stack().max,
            cached: config.stack.cached,
            table_elements: config.table_elements,
            meter: config.memory_meter,
        }
    }

    /// A limit of this crate's in words: what it is, its value, and what raises it.
    pub(crate) fn limit_text(&self, resource: Resource) -> Option<String> {
        let budget = self.budget();
        let (total, root, stack) = (Bytes(budget.total), Bytes(budget.root), Bytes(budget.stack));
        Some(match resource {
            Resource::GuestStacks if self.0.config.stack_bytes_total.is_some() => {
                let stacks = Bytes(budget.stacks);
                format!(
                    "limit reached: stacks of guests, {stacks} of {stack} each (Config::stack_bytes_total, Config::max_stack_bytes)"
                )
            }
            Resource::GuestStacks => {
                format!(
                    "limit reached: stacks of guests, {stack} each at most, with all else {root} for a component and {total} for all (Config::max_stack_bytes, Config::root_bytes, Config::guest_bytes)"
                )
            }
            Resource::GuestBytes | Resource::HeapBytes => {
                format!(
                    "limit reached: memory that guests cause to be allocated, {root} for a component and {total} for all (Config::root_bytes, Config::guest_bytes)"
                )
            }
            Resource::LinearMemory => {
                format!("limit reached: linear memories, {} (Config::memory_bytes)", Bytes(budget.memory))
            }
            Resource::TableElements => {
                format!(
                    "limit reached: elements of tables, {} (Config::table_elements)",
                    budget.table_elements
                )
            }
            Resource::HostBytes => {
                let host = Bytes(self.host_bytes() as usize);
                format!("limit reached: bytes of host values, {host} (Config::host_bytes)")
            }
            #[cfg(feature = "std")]
            Resource::NativeStack => format!(
                "limit reached: calls between components, less than {} of native stack are left (run it on a thread with a larger stack)",
                Bytes(NATIVE_RESERVE)
            ),
            _ => return None,
        })
    }

    /// Whether guests pay with fuel, and how much a slice of it is, where they can be interrupted.
    pub(crate) fn metering(&self) -> (bool, Option<u64>) {
        let Config { fuel, interruptible, slice_fuel, .. } = self.0.config;
        (fuel, interruptible.then_some(u64::from(slice_fuel)))
    }

    /// Whether guests may use tail calls: no host function may be called by one.
    pub(crate) fn tail_calls(&self) -> bool {
        self.0.config.tail_calls
    }

    #[cfg(feature = "translate")]
    pub(crate) fn translate_options(&self) -> TranslateOptions {
        let Config { features, tail_calls, core_features, plan_limits, .. } = &self.0.config;
        TranslateOptions::default()
            .with_features(*features)
            .with_core(core_features.with_tail_calls(*tail_calls))
            .with_limits(*plan_limits)
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new(&Config::default())
    }
}
