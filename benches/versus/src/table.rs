//! Tables, in Markdown: they are read in a terminal and go into documents as they are.

use std::fmt::Write;

use crate::engines::Kind;
use crate::results::{Results, Row, Table};
use crate::workloads::Better;

/// The machine and all tables.
pub(crate) fn all(results: &Results) -> String {
    let machine = &results.machine;
    let mut text = format!(
        "{}, {} cores, Linux {}, {} on {}; {}; {} rounds{}\n\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.file_system,
        machine.device,
        results.date,
        results.rounds,
        if results.quick { ", QUICK: these figures mean nothing" } else { "" }
    );
    for (name, figure) in &machine.figures {
        let _ = writeln!(text, "- {name}: {}", number(*figure));
    }
    for table in &results.tables {
        text.push('\n');
        text.push_str(&one(table));
    }
    text
}

/// One line for each workload: Highwater, the best limit, the best rival.
pub(crate) fn summary(results: &Results) -> String {
    let mut lines = vec![
        ["", "by", "Highwater", "best raw limit", "best rival", "x limit", "x rival"]
            .map(str::to_owned)
            .to_vec(),
    ];
    lines.extend(results.tables.iter().filter_map(in_short));
    let mut text = String::new();
    write_table(&mut text, &lines);
    text
}

fn in_short(table: &Table) -> Option<Vec<String>> {
    let own = table.best_row(Kind::Highwater)?;
    let figure = |row: &Row| row.median(&table.headline).map_or_else(|| "-".to_owned(), number);
    let other = |kind| {
        let row = table.best_row(kind);
        row.map_or_else(|| "-".to_owned(), |row| format!("{} ({})", figure(row), row.engine))
    };
    let ratio = |ratio: Option<f64>| ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
    Some(vec![
        format!("{}: {}", table.id, table.title),
        table.headline.clone(),
        figure(own),
        other(Kind::Limit),
        other(Kind::Rival),
        ratio(own.to_limit),
        ratio(own.to_rival),
    ])
}

/// One table.
pub(crate) fn one(table: &Table) -> String {
    let better = match table.better {
        Better::Lower => "lower",
        Better::Higher => "higher",
    };
    let mut text = format!(
        "## {}: {}\n\nCompared by {}, {better} is better.\n\n",
        table.id, table.title, table.headline
    );
    let mut header = vec!["".to_owned()];
    header.extend(table.columns.iter().cloned());
    header.extend(["rounds from-to", "flushes a commit", "x best limit", "x best rival"].map(str::to_owned));
    let mut lines = vec![header];
    lines.extend(table.rows.iter().map(|row| cells(table, row)));
    write_table(&mut text, &lines);
    for row in &table.rows {
        if let Some(why) = &row.failed {
            let _ = writeln!(text, "\n{} failed: {why}", row.engine);
        }
    }
    text
}

fn cells(table: &Table, row: &Row) -> Vec<String> {
    let name = match row.kind {
        Kind::Highwater => format!("**{}**", row.engine),
        Kind::Limit => format!("*{}*", row.engine),
        Kind::Rival => row.engine.clone(),
    };
    let or_dash = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), number);
    let mut cells = vec![name];
    cells.extend(table.columns.iter().map(|column| or_dash(row.median(column))));
    let spread = row.figures.get(&table.headline);
    cells.push(spread.map_or_else(
        || "-".to_owned(),
        |spread| format!("{}-{}", number(spread.least), number(spread.most)),
    ));
    let flushes = or_dash(row.flushes_per_commit);
    let does_not = row.does_not_flush(table.is_of_one_thread());
    cells.push(if does_not { format!("{flushes}: does not count") } else { flushes });
    cells.extend(
        [row.to_limit, row.to_rival].map(|ratio| ratio.map_or_else(|| "-".into(), |r| format!("{r:.2}"))),
    );
    cells
}

/// Three digits that count.
pub(crate) fn number(figure: f64) -> String {
    let magnitude = figure.abs();
    match () {
        () if magnitude >= 100.0 => format!("{figure:.0}"),
        () if magnitude >= 10.0 => format!("{figure:.1}"),
        () => format!("{figure:.2}"),
    }
}

fn write_table(text: &mut String, lines: &[Vec<String>]) {
    let widths = widths(lines);
    for (index, line) in lines.iter().enumerate() {
        write_line(text, line, &widths);
        if index == 0 {
            write_line(text, &widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>(), &widths);
        }
    }
}

fn widths(lines: &[Vec<String>]) -> Vec<usize> {
    let columns = lines.first().map_or(0, Vec::len);
    (0..columns).map(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or(0)).collect()
}

fn write_line(text: &mut String, cells: &[String], widths: &[usize]) {
    for (cell, width) in cells.iter().zip(widths) {
        let _ = write!(text, "| {cell:width$} ");
    }
    text.push_str("|\n");
}
