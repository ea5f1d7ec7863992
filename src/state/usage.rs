//! What a root component holds of a store, and the most that it may: a quota, so that one root can't take all
//! of it.

use crate::error::{LimitReached, Resource};

/// An amount of one kind. Without a heap no table has more than 4095 elements, and all handles of a root are
/// counted up to 65535.
#[cfg(feature = "alloc")]
type Amount = u32;
#[cfg(not(feature = "alloc"))]
type Amount = u16;

/// The kinds that are counted: the first of [`Resource`].
const KINDS: usize = Resource::Lends as usize + 1;

/// An amount of each kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Quota([Amount; KINDS]);

impl Quota {
    /// Nothing of any kind.
    pub(crate) const NONE: Self = Self([0; KINDS]);

    /// The kinds that there are quotas of.
    pub(crate) const RESOURCES: [Resource; KINDS] = [
        Resource::Tasks,
        Resource::Threads,
        Resource::Waitables,
        Resource::WaitableSets,
        Resource::Streams,
        Resource::ErrorContexts,
        Resource::Handles,
        Resource::QueuedCalls,
        Resource::Lends,
    ];

    /// So many of each kind, in the order of [`Quota::RESOURCES`]. What is more than can be counted is as
    /// much as can be.
    pub(crate) fn new(of: impl IntoIterator<Item = u32>) -> Self {
        let mut quota = Self::NONE;
        quota.0.iter_mut().zip(of).for_each(|(to, from)| *to = Amount::try_from(from).unwrap_or(Amount::MAX));
        quota
    }

    /// The amount of a kind; 0 of one that has no quota.
    #[allow(clippy::useless_conversion, reason = "without a heap an amount is a u16")]
    pub(crate) fn get(&self, what: Resource) -> u32 {
        self.0.get(what as usize).map_or(0, |amount| (*amount).into())
    }

    fn get_mut(&mut self, what: Resource) -> Option<&mut Amount> {
        self.0.get_mut(what as usize)
    }
}

/// What a root holds of each kind, and the most of each.
#[derive(Debug)]
pub(crate) struct Usage {
    used: Quota,
    most: Quota,
    /// The most is this root's own, and not that of all roots.
    own: bool,
}

impl Usage {
    /// Nothing is held, and nothing may be.
    pub(crate) const EMPTY: Self = Self { used: Quota::NONE, most: Quota::NONE, own: false };

    /// Fails where `count` more of a kind are more than the quota.
    pub(crate) fn check(&self, what: Resource, count: u32) -> Result<(), LimitReached> {
        let most = self.most.get(what);
        if self.used.get(what).saturating_add(count) > most {
            return Err(LimitReached::of_root(what, most as usize));
        }
        Ok(())
    }

    /// `count` more are held, which [`Usage::check`] allowed.
    pub(crate) fn charge(&mut self, what: Resource, count: u32) {
        if let Some(used) = self.used.get_mut(what) {
            *used = used.saturating_add(count as Amount);
        }
    }

    /// One less is held.
    pub(crate) fn refund(&mut self, what: Resource) {
        if let Some(used) = self.used.get_mut(what) {
            *used = used.saturating_sub(1);
        }
    }

    /// Sets the quota that this root has of its own.
    pub(crate) fn set_own(&mut self, most: Quota) {
        (self.most, self.own) = (most, true);
    }

    /// Sets the quota of all roots; one that has its own keeps it.
    pub(crate) fn set_common(&mut self, most: Quota) {
        if !self.own {
            self.most = most;
        }
    }

    /// How many of a kind are held, and the most that may be.
    pub(crate) fn of(&self, what: Resource) -> (u32, u32) {
        (self.used.get(what), self.most.get(what))
    }
}
