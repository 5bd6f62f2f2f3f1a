//! Statements about whole tables, in the SQL that both databases understand.

use super::dialect::Dialect;
use super::names::quote;
use super::settings::Deletes;
use super::table::{Own, Shape, Table};

/// A list of columns.
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(quote).collect::<Vec<_>>().join(", ")
}

/// Which rows go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Going {
    All,
    /// Those of generations below the one that is the last parameter.
    Older,
}

/// Takes rows away as the deletes' treatment wants it; `None` if it wants nothing. The parameters are the time as text, if
/// [`needs_time`], and the generation, if `going` names one.
pub(crate) fn take_away(
    dialect: &Dialect,
    table: &Table<'_>,
    deletes: Deletes,
    going: Going,
) -> Option<String> {
    let name = dialect.table(table.name);
    let own = |own: Own| quote(own.name());
    let (deleted, to) = (own(Own::Deleted), own(Own::ValidTo));
    let generation = dialect.param(1 + usize::from(needs_time(table.shape)));
    let older = format!("{} < {generation}", own(Own::Generation));
    let condition = |open: Option<String>| {
        let both: Vec<String> = open.into_iter().chain((going == Going::Older).then_some(older)).collect();
        if both.is_empty() { String::new() } else { format!(" WHERE {}", both.join(" AND ")) }
    };
    match (table.shape, deletes) {
        (Shape::Log, _) | (_, Deletes::Ignore) => None,
        (Shape::Versions, _) => {
            let (time, open) = (dialect.moment_param(1), condition(Some(format!("{to} IS NULL"))));
            Some(format!("UPDATE {name} SET {to} = {time}, {deleted} = TRUE{open}"))
        }
        (_, Deletes::Hard) => Some(format!("DELETE FROM {name}{}", condition(None))),
        (_, Deletes::Soft) => {
            let open = condition(Some(format!("NOT {deleted}")));
            Some(format!("UPDATE {name} SET {deleted} = TRUE{open}"))
        }
    }
}

/// Whether [`take_away`] wants the time.
pub(crate) fn needs_time(shape: Shape) -> bool {
    shape == Shape::Versions
}

/// Puts what one table holds into another's place. The table itself stays, with its grants, indexes and views; and who reads
/// meanwhile sees the one content or the other.
pub(crate) fn replace(dialect: &Dialect, shown: &Table<'_>, aside: &str) -> [String; 3] {
    let (to, from, columns) = (dialect.table(shown.name), dialect.table(aside), list(shown.column_names()));
    [
        format!("DELETE FROM {to}"),
        format!("INSERT INTO {to} ({columns}) SELECT {columns} FROM {from}"),
        format!("DROP TABLE {from}"),
    ]
}
