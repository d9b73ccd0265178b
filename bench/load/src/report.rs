//! What a mode found, as named values in order: printed as text for a person or as JSON for
//! `bench/run.js`. Both forms carry the same names; the unit is part of the name.

use std::fmt::Write as _;
use std::time::Duration;

use crate::failure::Failure;
use crate::histogram::Histogram;

/// What a mode hands back: a run whose answers were wrong has a report, too.
pub struct Outcome {
    /// All that was measured.
    pub report: Report,
    /// Whether the run counts.
    pub verdict: Result<(), Failure>,
}

/// One value of a report.
pub enum Value {
    /// A whole number.
    Count(u64),
    /// A measured number.
    Number(f64),
    /// A word or sentence.
    Text(String),
    /// Named values of one thing.
    Group(Report),
}

/// Named values in the order in which they are printed.
#[derive(Default)]
pub struct Report(Vec<(String, Value)>);

impl Report {
    /// An empty report.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a whole number.
    pub fn count(&mut self, name: &str, value: u64) -> &mut Self {
        self.push(name, Value::Count(value))
    }

    /// Adds a measured number.
    pub fn number(&mut self, name: &str, value: f64) -> &mut Self {
        self.push(name, Value::Number(value))
    }

    /// Adds a text.
    pub fn text(&mut self, name: &str, value: impl Into<String>) -> &mut Self {
        self.push(name, Value::Text(value.into()))
    }

    /// Adds a group.
    pub fn group(&mut self, name: &str, group: Report) -> &mut Self {
        self.push(name, Value::Group(group))
    }

    /// Adds a group with the mean and the usual percentiles, in microseconds.
    pub fn latency(&mut self, name: &str, histogram: &Histogram) -> &mut Self {
        let mut group = Report::new();
        group.number("mean", micros(histogram.mean()));
        for (name, share) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p999", 0.999)] {
            group.number(name, micros(histogram.percentile(share)));
        }
        group.number("max", micros(histogram.max()));
        self.group(name, group)
    }

    /// The report as lines for a person, groups indented.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        self.write_text(&mut out, 0);
        out
    }

    /// The report as one JSON object on one line.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out);
        out
    }

    fn push(&mut self, name: &str, value: Value) -> &mut Self {
        self.0.push((name.to_owned(), value));
        self
    }

    fn write_text(&self, out: &mut String, indent: usize) {
        let width = self.0.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.0 {
            let _ = write!(out, "{:indent$}{name:width$}", "");
            match value {
                Value::Count(count) => _ = writeln!(out, "  {count}"),
                Value::Number(number) => _ = writeln!(out, "  {number:.3}"),
                Value::Text(text) => _ = writeln!(out, "  {text}"),
                Value::Group(group) => {
                    out.push('\n');
                    group.write_text(out, indent + 2);
                }
            }
        }
    }

    fn write_json(&self, out: &mut String) {
        out.push('{');
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_json_text(out, name);
            out.push(':');
            match value {
                Value::Count(count) => _ = write!(out, "{count}"),
                Value::Number(number) if number.is_finite() => _ = write!(out, "{number:.4}"),
                Value::Number(_) => out.push_str("null"),
                Value::Text(text) => write_json_text(out, text),
                Value::Group(group) => group.write_json(out),
            }
        }
        out.push('}');
    }
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

/// RFC 8259 §7: quotes, backslashes and control characters are escaped.
fn write_json_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            control if control < ' ' => _ = write!(out, "\\u{:04x}", u32::from(control)),
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Report {
        let mut inner = Report::new();
        inner.number("p50", 1.5);
        let mut report = Report::new();
        report.text("name", "a \"b\"\n").count("messages", 7).number("share", f64::NAN);
        report.group("latency", inner);
        report
    }

    #[test]
    fn json_escapes_texts_and_has_no_infinite_numbers() {
        assert_eq!(
            sample().to_json(),
            r#"{"name":"a \"b\"\u000a","messages":7,"share":null,"latency":{"p50":1.5000}}"#
        );
    }

    #[test]
    fn text_indents_groups() {
        assert!(sample().to_text().contains("latency \n  p50  1.500\n"));
    }
}
