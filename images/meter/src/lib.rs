//! What an image costs: a heap that counts what is taken of it, and the stack's high-water mark.
//!
//! This is the one crate of the images with `unsafe` in it: [`GlobalAlloc`] is an unsafe trait, and nobody owns the stack.
#![no_std]
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;

use critical_section::Mutex;
use embedded_alloc::TlsfHeap;

/// A heap of `N` bytes. It needs no beginning.
pub struct Meter<const N: usize> {
    heap: TlsfHeap,
    arena: Arena<N>,
    state: Mutex<Cell<State>>,
}

#[repr(align(16))]
struct Arena<const N: usize>(UnsafeCell<MaybeUninit<[u8; N]>>);

// SAFETY: only the heap reads or writes it, in critical sections.
unsafe impl<const N: usize> Sync for Arena<N> {}

#[derive(Clone, Copy)]
struct State {
    ready: bool,
    /// The sizes of the linear memories. Zeros as all of it, so that the static takes no flash.
    memories: Option<&'static [usize]>,
    usage: Usage,
}

/// Bytes that were asked for; what the heap adds to each is not in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In use now, but for linear memories.
    pub used: usize,
    /// The most at once, but for linear memories.
    pub peak: usize,
    /// Linear memories now.
    pub linear: usize,
    /// The most linear memory at once.
    pub linear_peak: usize,
    /// Allocations since the last [`Meter::begin`].
    pub allocations: usize,
}

impl<const N: usize> Meter<N> {
    /// A heap that nobody has taken anything of.
    #[allow(clippy::new_without_default, reason = "a static, not a value")]
    pub const fn new() -> Self {
        let usage = Usage { used: 0, peak: 0, linear: 0, linear_peak: 0, allocations: 0 };
        Self {
            heap: TlsfHeap::empty(),
            arena: Arena(UnsafeCell::new(MaybeUninit::uninit())),
            state: Mutex::new(Cell::new(State { ready: false, memories: None, usage })),
        }
    }

    /// Counts from here on. Bytes that are taken at once in one of these numbers, at any address, are linear memories: nothing else is as large by chance,
    /// or the image's own check of their sum fails.
    pub fn begin(&self, memories: &'static [usize]) {
        self.change(|state| {
            state.memories = Some(memories);
            let Usage { used, linear, .. } = state.usage;
            state.usage = Usage { used, peak: used, linear, linear_peak: linear, allocations: 0 };
        });
    }

    /// What is in use, and what was.
    pub fn usage(&self) -> Usage {
        self.change(|state| state.usage)
    }

    /// Forgets the peak: that of the next phase is counted from what is in use.
    pub fn next(&self) -> Usage {
        self.change(|state| {
            let before = state.usage;
            state.usage.peak = before.used;
            state.usage.allocations = 0;
            before
        })
    }

    fn change<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        critical_section::with(|section| {
            let cell = self.state.borrow(section);
            let mut state = cell.get();
            let result = f(&mut state);
            cell.set(state);
            result
        })
    }

    fn taken(&self, layout: Layout) {
        self.change(|State { memories, usage, .. }| {
            usage.allocations += 1;
            if is_linear(*memories, layout) {
                usage.linear += layout.size();
                usage.linear_peak = usage.linear_peak.max(usage.linear);
            } else {
                usage.used += layout.size();
                usage.peak = usage.peak.max(usage.used);
            }
        });
    }

    fn given_back(&self, layout: Layout) {
        self.change(|State { memories, usage, .. }| {
            let of = if is_linear(*memories, layout) { &mut usage.linear } else { &mut usage.used };
            *of = of.saturating_sub(layout.size());
        });
    }
}

fn is_linear(memories: Option<&[usize]>, layout: Layout) -> bool {
    layout.align() == 1 && memories.is_some_and(|memories| memories.contains(&layout.size()))
}

// SAFETY: what is answered and given back is the heap's, whose contract is this one.
unsafe impl<const N: usize> GlobalAlloc for Meter<N> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.change(|state| !core::mem::replace(&mut state.ready, true)) {
            // SAFETY: once, before the first allocation; the arena is a static's, and nobody else has it.
            unsafe { self.heap.init(self.arena.0.get() as usize, N) };
        }
        // SAFETY: the caller's.
        let at = unsafe { self.heap.alloc(layout) };
        if !at.is_null() {
            self.taken(layout);
        }
        at
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        self.given_back(layout);
        // SAFETY: the caller's.
        unsafe { self.heap.dealloc(at, layout) }
    }

    // `realloc` and `alloc_zeroed` are the trait's own: they use these two, and while bytes move, both places are counted, as they are taken.
}

/// The most bytes of stack that were in use since the reset, and how many there are. `cortex-m-rt` painted it before `main`.
pub fn stack() -> (usize, usize) {
    const PAINT: u32 = 0xcccc_cccc;
    unsafe extern "C" {
        static _stack_start: u32;
        static _stack_end: u32;
    }
    let (top, bottom) = (&raw const _stack_start, &raw const _stack_end);
    let mut at = bottom;
    // SAFETY: between the linker script's two symbols is the stack, all of it memory; what is below the current frame nobody writes meanwhile but
    // interrupts, and a word that they write is one that was used.
    while at < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    (top as usize - at as usize, top as usize - bottom as usize)
}
