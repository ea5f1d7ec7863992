//! Which directives share a store. What no later directive can reach need not be kept: its store ends with
//! the last that can, so that a file may have any number of components.

use std::collections::HashMap;

use super::script::{Form, Head};

/// For each directive: 0, or a store begins before it, which is to have so many components.
///
/// A store begins with a directive that makes an instance, if all instances before it are out of reach: by
/// name, as the last one, or as an import. Takes time linear in what the directives mention.
pub fn stores(forms: &[Form<'_>]) -> Vec<usize> {
    let mut reach = Reach { last_use: (0..forms.len()).collect(), ..Reach::default() };
    for (at, form) in forms.iter().enumerate() {
        reach.uses(at, form);
        reach.names(at, form);
    }
    let last_use = reach.finish();
    let mut stores = vec![0usize; forms.len()];
    let (mut store, mut reached) = (0, None);
    for (at, form) in forms.iter().enumerate() {
        if at == 0 || (form.makes && reached.is_none_or(|reached| reached < at)) {
            store = at;
            if let Some(count) = stores.get_mut(at) {
                *count = 1;
            }
        } else if form.makes
            && let Some(count) = stores.get_mut(store)
        {
            *count = count.saturating_add(1);
        }
        reached = reached.max(last_use.get(at).copied());
    }
    stores
}

/// What a component may import.
#[derive(Clone, Copy, Default)]
struct Imports<'f> {
    names: &'f [String],
    any: bool,
}

/// Instances are known by the directive that made them.
#[derive(Default)]
struct Reach<'f> {
    /// Of each instance.
    last_use: Vec<usize>,
    /// Instances by their own names.
    instances: HashMap<&'f str, usize>,
    last: Option<usize>,
    /// Instances by the names that imports have, and since when.
    links: HashMap<&'f str, (usize, usize)>,
    definitions: HashMap<&'f str, Imports<'f>>,
    last_definition: Imports<'f>,
    /// The last directive that may have imported anything.
    any: Option<usize>,
}

impl<'f> Reach<'f> {
    fn find(&self, name: Option<&str>) -> Option<usize> {
        name.map_or(self.last, |name| self.instances.get(name).copied())
    }

    fn used(&mut self, instance: Option<usize>, at: usize) {
        if let Some(last) = instance.and_then(|instance| self.last_use.get_mut(instance)) {
            *last = at.max(*last);
        }
    }

    fn uses(&mut self, at: usize, form: &'f Form<'_>) {
        for name in &form.invokes {
            self.used(self.find(name.as_deref()), at);
        }
        let own = Imports { names: &form.imports, any: form.imports_any };
        let imports = match &form.head {
            Head::Register { of, .. } => {
                self.used(self.find(of.as_deref()), at);
                return;
            }
            Head::Instance { of: Some(of), .. } => self.definitions.get(of.as_str()).copied().unwrap_or(own),
            Head::Instance { of: None, .. } => self.last_definition,
            Head::Definition(_) => return,
            Head::Component(_) | Head::Other => own,
        };
        for name in imports.names {
            self.used(self.links.get(name.as_str()).map(|(instance, _)| *instance), at);
        }
        if imports.any {
            self.any = Some(at);
        }
    }

    fn names(&mut self, at: usize, form: &'f Form<'_>) {
        match &form.head {
            Head::Definition(name) => {
                self.last_definition = Imports { names: &form.imports, any: form.imports_any };
                if let Some(name) = name {
                    self.definitions.insert(name, self.last_definition);
                }
            }
            Head::Component(name) | Head::Instance { name, .. } => {
                self.last = Some(at);
                if let Some(name) = name {
                    self.instances.insert(name, at);
                    self.link(name, at, at);
                }
            }
            Head::Register { name, of } => {
                if let Some(instance) = self.find(of.as_deref()) {
                    self.link(name, instance, at);
                }
            }
            Head::Other => {}
        }
    }

    fn link(&mut self, name: &'f str, instance: usize, at: usize) {
        if let Some((before, since)) = self.links.insert(name, (instance, at)) {
            self.used_by_any(before, since);
        }
    }

    /// What may have imported anything may have imported what was there since then.
    fn used_by_any(&mut self, instance: usize, since: usize) {
        if let Some(any) = self.any.filter(|any| *any > since) {
            self.used(Some(instance), any);
        }
    }

    fn finish(mut self) -> Vec<usize> {
        for (instance, since) in std::mem::take(&mut self.links).into_values() {
            self.used_by_any(instance, since);
        }
        self.last_use
    }
}

#[cfg(test)]
mod tests {
    use super::super::script::Script;
    use super::*;

    fn of(text: &str) -> Vec<usize> {
        let script = Script::new(text);
        assert!(script.error.is_none());
        stores(&script.forms)
    }

    #[test]
    fn store_ends_when_its_last_instance_is_replaced() {
        assert_eq!(of("(component) (invoke \"f\") (component) (invoke \"f\")"), [1, 0, 1, 0]);
        assert_eq!(of("(component $a) (component $a) (invoke $a \"f\")"), [1, 1, 0]);
        assert_eq!(
            of(
                "(component definition $D) (component instance $i $D) (invoke $i \"f\") (component instance $i $D)"
            ),
            [1, 1, 0, 1]
        );
    }

    #[test]
    fn store_lasts_as_long_as_an_instance_is_called_by_name() {
        assert_eq!(
            of("(component $a) (component) (component) (invoke $a \"f\") (component)"),
            [3, 0, 0, 0, 1]
        );
        assert_eq!(
            of("(component $a) (component) (assert_return (invoke $a \"f\")) (component)"),
            [2, 0, 0, 1]
        );
    }

    #[test]
    fn store_lasts_as_long_as_an_instance_is_imported() {
        assert_eq!(
            of("(component $a) (component) (component (import \"a\" (func))) (component)"),
            [3, 0, 0, 1]
        );
        assert_eq!(
            of("(component) (register \"r\") (component (import \"r\" (func))) (component)"),
            [2, 0, 0, 1]
        );
        // Definitions import when they are instantiated.
        let late = "(component $a) (component definition $D (import \"a\" (func))) (component) (component instance $D)";
        assert_eq!(of(late), [3, 0, 0, 0], "an instance named $D, of the last definition");
        let late = "(component $a) (component definition (import \"a\" (func))) (component) (component instance) (component)";
        assert_eq!(of(late), [3, 0, 0, 0, 1]);
        // Of a binary it is not known.
        assert_eq!(of("(component $a) (component) (component binary \"\") (component)"), [3, 0, 0, 1]);
        // Another version of the interface may be what is there.
        let versions = "(component) (register \"a:b/c@1.1.0\") (component (import \"a:b/c@1.0.0\" (instance))) (component)";
        assert_eq!(of(versions), [2, 0, 0, 1]);
    }
}
