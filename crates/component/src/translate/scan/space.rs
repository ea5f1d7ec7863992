//! Index spaces of costs.

use alloc::vec::Vec;

use wasmparser::{ComponentExternName, ComponentExternalKind};

use super::Scan;

/// What an index stands for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The size of its type, expanded; of a core module, its imports and exports.
    pub size: u32,
    /// Its signature, if it is an instance, a component, the type of one, or a core module; else
    /// [`Entry::NONE`].
    sig: u32,
}

impl Entry {
    const NONE: u32 = u32::MAX;
    /// What nothing is known of.
    pub const UNKNOWN: Self = Self { size: 1, sig: Self::NONE };

    pub fn new(size: u64) -> Self {
        Self { size: saturated(size), sig: Self::NONE }
    }
}

/// What instances of a component, or of a type, have and cost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sig {
    /// Its exports are these of [`Scan::exports`].
    start: usize,
    end: usize,
    /// The size of its exports alone.
    pub exports_size: u32,
    /// Its exports, and those of the instances among them, with their names.
    pub copies: u32,
    /// How deep the types of components nest among its imports and exports.
    pub depth: u32,
    /// One instance.
    pub cost: Cost,
}

/// What the translation makes of one instance of a component, at least.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cost {
    pub instances: u32,
    pub steps: u32,
    pub items: u32,
    /// Of core instances: functions, globals and so on.
    pub core_items: u32,
}

impl Cost {
    pub fn add(&mut self, other: Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.steps = self.steps.saturating_add(other.steps);
        self.items = self.items.saturating_add(other.items);
        self.core_items = self.core_items.saturating_add(other.core_items);
    }
}

/// The index spaces of a component or a type.
#[derive(Default)]
pub(super) struct Space<'a> {
    pub types: Vec<Entry>,
    pub core_types: Vec<Entry>,
    pub core_modules: Vec<Entry>,
    pub components: Vec<Entry>,
    pub instances: Vec<Entry>,
    pub funcs: Vec<Entry>,
    pub values: Vec<Entry>,
    pub exports: Vec<(&'a str, Entry)>,
    /// The size of its imports.
    pub imports_size: u64,
    pub exports_size: u64,
    pub copies: u64,
    pub depth: u32,
    pub cost: Cost,
}

impl Space<'_> {
    pub fn of_kind(&mut self, kind: ComponentExternalKind) -> &mut Vec<Entry> {
        match kind {
            ComponentExternalKind::Module => &mut self.core_modules,
            ComponentExternalKind::Func => &mut self.funcs,
            ComponentExternalKind::Value => &mut self.values,
            ComponentExternalKind::Type => &mut self.types,
            ComponentExternalKind::Instance => &mut self.instances,
            ComponentExternalKind::Component => &mut self.components,
        }
    }

    /// What an index of a kind stands for.
    pub fn entry(&mut self, kind: ComponentExternalKind, index: u32) -> Entry {
        get(self.of_kind(kind), index)
    }
}

impl<'a> Scan<'a> {
    /// The signature of a component or a type that is complete.
    pub(super) fn finish(&mut self, space: Space<'a>) -> Entry {
        let mut exports = space.exports;
        exports.sort_unstable_by_key(|(name, _)| *name);
        let start = self.exports.len();
        self.exports.append(&mut exports);
        let sig = Sig {
            start,
            end: self.exports.len(),
            exports_size: saturated(space.exports_size.saturating_add(1)),
            copies: saturated(space.copies),
            depth: space.depth,
            cost: space.cost,
        };
        let size = space.imports_size.saturating_add(space.exports_size).saturating_add(1);
        let index = u32::try_from(self.sigs.len()).unwrap_or(Entry::NONE);
        self.sigs.push(sig);
        Entry { size: saturated(size), sig: index }
    }

    /// A core module that is complete: its imports and exports, and what one instance of it has.
    pub(super) fn finish_module(&mut self, items: u64, core_items: u64) -> Entry {
        let cost = Cost { steps: 1, core_items: saturated(core_items), ..Cost::default() };
        let index = u32::try_from(self.sigs.len()).unwrap_or(Entry::NONE);
        self.sigs.push(Sig { cost, ..Sig::default() });
        Entry { size: saturated(items.saturating_add(1)), sig: index }
    }

    pub(super) fn sig(&self, entry: Entry) -> Option<&Sig> {
        self.sigs.get(entry.sig as usize)
    }

    /// An instance of a component or a type.
    pub(super) fn instance_of(&self, entry: Entry) -> Entry {
        let size = self.sig(entry).map_or(entry.size, |sig| sig.exports_size);
        Entry { size, sig: entry.sig }
    }

    /// An export of an instance.
    pub(super) fn export_of(&self, instance: Entry, name: &str) -> Entry {
        let exports = self.sig(instance).and_then(|sig| self.exports.get(sig.start..sig.end));
        let Some(exports) = exports else { return Entry::UNKNOWN };
        let found = exports.binary_search_by_key(&name, |(name, _)| *name);
        found.ok().and_then(|at| exports.get(at)).map_or(Entry::UNKNOWN, |(_, entry)| *entry)
    }

    /// What a copy of it copies: one, and what it exports.
    pub(super) fn copies(&self, entry: Entry) -> u64 {
        self.sig(entry).map_or(0, |sig| u64::from(sig.copies)).saturating_add(1)
    }

    /// How deep components nest in its type, itself included.
    pub(super) fn depth(&self, kind: ComponentExternalKind, entry: Entry) -> u32 {
        let inside = self.sig(entry).map_or(0, |sig| sig.depth);
        match kind {
            ComponentExternalKind::Component => inside.saturating_add(1),
            _ => inside,
        }
    }
}

/// What an index stands for.
pub(super) fn get(space: &[Entry], index: u32) -> Entry {
    space.get(index as usize).copied().unwrap_or(Entry::UNKNOWN)
}

/// What a name counts for: one, and one for each 32 bytes.
pub(super) fn name(name: &str) -> u64 {
    u64::try_from(name.len() / 32).unwrap_or(u64::MAX).saturating_add(1)
}

/// What a name counts for, with what is said about it besides.
pub(super) fn extern_name(full: &ComponentExternName<'_>) -> u64 {
    let ComponentExternName { name: plain, implements, version_suffix, external_id } = full;
    let besides = [implements, version_suffix, external_id];
    besides.into_iter().flatten().fold(name(plain), |sum, text| sum.saturating_add(name(text)))
}

fn saturated(size: u64) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
