//! Which stream of the catalog a message means.

use serde_json::Value;

/// The names that a catalog has for its streams.
#[derive(Debug, Clone, Default)]
pub(super) struct CatalogNames(Vec<Named>);

#[derive(Debug, Clone)]
struct Named {
    name: String,
    id: String,
    /// Its place among those that are read.
    selected: Option<usize>,
}

/// What a message's name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meant {
    /// The stream of this place among those that are read.
    Stream(usize),
    /// One of the catalog's that is not read.
    NotRead,
    /// None.
    Unknown,
}

impl CatalogNames {
    /// The next stream of the catalog; `selected` is its place among those that are read.
    pub(super) fn push(&mut self, stream: &Value, name: &str, selected: Option<usize>) {
        let id = text(stream, "tap_stream_id").unwrap_or(name).to_owned();
        self.0.push(Named { name: name.to_owned(), id, selected });
    }

    /// A message names its stream as the catalog does, by `stream` or by `tap_stream_id`; or, as PipelineWise's taps of databases do, by
    /// the schema and the table (`public-orders`), with which the other (`db-public-orders`) ends.
    pub(super) fn find(&self, said: &str) -> Meant {
        let end = format!("-{said}");
        let by = |is: &dyn Fn(&Named) -> bool| {
            let mut found = self.0.iter().filter(|one| is(one));
            found.next().filter(|_| found.next().is_none())
        };
        let found = by(&|one| one.name == said);
        let found = found.or_else(|| by(&|one| one.id == said)).or_else(|| by(&|one| one.id.ends_with(&end)));
        match found {
            Some(one) => one.selected.map_or(Meant::NotRead, Meant::Stream),
            None => Meant::Unknown,
        }
    }

    /// Some of them, for a person.
    pub(super) fn some(&self) -> String {
        const SHOWN: usize = 10;
        let names: Vec<&str> = self.0.iter().take(SHOWN).map(|one| one.name.as_str()).collect();
        let more = if self.0.len() > SHOWN { ", …" } else { "" };
        format!("{}{more}", names.join(", "))
    }
}

/// What the streams are called here: as their messages mostly name them; where two would have one name, by what tells them apart.
pub(super) fn of_streams(streams: &[Value]) -> Vec<String> {
    let name = |stream| text(stream, "stream").or_else(|| text(stream, "tap_stream_id")).unwrap_or_default();
    let is_shared = |wanted: &str| streams.iter().filter(|stream| name(stream) == wanted).count() > 1;
    let unique = |stream| match name(stream) {
        shared if is_shared(shared) => text(stream, "tap_stream_id").unwrap_or(shared).to_owned(),
        name => name.to_owned(),
    };
    streams.iter().map(unique).collect()
}

fn text<'v>(stream: &'v Value, member: &str) -> Option<&'v str> {
    stream.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_is_found_by_whatever_a_tap_calls_it() {
        let streams = [
            json!({"tap_stream_id": "db-public-orders", "stream": "orders"}),
            json!({"tap_stream_id": "db-old-orders", "stream": "orders"}),
            json!({"tap_stream_id": "db-public-users", "stream": "users"}),
            json!({"tap_stream_id": "events"}),
        ];
        let called = of_streams(&streams);
        assert_eq!(called, ["db-public-orders", "db-old-orders", "users", "events"]);
        let mut names = CatalogNames::default();
        for (n, (stream, name)) in streams.iter().zip(&called).enumerate() {
            names.push(stream, name, (n != 3).then_some(n));
        }
        for (said, meant) in [
            ("public-orders", Meant::Stream(0)),
            ("db-old-orders", Meant::Stream(1)),
            ("public-users", Meant::Stream(2)),
            ("users", Meant::Stream(2)),
            ("events", Meant::NotRead),
            ("orders", Meant::Unknown), // either
            ("sers", Meant::Unknown),
        ] {
            assert_eq!(names.find(said), meant, "{said}");
        }
        assert_eq!(names.some(), "db-public-orders, db-old-orders, users, events");
    }
}
