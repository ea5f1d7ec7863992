//! Intrusive lists: their links lie in the elements of a slab, so they need no room of their own and cannot
//! run out of it. Every operation is O(1).

use super::{Key, Slab, Slot, Slots};
use core::marker::PhantomData;

/// The mark of a head: it has no element before it, and is on a list all the same.
const HEAD: u32 = u32::MAX;

/// An element's place in a list. Links hold index + 1, so zeros mean "on no list".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Link {
    previous: u32,
    next: u32,
}

impl Link {
    /// On no list.
    pub const NONE: Self = Self { previous: 0, next: 0 };

    /// Whether the element is on a list.
    pub const fn is_linked(&self) -> bool {
        self.previous != 0
    }
}

/// An element with a link; `L` tells an element's several links apart.
pub trait Node<const L: usize> {
    /// The link.
    fn link(&self) -> &Link;
    /// The link, to change.
    fn link_mut(&mut self) -> &mut Link;
}

/// A list through the links `L` of the elements called by `K`.
#[derive(Debug, PartialEq, Eq)]
pub struct List<K, const L: usize> {
    head: u32,
    tail: u32,
    marker: PhantomData<K>,
}

impl<K: Key, const L: usize> List<K, L> {
    /// An empty list.
    pub const EMPTY: Self = Self { head: 0, tail: 0, marker: PhantomData };

    /// Whether the list is empty.
    pub const fn is_empty(&self) -> bool {
        self.head == 0
    }

    /// The first element.
    pub fn front<T: Node<L>, S: Slots<Slot<T>>>(&self, slab: &Slab<K, T, S>) -> Option<K> {
        slab.key_at(self.head.checked_sub(1)?)
    }

    /// The element after this one, which must be on this list.
    pub fn after<T: Node<L>, S: Slots<Slot<T>>>(&self, slab: &Slab<K, T, S>, key: K) -> Option<K> {
        slab.key_at(slab.get(key)?.link().next.checked_sub(1)?)
    }

    /// Adds an element that is on no list at the end. One that is on a list stays where it is.
    pub fn push_back<T: Node<L>, S: Slots<Slot<T>>>(&mut self, slab: &mut Slab<K, T, S>, key: K) {
        let tail = self.tail;
        let Some(link) = unlinked(slab, key) else { return };
        *link = Link { previous: if tail == 0 { HEAD } else { tail }, next: 0 };
        let own = key.index().wrapping_add(1);
        match at(slab, tail) {
            Some(last) => last.next = own,
            None => self.head = own,
        }
        self.tail = own;
    }

    /// Adds an element that is on no list at the front. One that is on a list stays where it is.
    pub fn push_front<T: Node<L>, S: Slots<Slot<T>>>(&mut self, slab: &mut Slab<K, T, S>, key: K) {
        let head = self.head;
        let Some(link) = unlinked(slab, key) else { return };
        *link = Link { previous: HEAD, next: head };
        let own = key.index().wrapping_add(1);
        match at(slab, head) {
            Some(first) => first.previous = own,
            None => self.tail = own,
        }
        self.head = own;
    }

    /// Takes the first element off.
    pub fn pop_front<T: Node<L>, S: Slots<Slot<T>>>(&mut self, slab: &mut Slab<K, T, S>) -> Option<K> {
        let key = self.front(slab)?;
        self.remove(slab, key);
        Some(key)
    }

    /// Takes an element off, which must be on this list; one that is on no list stays so.
    pub fn remove<T: Node<L>, S: Slots<Slot<T>>>(&mut self, slab: &mut Slab<K, T, S>, key: K) {
        let Some(element) = slab.get_mut(key) else { return };
        let link = *element.link();
        if !link.is_linked() {
            return;
        }
        *element.link_mut() = Link::NONE;
        if link.previous == HEAD {
            self.head = link.next;
        } else if let Some(previous) = at(slab, link.previous) {
            previous.next = link.next;
        }
        match at(slab, link.next) {
            Some(next) => next.previous = link.previous,
            None => self.tail = if link.previous == HEAD { 0 } else { link.previous },
        }
    }
}

fn unlinked<K: Key, T: Node<L>, S: Slots<Slot<T>>, const L: usize>(
    slab: &mut Slab<K, T, S>,
    key: K,
) -> Option<&mut Link> {
    let link = slab.get_mut(key)?.link_mut();
    (!link.is_linked()).then_some(link)
}

/// The link of the element with this index + 1.
fn at<K: Key, T: Node<L>, S: Slots<Slot<T>>, const L: usize>(
    slab: &mut Slab<K, T, S>,
    position: u32,
) -> Option<&mut Link> {
    let key = slab.key_at(position.checked_sub(1)?)?;
    Some(slab.get_mut(key)?.link_mut())
}
