//! Many streams, found by their names: a log may have a hundred thousand.

use std::collections::HashMap;
use std::ops::Deref;

use highwater::StreamName;

use crate::definition::StreamDefinition;

/// Streams as they are defined, in the order in which they came. No two have the same name.
#[derive(Debug, Clone, Default)]
pub struct Definitions {
    list: Vec<StreamDefinition>,
    places: HashMap<StreamName, usize>,
}

impl Definitions {
    /// The stream of this name.
    pub fn get(&self, name: &StreamName) -> Option<&StreamDefinition> {
        self.list.get(*self.places.get(name)?)
    }

    /// The same, to be changed; but for its name.
    pub fn get_mut(&mut self, name: &StreamName) -> Option<&mut StreamDefinition> {
        self.list.get_mut(*self.places.get(name)?)
    }

    /// The same; one that is not there is added, without a key and a schema.
    pub fn get_or_add(&mut self, name: &StreamName) -> &mut StreamDefinition {
        let place = *self.places.entry(name.clone()).or_insert(self.list.len());
        if place == self.list.len() {
            self.list.push(StreamDefinition::new(name.clone()));
        }
        &mut self.list[place]
    }

    /// Adds a stream, or takes the place of the one of its name.
    pub fn put(&mut self, definition: StreamDefinition) {
        let name = definition.name.clone();
        *self.get_or_add(&name) = definition;
    }
}

impl Deref for Definitions {
    type Target = [StreamDefinition];

    fn deref(&self) -> &[StreamDefinition] {
        &self.list
    }
}

impl PartialEq for Definitions {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl Eq for Definitions {}

impl FromIterator<StreamDefinition> for Definitions {
    fn from_iter<I: IntoIterator<Item = StreamDefinition>>(streams: I) -> Self {
        let mut definitions = Definitions::default();
        streams.into_iter().for_each(|definition| definitions.put(definition));
        definitions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_name_and_stay_in_their_order() {
        let name = |name: &str| StreamName { namespace: None, name: name.to_owned() };
        let mut streams: Definitions =
            ["b", "a"].map(|text| StreamDefinition::new(name(text))).into_iter().collect();
        streams.get_or_add(&name("b")).generation.number = 3;
        streams.get_or_add(&name("c")).generation.number = 4;
        streams.put(StreamDefinition { schema: Some("{}".to_owned()), ..StreamDefinition::new(name("a")) });
        let listed: Vec<_> =
            streams.iter().map(|known| (&*known.name.name, known.generation.number)).collect();
        assert_eq!(listed, [("b", 3), ("a", 0), ("c", 4)]);
        assert_eq!(streams.get(&name("a")).unwrap().schema.as_deref(), Some("{}"));
        assert!(streams.get(&name("d")).is_none());
    }
}
