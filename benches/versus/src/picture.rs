//! The picture for README: bars, one panel per workload, readable on light and on dark ground.

use std::fmt::Write;

use crate::engines::Kind;
use crate::results::{Results, Row, Table};
use crate::table::number;
use crate::workloads::Better;

/// What is drawn, if it was measured: workload, and what a reader calls it.
const PANELS: [(&str, &str); 6] = [
    ("W1a", "durable checkpoint of 1,000 x 1 KiB, us"),
    ("W2", "durable checkpoint of 10 x 200 B, us"),
    ("W3x8", "durable states from 8 threads, per second"),
    ("W4a", "append 1 GiB, one flush, MB/s"),
    ("W5-1GiB-warm", "open 1 GiB after a kill, ms"),
    ("W6-copy", "read 1 GiB back, MB/s"),
];

const COLUMNS: usize = 2;
const PANEL_WIDTH: usize = 460;
const LABEL_WIDTH: usize = 150;
const BAR_WIDTH: usize = 230;
const LINE: usize = 20;
const HEAD: usize = 34;
const MARGIN: usize = 16;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2328}.title{font-weight:600;font-size:13px}.small{fill:#59636e;font-size:11px}\
.highwater{fill:#0a6cbd}.rival{fill:#b7c0ca}.limit{fill:none;stroke:#59636e;stroke-dasharray:3 2}\
@media(prefers-color-scheme:dark){text{fill:#e6edf3}.small{fill:#9198a1}.highwater{fill:#4aa3f0}.rival{fill:#525c67}\
.limit{stroke:#9198a1}}";

pub(crate) fn draw(results: &Results) -> String {
    let panels: Vec<(&str, &Table)> = PANELS
        .iter()
        .filter_map(|(id, title)| Some((*title, results.tables.iter().find(|table| table.id == *id)?)))
        .collect();
    let mut body = String::new();
    let mut top = MARGIN;
    for pair in panels.chunks(COLUMNS) {
        let mut height = 0;
        for (column, (title, table)) in pair.iter().enumerate() {
            let rows = rows(table);
            panel(&mut body, (MARGIN + column * PANEL_WIDTH, top), title, table, &rows);
            height = height.max(HEAD + rows.len() * LINE);
        }
        top += height + MARGIN;
    }
    let machine = &results.machine;
    let note = format!(
        "Dashed: the best raw limit of the machine. {}, {} cores, {}, {}; median of at least {} rounds{}.",
        machine.processor,
        machine.cores,
        machine.file_system,
        results.date,
        results.rounds,
        if results.quick { " (quick: means nothing)" } else { "" }
    );
    text(&mut body, (MARGIN, top + 12), "small", &note);
    let (width, height) = (2 * MARGIN + COLUMNS * PANEL_WIDTH, top + 24);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\">\
         <title>Highwater beside other engines</title><style>{STYLE}</style>\n{body}</svg>\n"
    )
}

/// The best limit, Highwater and the rivals that count, best first.
fn rows(table: &Table) -> Vec<(&Row, f64)> {
    let alone = table.is_of_one_thread();
    let counting = table.rows.iter().filter(|row| !row.does_not_flush(alone));
    let mut rows: Vec<_> = counting.filter_map(|row| Some((row, row.median(&table.headline)?))).collect();
    rows.sort_by(|(_, one), (_, other)| match table.better {
        Better::Lower => one.total_cmp(other),
        Better::Higher => other.total_cmp(one),
    });
    let mut limits = 0;
    rows.retain(|(row, _)| {
        limits += usize::from(row.kind == Kind::Limit);
        row.kind != Kind::Limit || limits == 1
    });
    rows
}

fn panel(body: &mut String, (left, top): (usize, usize), title: &str, table: &Table, rows: &[(&Row, f64)]) {
    let better = if table.better == Better::Lower { "shorter is better" } else { "longer is better" };
    text(body, (left, top + 14), "title", title);
    text(body, (left, top + 28), "small", better);
    let most = rows.iter().map(|(_, figure)| *figure).fold(f64::MIN_POSITIVE, f64::max);
    for (index, (row, figure)) in rows.iter().enumerate() {
        let top = top + HEAD + index * LINE;
        let width = (figure / most * BAR_WIDTH as f64).max(1.0);
        let class = match row.kind {
            Kind::Highwater => "highwater",
            Kind::Limit => "limit",
            Kind::Rival => "rival",
        };
        text(body, (left, top + 13), "", &row.engine);
        let bar = left + LABEL_WIDTH;
        let _ = writeln!(
            body,
            "<rect class=\"{class}\" x=\"{bar}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\"/>",
            top + 3,
            LINE - 7
        );
        text(body, (bar + width as usize + 6, top + 13), "", &number(*figure));
    }
}

fn text(body: &mut String, (x, y): (usize, usize), class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(body, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{text}</text>");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::measure::Spread;
    use crate::results::Machine;

    fn row(engine: &str, kind: Kind, median: f64, flushes: f64) -> Row {
        let figures = BTreeMap::from([("p50_us".to_owned(), Spread { median, least: median, most: median })]);
        Row {
            engine: engine.into(),
            kind,
            figures,
            flushes_per_commit: Some(flushes),
            to_limit: None,
            to_rival: None,
            failed: None,
        }
    }

    #[test]
    fn a_panel_shows_the_best_limit_and_who_flushes() {
        let table = Table {
            id: "W2".into(),
            title: String::new(),
            headline: "p50_us".into(),
            better: Better::Lower,
            columns: Vec::new(),
            rows: vec![
                row("highwater", Kind::Highwater, 50.0, 1.0),
                row("slow-limit", Kind::Limit, 80.0, 1.0),
                row("limit", Kind::Limit, 40.0, 1.0),
                row("rival", Kind::Rival, 100.0, 1.0),
                row("careless", Kind::Rival, 1.0, 0.0),
            ],
        };
        let names: Vec<_> = rows(&table).iter().map(|(row, _)| row.engine.as_str()).collect();
        assert_eq!(names, ["limit", "highwater", "rival"]);

        let machine = Machine {
            processor: "A & B".into(),
            cores: 2,
            kernel: String::new(),
            file_system: "ext4".into(),
            device: String::new(),
            figures: BTreeMap::new(),
        };
        let results = Results { date: String::new(), quick: false, rounds: 1, machine, tables: vec![table] };
        let picture = draw(&results);
        assert_eq!(picture.matches("<rect").count(), 3);
        assert!(picture.contains("A &amp; B") && picture.contains("width=\"115.0\""));
    }
}
