//! Prometheus' text format (version 0.0.4), which its server, node_exporter's textfile collector and `promtool` all read.

use std::fmt::{self, Display, Write};

use highwater::Histogram;

/// What `Content-Type` says of it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One line, but for the family's name.
#[derive(Debug)]
struct Sample {
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    value: String,
}

#[derive(Debug)]
struct Family {
    name: &'static str,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

/// Metrics, family by family, in the order in which they were first told. `Display` is the text.
#[derive(Debug)]
pub struct Exposition {
    /// What every sample bears.
    common: Vec<(&'static str, String)>,
    families: Vec<Family>,
}

/// The labels of one sample beside the common ones.
type Labels<'a> = &'a [(&'static str, &'a str)];

impl Exposition {
    /// Nothing yet; every sample will bear these labels.
    pub fn new(common: Vec<(&'static str, String)>) -> Self {
        Exposition { common, families: Vec::new() }
    }

    /// Something that only goes up. Its name ends with `_total`.
    pub fn counter(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: u64) {
        debug_assert!(name.ends_with("_total"), "{name} is a counter");
        self.add(name, help, Kind::Counter, "", labels, value.to_string());
    }

    /// Something as it is now.
    pub fn gauge(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, value: impl Display) {
        debug_assert!(!name.ends_with("_total"), "{name} is a gauge");
        self.add(name, help, Kind::Gauge, "", labels, value.to_string());
    }

    /// Whether something is so: 1 or 0.
    pub fn flag(&mut self, name: &'static str, help: &'static str, labels: Labels<'_>, is_so: bool) {
        self.gauge(name, help, labels, u8::from(is_so));
    }

    /// How long something took, in seconds.
    pub fn histogram(
        &mut self,
        name: &'static str,
        help: &'static str,
        labels: Labels<'_>,
        took: &Histogram,
    ) {
        debug_assert!(name.ends_with("_seconds"), "{name} is in seconds");
        for (bound, so_far) in took.buckets() {
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound.as_str())]).collect();
            self.add(name, help, Kind::Histogram, "_bucket", &labels, so_far.to_string());
        }
        self.add(name, help, Kind::Histogram, "_sum", labels, took.sum().as_secs_f64().to_string());
        self.add(name, help, Kind::Histogram, "_count", labels, took.count().to_string());
    }

    fn add(
        &mut self,
        name: &'static str,
        help: &'static str,
        kind: Kind,
        suffix: &'static str,
        labels: Labels<'_>,
        value: String,
    ) {
        let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
        let sample = Sample { suffix, labels, value };
        match self.families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.samples.push(sample),
            None => self.families.push(Family { name, help, kind, samples: vec![sample] }),
        }
    }
}

impl Display for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for family in &self.families {
            let kind = match family.kind {
                Kind::Counter => "counter",
                Kind::Gauge => "gauge",
                Kind::Histogram => "histogram",
            };
            writeln!(f, "# HELP {} {}", family.name, escaped(family.help, false))?;
            writeln!(f, "# TYPE {} {kind}", family.name)?;
            for sample in &family.samples {
                write!(f, "{}{}", family.name, sample.suffix)?;
                let labels = self.common.iter().chain(&sample.labels);
                for (n, (label, value)) in labels.enumerate() {
                    f.write_char(if n == 0 { '{' } else { ',' })?;
                    write!(f, "{label}=\"{}\"", escaped(value, true))?;
                }
                let has_labels = !self.common.is_empty() || !sample.labels.is_empty();
                writeln!(f, "{} {}", if has_labels { "}" } else { "" }, sample.value)?;
            }
        }
        Ok(())
    }
}

/// A label's value, or a text of help. Who reads takes a line's end for the line's end.
fn escaped(text: &str, is_label: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '"' if is_label => out.push_str("\\\""),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_family_is_told_once_with_all_its_samples() {
        let mut text = Exposition::new(vec![("log", "a\"b\\c\nd".to_owned())]);
        text.gauge("highwater_x", "What it is.", &[("consumer", "lake")], 1.5);
        text.counter("highwater_y_total", "Another.", &[], 18_446_744_073_709_551_615);
        text.gauge("highwater_x", "What it is.", &[("consumer", "ware")], 2);
        assert_eq!(
            text.to_string(),
            r#"# HELP highwater_x What it is.
# TYPE highwater_x gauge
highwater_x{log="a\"b\\c\nd",consumer="lake"} 1.5
highwater_x{log="a\"b\\c\nd",consumer="ware"} 2
# HELP highwater_y_total Another.
# TYPE highwater_y_total counter
highwater_y_total{log="a\"b\\c\nd"} 18446744073709551615
"#
        );
    }

    #[test]
    fn a_histogram_is_cumulative_and_in_seconds() {
        let mut took = Histogram::default();
        took.observe(Duration::from_millis(3));
        took.observe(Duration::from_secs(60));
        let mut text = Exposition::new(Vec::new());
        text.histogram("highwater_z_seconds", "How long.", &[], &took);
        let text = text.to_string();
        for line in [
            "highwater_z_seconds_bucket{le=\"0.0025\"} 0",
            "highwater_z_seconds_bucket{le=\"0.005\"} 1",
            "highwater_z_seconds_bucket{le=\"30\"} 1",
            "highwater_z_seconds_bucket{le=\"+Inf\"} 2",
            "highwater_z_seconds_sum 60.003",
            "highwater_z_seconds_count 2",
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}: {text}");
        }
    }
}
