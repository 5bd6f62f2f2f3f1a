//! Streams found by name without an allocation.

use std::collections::HashMap;

use highwater::StreamName;

/// Numbers names, from 0, in the order in which they were added.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<StreamName>,
    /// By name, those without a namespace.
    plain: HashMap<String, usize>,
    /// By namespace, then by name.
    spaced: HashMap<String, HashMap<String, usize>>,
    /// Mostly the next record is of the same stream as the one before.
    last: usize,
}

impl Names {
    /// The name with this number.
    pub fn name(&self, index: usize) -> Option<&StreamName> {
        self.names.get(index)
    }

    /// The number of a name, if it was added. An empty namespace is another than none.
    pub fn find(&mut self, namespace: Option<&str>, name: &str) -> Option<usize> {
        let is_last = |known: &StreamName| known.name == name && known.namespace.as_deref() == namespace;
        if self.names.get(self.last).is_some_and(is_last) {
            return Some(self.last);
        }
        let found = match namespace {
            None => self.plain.get(name).copied(),
            Some(namespace) => self.spaced.get(namespace)?.get(name).copied(),
        }?;
        self.last = found;
        Some(found)
    }

    /// The number of a name, added if it is new: then it is the highest.
    pub fn find_or_add(&mut self, namespace: Option<&str>, name: &str) -> usize {
        if let Some(found) = self.find(namespace, name) {
            return found;
        }
        let index = self.names.len();
        self.names.push(StreamName { namespace: namespace.map(str::to_owned), name: name.to_owned() });
        let by_name = match namespace {
            None => &mut self.plain,
            Some(namespace) => self.spaced.entry(namespace.to_owned()).or_default(),
        };
        by_name.insert(name.to_owned(), index);
        self.last = index;
        index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_and_without_a_namespace_are_different_streams() {
        let mut names = Names::default();
        let numbers =
            [None, Some(""), Some("a"), None, Some("a"), Some("")].map(|space| names.find_or_add(space, "s"));
        assert_eq!(numbers, [0, 1, 2, 0, 2, 1]);
        assert_eq!(names.find(Some("b"), "s"), None);
    }
}
