//! The router against a matcher that looks at every pattern: the same patterns match, with the same
//! parameters, the most specific one first; and patterns that are taken out are gone.
//!
//! Queries are parsed in `lib/`, by JavaScript: this is the router alone.
//!
//! Input: text; each line but the last is a pattern, the last one is the path. A line that begins
//! with `-` takes the pattern behind it out.

use std::collections::BTreeMap;

use tidewire::http::Router;

/// Lines that are looked at: a matcher that is naive is also slow.
const LINES: usize = 40;

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let text = String::from_utf8_lossy(&data[..data.len().min(4096)]);
    let mut lines: Vec<&str> = text.split('\n').take(LINES).collect();
    let path = lines.pop().unwrap_or_default();
    let mut router = Router::new();
    let mut known: BTreeMap<Vec<Part>, (usize, Vec<&str>)> = BTreeMap::new();
    for (value, &line) in lines.iter().enumerate() {
        if let Some(pattern) = line.strip_prefix('-') {
            match (router.remove(pattern), parse(pattern)) {
                (Ok(removed), Some((parts, _))) => assert_eq!(removed, known.remove(&parts).map(|known| known.0)),
                (Err(_), None) => {}
                (removed, parts) => panic!("{pattern:?}: {removed:?}, not {parts:?}"),
            }
            continue;
        }
        match (router.insert(line, value), parse(line)) {
            (Ok(replaced), Some((parts, names))) => {
                assert_eq!(replaced, known.insert(parts, (value, names)).map(|known| known.0));
            }
            (Err(_), None) => {}
            (inserted, parts) => panic!("{line:?}: {inserted:?}, not {parts:?}"),
        }
    }
    // `Part` is ordered by how specific it is, so the map is in the order of a lookup.
    let expected: Vec<_> =
        known.iter().filter_map(|(parts, (value, names))| Some((*value, values(parts, path)?, names))).collect();
    let found: Vec<_> = router.lookup(path).collect();
    assert_eq!(
        found.iter().map(|found| (*found.value, found.parameters().to_vec())).collect::<Vec<_>>(),
        expected.iter().map(|(value, parameters, _)| (*value, parameters.clone())).collect::<Vec<_>>(),
        "{lines:?} and {path:?}"
    );
    for (found, (_, parameters, names)) in found.iter().zip(&expected) {
        for name in names.iter() {
            let first = names.iter().position(|known| known == name).map(|at| parameters[at]);
            assert_eq!(found.parameter(name), first, "{name:?}");
        }
        assert_eq!(found.parameter(""), None);
    }
}

/// A segment of a pattern; the order is that of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Static(String),
    Parameter,
    Rest,
}

/// The parts of a pattern and its parameters' names; `None` if it is no pattern.
fn parse(pattern: &str) -> Option<(Vec<Part>, Vec<&str>)> {
    let pattern = if pattern == "*" { "/*" } else { pattern };
    let segments: Vec<&str> = pattern.strip_prefix('/')?.split('/').collect();
    if segments.len() > 256 {
        return None;
    }
    let (mut parts, mut names) = (Vec::new(), Vec::new());
    for (at, segment) in segments.iter().enumerate() {
        parts.push(if *segment == "*" && at + 1 == segments.len() {
            Part::Rest
        } else if segment.starts_with('*') || *segment == ":" {
            return None;
        } else if let Some(name) = segment.strip_prefix(':') {
            names.push(name);
            Part::Parameter
        } else {
            Part::Static((*segment).to_owned())
        });
    }
    Some((parts, names))
}

/// The parameters' values, if a path matches.
fn values<'p>(parts: &[Part], path: &'p str) -> Option<Vec<&'p str>> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    let mut values = Vec::new();
    for (at, part) in parts.iter().enumerate() {
        match (part, segments.get(at)) {
            (Part::Rest, Some(_)) => return Some(values),
            (Part::Static(text), Some(segment)) if text == segment => {}
            (Part::Parameter, Some(segment)) if !segment.is_empty() => values.push(*segment),
            _ => return None,
        }
    }
    (parts.len() == segments.len()).then_some(values)
}
