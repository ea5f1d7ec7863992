//! Names, and which of them stand for the same interface.
//!
//! Spec: Explainer, "Canonical Interface Name": versions of one interface are compatible where their
//! canonical versions are equal, and then linking is left to the types.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use core::cmp::Ordering;

use crate::plan::Attributes;

/// Things by name. An interface is also found by a compatible version.
#[derive(Clone, Debug)]
pub(super) struct Names<T> {
    by_name: BTreeMap<String, T>,
    /// Of each canonical name, the name that is taken: the highest release; if there is none, the highest
    /// pre-release.
    canonical: BTreeMap<String, String>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { by_name: BTreeMap::new(), canonical: BTreeMap::new() }
    }
}

impl<T> Names<T> {
    /// Sets what is under a name.
    pub fn insert(&mut self, name: &str, value: T) {
        self.by_name.insert(name.to_string(), value);
        let Some((canonical, version)) = split(name) else { return };
        let known = self.canonical.get(canonical).and_then(|known| split(known));
        if known.is_none_or(|(_, known)| version.rank() >= known.rank()) {
            self.canonical.insert(canonical.to_string(), name.to_string());
        }
    }

    /// What is under this very name.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut T> {
        self.by_name.get_mut(name)
    }

    /// What an import of this name gets, with the name that it is under: its own name; else its name with a
    /// compatible version, the highest release, or the highest pre-release if no release is compatible; else,
    /// if it says which interface it implements, what that gets.
    pub fn find(&self, name: &str, attributes: &Attributes) -> Option<(&str, &T)> {
        let suffix = attributes.version_suffix.as_deref();
        match attributes.implements.as_deref() {
            Some(interface) => self.get(name).or_else(|| self.find_interface(interface, suffix)),
            None => self.find_interface(name, suffix),
        }
    }

    fn get(&self, name: &str) -> Option<(&str, &T)> {
        self.by_name.get_key_value(name).map(|(name, value)| (name.as_str(), value))
    }

    fn find_interface(&self, name: &str, suffix: Option<&str>) -> Option<(&str, &T)> {
        let full = || self.get(&format!("{name}{}", suffix?));
        let compatible = || self.get(self.canonical.get(split(name)?.0)?);
        self.get(name).or_else(full).or_else(compatible)
    }

    /// The same interface with another version, the highest: for messages.
    pub fn other_version(&self, name: &str) -> Option<&str> {
        let path = |name: &str| name.split_once('@').map(|(path, _)| path.to_string());
        let wanted = path(name)?;
        let others = self.by_name.keys().filter(|other| path(other).as_ref() == Some(&wanted));
        others.max_by(|a, b| split(a).map(|a| a.1).cmp(&split(b).map(|b| b.1))).map(String::as_str)
    }
}

/// A semantic version: its three numbers, and its pre-release identifiers.
#[derive(Debug, PartialEq, Eq)]
struct Version<'a> {
    numbers: [u64; 3],
    /// Empty for a release.
    pre: &'a str,
}

/// The canonical form of an interface name with a version, `a:b/c@1` of `a:b/c@1.2.3` and `a:b/c@0.2` of
/// `a:b/c@0.2.6`: versions with the same one are compatible. `None` if it has no version, or one that is
/// none. O(name).
///
/// ```
/// use canon_async_component::link::canonical_name;
///
/// assert_eq!(canonical_name("a:b/c@1.2.3"), canonical_name("a:b/c@1"));
/// assert_ne!(canonical_name("a:b/c@0.2.6"), canonical_name("a:b/c@0.3.0"));
/// ```
#[must_use]
pub fn canonical_name(name: &str) -> Option<&str> {
    split(name).map(|(canonical, _)| canonical)
}

/// Which of these names an import with another name gets: that of a compatible version, the highest release,
/// or the highest pre-release if no release is compatible; of equal ones the last. O(names).
///
/// ```
/// use canon_async_component::link::newest_compatible;
///
/// let names = ["a:b/c@1.2.0", "a:b/c@1.4.0", "a:b/c@1.5.0-rc.1", "a:b/c@2.0.0"];
/// assert_eq!(newest_compatible("a:b/c@1.3.0", names), Some(1));
/// assert_eq!(newest_compatible("a:b/c@3.0.0", names), None);
/// ```
pub fn newest_compatible<'n>(wanted: &str, names: impl IntoIterator<Item = &'n str>) -> Option<usize> {
    let (wanted, _) = split(wanted)?;
    let found = names.into_iter().enumerate().filter_map(|(at, name)| Some((at, split(name)?)));
    let fits = found.filter(|(_, (canonical, _))| *canonical == wanted);
    fits.max_by(|(_, (_, a)), (_, (_, b))| a.rank().cmp(&b.rank())).map(|(at, _)| at)
}

/// The canonical form of a name with a version, and the version; `None` where it has none, or one that is no
/// version.
fn split(name: &str) -> Option<(&str, Version<'_>)> {
    let (path, text) = name.split_once('@')?;
    let without_build = text.split('+').next().unwrap_or(text);
    let (core, pre) = without_build.split_once('-').unwrap_or((without_build, ""));
    let (mut numbers, mut canonical, mut end) = ([0; 3], None, 0usize);
    // A canonical version has only the parts up to the first that is not 0.
    for (at, part) in core.split('.').enumerate() {
        let number = numbers.get_mut(at)?;
        *number = part.parse().ok().filter(|_| part.bytes().all(|byte| byte.is_ascii_digit()))?;
        end = end.saturating_add(part.len()).saturating_add(usize::from(at > 0));
        if canonical.is_none() && (*number > 0 || at == 2) {
            canonical = Some(end);
        }
    }
    let end = path.len().saturating_add(1).saturating_add(canonical?);
    Some((name.get(..end)?, Version { numbers, pre }))
}

impl<'a> Version<'a> {
    /// A release comes above every pre-release: that is taken only if nothing else fits.
    fn rank(&self) -> (bool, &Version<'a>) {
        (self.pre.is_empty(), self)
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let pre = || match (self.pre, other.pre) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => a.split('.').map(Identifier::new).cmp(b.split('.').map(Identifier::new)),
        };
        self.numbers.cmp(&other.numbers).then_with(pre)
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A pre-release identifier: numbers come before texts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    Number(u64),
    Text(&'a str),
}

impl<'a> Identifier<'a> {
    fn new(text: &'a str) -> Self {
        text.parse().map_or(Self::Text(text), Self::Number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_the_spec_says() {
        for (name, canonical) in [
            ("a:b/c@1.2.3", Some("a:b/c@1")),
            ("a:b/c@0.2.6-rc.1", Some("a:b/c@0.2")),
            ("a:b/c@0.0.1-alpha", Some("a:b/c@0.0.1")),
            ("a:b/c@0.0.0", Some("a:b/c@0.0.0")),
            ("a:b/c@12", Some("a:b/c@12")),
            ("a:b/c@0.3", Some("a:b/c@0.3")),
            ("a:b:c/d/e@1.0.0+build.7", Some("a:b:c/d/e@1")),
            ("a:b/c", None),
            ("plain", None),
            ("a:b/c@", None),
            ("a:b/c@0", None),
            ("a:b/c@0.0", None),
            ("a:b/c@1.2.3.4", None),
            ("a:b/c@+1.2.3", None),
            ("a:b/c@99999999999999999999.0.0", None),
        ] {
            assert_eq!(split(name).map(|found| found.0), canonical, "{name}");
        }
    }

    #[test]
    fn versions_are_ordered_as_semver_says() {
        let order = [
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-beta.2",
            "1.0.0-beta.11",
            "1.0.0",
            "1.0.1",
        ];
        let names = order.map(|version| format!("a:b/c@{version}"));
        for (a, b) in names.iter().zip(&names[1..]) {
            assert!(split(a).unwrap().1 < split(b).unwrap().1, "{a} {b}");
        }
    }
}
