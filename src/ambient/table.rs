//! What the tables of the host are made of: things by id, and pairs of keys and values by owner.

use super::profile::Room;
use crate::error::{Error, Resource};
use crate::id::PairId;
use crate::storage::{Key, Link, List, Node, Slab, Slot};

/// Things that are called by generational ids: a slab with a limit that is said each time, of the [`Limits`](super::Limits) that hold.
/// Every operation is O(1).
#[derive(Debug)]
pub(crate) struct Pool<K, T, const N: usize> {
    slab: Slab<K, T, Room<Slot<T>, N>>,
}

impl<K: Key, T, const N: usize> Pool<K, T, N> {
    /// Nothing.
    pub(crate) const fn new() -> Self {
        Self { slab: Slab::new() }
    }

    /// Forgets the things: none of their ids is ever one of a thing that comes.
    pub(crate) fn reset(&mut self) {
        self.slab.reset();
    }

    /// Adds a thing, where there are fewer than `limit`.
    pub(crate) fn insert(&mut self, value: T, limit: u32, what: Resource) -> Result<K, Error> {
        if !self.has_room(1, limit) {
            return Err(Error::limit_reached(what, limit as usize));
        }
        self.slab.insert(value).ok_or(Error::capacity(what))
    }

    /// Whether so many more fit.
    pub(crate) fn has_room(&self, more: usize, limit: u32) -> bool {
        self.slab.len().saturating_add(more) <= limit as usize && self.slab.has_room(more)
    }

    pub(crate) fn get(&self, id: K) -> Option<&T> {
        self.slab.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: K) -> Option<&mut T> {
        self.slab.get_mut(id)
    }

    pub(crate) fn remove(&mut self, id: K) -> Option<T> {
        self.slab.remove(id)
    }

    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The id of what is at an index now.
    pub(crate) fn key_at(&self, index: u32) -> Option<K> {
        self.slab.key_at(index)
    }

    /// The slab, to look at the lists that run through it.
    pub(crate) fn slab(&self) -> &Slab<K, T, Room<Slot<T>, N>> {
        &self.slab
    }

    /// The slab, for the lists that run through it.
    pub(crate) fn slab_mut(&mut self) -> &mut Slab<K, T, Room<Slot<T>, N>> {
        &mut self.slab
    }
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Pair<K, V> {
    key: K,
    value: V,
    link: Link,
}

impl<K, V> Node<0> for Pair<K, V> {
    fn link(&self) -> &Link {
        &self.link
    }

    fn link_mut(&mut self) -> &mut Link {
        &mut self.link
    }
}

/// The pairs of one owner, in the order in which their keys were first set.
pub(crate) type PairList = List<PairId, 0>;

/// The pairs of all owners of a kind, in one pool. What may be too many says the most of all owners, and what it is then called. To find a key takes as long as its owner has pairs.
#[derive(Debug)]
pub(crate) struct Pairs<K, V, const N: usize> {
    pool: Pool<PairId, Pair<K, V>, N>,
}

impl<K: Clone, V: Clone, const N: usize> Pairs<K, V, N> {
    /// No pairs.
    pub(crate) const fn new() -> Self {
        Self { pool: Pool::new() }
    }

    /// Forgets them all.
    pub(crate) fn reset(&mut self) {
        self.pool.reset();
    }

    /// How many pairs there are, of all owners.
    pub(crate) fn len(&self) -> usize {
        self.pool.len()
    }

    /// Whether so many more fit, of all owners.
    pub(crate) fn has_room(&self, more: usize, limit: u32) -> bool {
        self.pool.has_room(more, limit)
    }

    /// How many pairs an owner has. O(pairs of the owner).
    pub(crate) fn count(&self, list: &PairList) -> usize {
        self.iter(list).fold(0, |count, _| count.saturating_add(1))
    }

    /// An owner's pairs.
    pub(crate) fn iter(&self, list: &PairList) -> impl Iterator<Item = (&K, &V)> {
        let mut next = list.front(&self.pool.slab);
        core::iter::from_fn(move || {
            let id = next?;
            next = list.after(&self.pool.slab, id);
            self.pool.get(id).map(|pair| (&pair.key, &pair.value))
        })
    }

    /// An owner's value of a key.
    pub(crate) fn get<Q: ?Sized>(&self, list: &PairList, key: &Q) -> Option<&V>
    where
        K: PartialEq<Q>,
    {
        self.pool.get(self.find(list, key)?).map(|pair| &pair.value)
    }

    /// An owner's value of a key, to change.
    pub(crate) fn get_mut<Q: ?Sized>(&mut self, list: &PairList, key: &Q) -> Option<&mut V>
    where
        K: PartialEq<Q>,
    {
        let id = self.find(list, key)?;
        self.pool.get_mut(id).map(|pair| &mut pair.value)
    }

    /// Sets an owner's value of a key; the one that it had.
    pub(crate) fn set(
        &mut self,
        list: &mut PairList,
        key: K,
        value: V,
        (limit, what): (u32, Resource),
    ) -> Result<Option<V>, Error>
    where
        K: PartialEq,
    {
        if let Some(id) = self.find(list, &key) {
            return Ok(self.pool.get_mut(id).map(|pair| core::mem::replace(&mut pair.value, value)));
        }
        let id = self.pool.insert(Pair { key, value, link: Link::NONE }, limit, what)?;
        list.push_back(&mut self.pool.slab, id);
        Ok(None)
    }

    /// Sets an owner's value of a key, and puts the pair before all others; the value that it had.
    pub(crate) fn set_first(
        &mut self,
        list: &mut PairList,
        key: K,
        value: V,
        (limit, what): (u32, Resource),
    ) -> Result<Option<V>, Error>
    where
        K: PartialEq,
    {
        if let Some(id) = self.find(list, &key) {
            list.remove(&mut self.pool.slab, id);
            list.push_front(&mut self.pool.slab, id);
            return Ok(self.pool.get_mut(id).map(|pair| core::mem::replace(&mut pair.value, value)));
        }
        let id = self.pool.insert(Pair { key, value, link: Link::NONE }, limit, what)?;
        list.push_front(&mut self.pool.slab, id);
        Ok(None)
    }

    /// Removes an owner's pair.
    pub(crate) fn remove<Q: ?Sized>(&mut self, list: &mut PairList, key: &Q) -> Option<V>
    where
        K: PartialEq<Q>,
    {
        let id = self.find(list, key)?;
        list.remove(&mut self.pool.slab, id);
        self.pool.remove(id).map(|pair| pair.value)
    }

    /// Takes an owner's first pair out.
    pub(crate) fn pop(&mut self, list: &mut PairList) -> Option<(K, V)> {
        let id = list.pop_front(&mut self.pool.slab)?;
        self.pool.remove(id).map(|pair| (pair.key, pair.value))
    }

    /// A copy of an owner's pairs, for another owner.
    ///
    /// # Errors
    /// `Capacity`, and nothing is copied.
    pub(crate) fn copy(
        &mut self,
        list: &PairList,
        (limit, what): (u32, Resource),
    ) -> Result<PairList, Error> {
        if !self.pool.has_room(self.count(list), limit) {
            return Err(Error::limit_reached(what, limit as usize));
        }
        let mut copy = PairList::EMPTY;
        let mut next = list.front(&self.pool.slab);
        while let Some(id) = next {
            next = list.after(&self.pool.slab, id);
            let Some(pair) = self.pool.get(id) else { continue };
            let pair = Pair { key: pair.key.clone(), value: pair.value.clone(), link: Link::NONE };
            match self.pool.insert(pair, limit, what) {
                Ok(id) => copy.push_back(&mut self.pool.slab, id),
                // The allocator refused.
                Err(error) => {
                    while self.pop(&mut copy).is_some() {}
                    return Err(error);
                }
            }
        }
        Ok(copy)
    }

    fn find<Q: ?Sized>(&self, list: &PairList, key: &Q) -> Option<PairId>
    where
        K: PartialEq<Q>,
    {
        let mut next = list.front(&self.pool.slab);
        while let Some(id) = next {
            if self.pool.get(id)?.key == *key {
                return Some(id);
            }
            next = list.after(&self.pool.slab, id);
        }
        None
    }
}
