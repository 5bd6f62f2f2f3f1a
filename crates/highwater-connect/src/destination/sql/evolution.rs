//! How a table follows its stream's schema. Planning is here, and pure; a session carries it out.

use super::json_schema::Declared;
use super::kind::Kind;
use super::names::{NameRules, Taken};
use super::table::Column;

/// So many columns of the stream's a table has at most; members beyond them are kept together in `_highwater_extra`. Both
/// databases take more, but not with a row in each of them filled.
pub(crate) const COLUMNS_MAX: usize = 800;

/// One change to a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    Add(Column),
    /// The column at this index gets a wider kind.
    Widen {
        index: usize,
        to: Kind,
    },
}

/// What makes a table with these columns take what the schema declares. A column that is wide enough already stays, and so does one
/// that the schema no longer has. The error names the column whose values could not be kept.
pub(crate) fn plan(
    columns: &[Column],
    declared: &[Declared],
    rules: &NameRules,
) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    let mut new = Vec::new();
    for declared in declared {
        match columns.iter().position(|column| column.source == declared.name) {
            Some(index) => steps.extend(widen(&columns[index], index, declared.kind)?),
            None => new.push(declared),
        }
    }
    new.truncate(COLUMNS_MAX.saturating_sub(columns.len()));
    steps.extend(add(columns, &new, rules));
    Ok(steps)
}

fn widen(column: &Column, index: usize, kind: Kind) -> Result<Option<Step>, String> {
    if column.kind.covers(kind) {
        return Ok(None);
    }
    if kind.covers(column.kind) {
        return Ok(Some(Step::Widen { index, to: kind }));
    }
    Err(format!("column {:?} holds {} and the stream's schema now says {kind}", column.name, column.kind))
}

/// Names are given in the order of the sources' names, so that they do not depend on the order in a schema.
fn add(columns: &[Column], new: &[&Declared], rules: &NameRules) -> Vec<Step> {
    let mut taken: Taken = columns.iter().map(|column| column.name.as_str()).collect();
    let mut sorted = new.to_vec();
    sorted.sort_by(|a, b| a.name.cmp(&b.name));
    let mut named: Vec<Column> = sorted
        .into_iter()
        .map(|declared| Column {
            name: rules.choose(&declared.name, &declared.name, &mut taken),
            source: declared.name.clone(),
            kind: declared.kind,
        })
        .collect();
    named.sort_by_key(|column| new.iter().position(|declared| declared.name == column.source));
    named.into_iter().map(Step::Add).collect()
}

/// The columns after this step.
pub(crate) fn apply(columns: &mut Vec<Column>, step: &Step) {
    match step {
        Step::Add(column) => columns.push(column.clone()),
        Step::Widen { index, to } => {
            if let Some(column) = columns.get_mut(*index) {
                column.kind = *to;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: NameRules = NameRules { bytes_max: 20, reserved: &[], prefixes: &[] };

    fn declared(name: &str, kind: Kind) -> Declared {
        Declared { name: name.to_owned(), kind }
    }

    fn evolve(columns: &mut Vec<Column>, schema: &[Declared]) -> Result<usize, String> {
        let steps = plan(columns, schema, &RULES)?;
        steps.iter().for_each(|step| apply(columns, step));
        Ok(steps.len())
    }

    #[test]
    fn columns_are_added_widened_left_alone_or_refused_by_name() {
        let mut columns = Vec::new();
        let first = [declared("id", Kind::Integer), declared("ID", Kind::Text), declared("day", Kind::Date)];
        assert_eq!(evolve(&mut columns, &first), Ok(3));
        assert_eq!((columns[0].source.as_str(), columns[1].name.as_str()), ("id", "ID"));
        assert!(columns[0].name.starts_with("id_"));
        assert_eq!(evolve(&mut columns, &first), Ok(0));
        assert_eq!(
            evolve(&mut columns, &[declared("id", Kind::Decimal), declared("new", Kind::Json)]),
            Ok(2)
        );
        assert_eq!(evolve(&mut columns, &[declared("id", Kind::Integer)]), Ok(0));
        assert_eq!(columns[0].kind, Kind::Decimal);
        let refused = evolve(&mut columns, &[declared("ID", Kind::Integer)]).unwrap_err();
        assert!(refused.contains("\"ID\" holds text") && refused.contains("integer"), "{refused}");
    }

    #[test]
    fn a_table_has_only_so_many_columns() {
        let many: Vec<Declared> = (0..2000).map(|i| declared(&format!("c{i}"), Kind::Text)).collect();
        let mut columns = Vec::new();
        assert_eq!(evolve(&mut columns, &many), Ok(COLUMNS_MAX));
        assert_eq!(evolve(&mut columns, &many), Ok(0));
    }

    fn schema() -> impl Strategy<Value = Vec<Declared>> {
        let kinds = prop::sample::select(&Kind::ALL[..]);
        prop::collection::btree_map("[aAbB]{1,2}", kinds, 0..8)
            .prop_map(|map| map.into_iter().map(|(name, kind)| Declared { name, kind }).collect())
    }

    proptest! {
        /// Whatever schemas come: no column goes, is renamed or narrowed, no two names meet, and a schema that was taken is
        /// covered.
        #[test]
        fn evolution_is_monotone(schemas in prop::collection::vec(schema(), 1..6)) {
            let mut columns: Vec<Column> = Vec::new();
            for schema in schemas {
                let before = columns.clone();
                let is_taken = evolve(&mut columns, &schema).is_ok();
                for (old, new) in before.iter().zip(&columns) {
                    prop_assert_eq!((&old.source, &old.name), (&new.source, &new.name));
                    prop_assert!(new.kind.covers(old.kind));
                }
                prop_assert!(columns.len() >= before.len());
                let names: Vec<String> = columns.iter().map(|column| column.name.to_lowercase()).collect();
                let distinct: std::collections::BTreeSet<&String> = names.iter().collect();
                prop_assert_eq!(distinct.len(), names.len());
                let is_covered = |declared: &Declared| {
                    columns.iter().any(|c| c.source == declared.name && c.kind.covers(declared.kind))
                };
                prop_assert!(!is_taken || schema.iter().all(is_covered));
                prop_assert!(is_taken || columns == before);
            }
        }

        #[test]
        fn names_do_not_depend_on_the_order_in_a_schema(schema in schema(), seed: u64) {
            let mut shuffled = schema.clone();
            shuffled.sort_by_key(|declared| crate::destination::sql::names::hash(&declared.name, seed));
            let (mut one, mut two) = (Vec::new(), Vec::new());
            evolve(&mut one, &schema).unwrap();
            evolve(&mut two, &shuffled).unwrap();
            two.sort_by_key(|column| one.iter().position(|other| other.source == column.source));
            prop_assert_eq!(one, two);
        }
    }
}
