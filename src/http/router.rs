//! URL patterns, found by how specific they are and not by the order of their insertion.
//!
//! A tree with one level for each segment: a static segment goes before `:parameter`, and that
//! before `*`. The gate looks up each request's path. A lookup visits a node at most once, whatever
//! the path: its work is bounded by the path's length and the number of patterns.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

use crate::limits;

/// Maps URL patterns to values.
///
/// A pattern is `/` and segments parted by `/`. A segment is literal text, `:name` for any segment
/// that is not empty, or, as the last one, `*` for any rest, the empty one included. `*` alone is
/// the same as `/*`. Nothing is percent-decoded, and `/a/` is not `/a`. The names of parameters do
/// not tell patterns apart: `/:a` and `/:b` are the same pattern.
pub struct Router<T> {
    root: Node<T>,
}

impl<T> Router<T> {
    /// A router without patterns.
    pub fn new() -> Self {
        Self { root: Node::new() }
    }

    /// Sets the value of a pattern and returns the one it had before.
    ///
    /// # Errors
    ///
    /// When the pattern is none; the router is as before.
    pub fn insert(&mut self, pattern: &str, value: T) -> Result<Option<T>, InvalidPattern> {
        let mut node = &mut self.root;
        let mut names = Vec::new();
        for segment in segments(pattern)? {
            node = match segment {
                Segment::Static(text) => node.statics.entry(text.into()).or_insert_with(Node::new),
                Segment::Parameter(name) => {
                    names.push(name.into());
                    node.parameter.get_or_insert_with(|| Box::new(Node::new()))
                }
                Segment::Rest => {
                    return Ok(node.rest.replace(Leaf { value, names }).map(|leaf| leaf.value));
                }
            };
        }
        Ok(node.end.replace(Leaf { value, names }).map(|leaf| leaf.value))
    }

    /// Takes a pattern out and returns its value, if it was there.
    ///
    /// # Errors
    ///
    /// When the pattern is none.
    pub fn remove(&mut self, pattern: &str) -> Result<Option<T>, InvalidPattern> {
        Ok(self.root.remove(&segments(pattern)?).map(|leaf| leaf.value))
    }

    /// All patterns that match a path, the most specific one first. The path has no query.
    pub fn lookup<'r, 'p>(&'r self, path: &'p str) -> Matches<'r, 'p, T> {
        let branches = path.strip_prefix('/').map(|rest| Branch::Node { node: &self.root, rest: Some(rest), depth: 0 });
        Matches { branches: branches.into_iter().collect(), parameters: Vec::new() }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The patterns that match one path, found one by one: see [`Router::lookup`].
pub struct Matches<'r, 'p, T> {
    /// What is still to be looked at, the next one last.
    branches: Vec<Branch<'r, 'p, T>>,
    /// The parameters on the way to the branch that is looked at.
    parameters: Vec<&'p str>,
}

enum Branch<'r, 'p, T> {
    /// A node below `depth` parameters, and the path behind it: `None` where the path has ended,
    /// which is not the same as an empty last segment.
    Node { node: &'r Node<T>, rest: Option<&'p str>, depth: usize },
    /// A node behind one more parameter.
    Parameter { node: &'r Node<T>, value: &'p str, rest: Option<&'p str>, depth: usize },
    /// A `*`, which has matched.
    Rest { leaf: &'r Leaf<T>, depth: usize },
}

impl<'r, 'p, T> Matches<'r, 'p, T> {
    /// Notes where the search goes on from a node; returns the pattern that ends at it, if the
    /// path does, too.
    fn enter(&mut self, node: &'r Node<T>, rest: Option<&'p str>) -> Option<&'r Leaf<T>> {
        let Some(rest) = rest else {
            return node.end.as_ref();
        };
        let depth = self.parameters.len();
        if let Some(leaf) = &node.rest {
            self.branches.push(Branch::Rest { leaf, depth });
        }
        let (segment, rest) = match rest.split_once('/') {
            Some((segment, rest)) => (segment, Some(rest)),
            None => (rest, None),
        };
        if let Some(node) = node.parameter.as_deref().filter(|_| !segment.is_empty()) {
            self.branches.push(Branch::Parameter { node, value: segment, rest, depth });
        }
        if let Some(node) = node.statics.get(segment) {
            self.branches.push(Branch::Node { node, rest, depth });
        }
        None
    }
}

impl<'r, 'p, T> Iterator for Matches<'r, 'p, T> {
    type Item = Match<'r, 'p, T>;

    fn next(&mut self) -> Option<Self::Item> {
        while let Some(branch) = self.branches.pop() {
            let leaf = match branch {
                Branch::Node { node, rest, depth } => {
                    self.parameters.truncate(depth);
                    self.enter(node, rest)
                }
                Branch::Parameter { node, value, rest, depth } => {
                    self.parameters.truncate(depth);
                    self.parameters.push(value);
                    self.enter(node, rest)
                }
                Branch::Rest { leaf, depth } => {
                    self.parameters.truncate(depth);
                    Some(leaf)
                }
            };
            if let Some(Leaf { value, names }) = leaf {
                return Some(Match { value, names, parameters: self.parameters.clone() });
            }
        }
        None
    }
}

/// A pattern that matched.
#[derive(Debug)]
pub struct Match<'r, 'p, T> {
    /// The pattern's value.
    pub value: &'r T,
    names: &'r [Box<str>],
    parameters: Vec<&'p str>,
}

impl<'p, T> Match<'_, 'p, T> {
    /// The values of the parameters in the order of the pattern, as slices of the path.
    pub fn parameters(&self) -> &[&'p str] {
        &self.parameters
    }

    /// The value of the parameter of this name (without its colon); of the first one, where the
    /// pattern has the name twice.
    pub fn parameter(&self, name: &str) -> Option<&'p str> {
        let index = self.names.iter().position(|known| **known == *name)?;
        self.parameters.get(index).copied()
    }
}

/// Why a string is no pattern. It shows the pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InvalidPattern {
    /// It does not begin with `/`, nor is it `*`.
    NoSlash(String),
    /// A segment begins with `*`, but is longer or not the last one.
    StrayWildcard(String),
    /// A segment is a colon alone.
    UnnamedParameter(String),
    /// It has more than [`limits::PATTERN_SEGMENTS`] segments. Shown is its beginning.
    TooLong(String),
}

impl InvalidPattern {
    /// The stable code of the JavaScript error.
    pub fn code(&self) -> &'static str {
        "ERR_INVALID_URL_PATTERN"
    }
}

impl fmt::Display for InvalidPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSlash(pattern) => {
                write!(f, "The URL pattern {pattern:?} must begin with \"/\" or be \"*\".")
            }
            Self::StrayWildcard(pattern) => {
                write!(f, "In the URL pattern {pattern:?}, \"*\" must stand alone, as the last segment.")
            }
            Self::UnnamedParameter(pattern) => {
                write!(f, "In the URL pattern {pattern:?}, a \":\" is not followed by a name.")
            }
            Self::TooLong(beginning) => write!(
                f,
                "The URL pattern that begins with {beginning:?} has more than {} segments.",
                limits::PATTERN_SEGMENTS
            ),
        }
    }
}

impl Error for InvalidPattern {}

struct Node<T> {
    statics: BTreeMap<Box<str>, Node<T>>,
    parameter: Option<Box<Node<T>>>,
    /// The pattern that ends here with `/*`.
    rest: Option<Leaf<T>>,
    /// The pattern that ends here.
    end: Option<Leaf<T>>,
}

struct Leaf<T> {
    value: T,
    /// The names of the parameters on the way here; they belong to the pattern, not to the nodes.
    names: Vec<Box<str>>,
}

impl<T> Node<T> {
    fn new() -> Self {
        Self { statics: BTreeMap::new(), parameter: None, rest: None, end: None }
    }

    fn is_bare(&self) -> bool {
        self.statics.is_empty() && self.parameter.is_none() && self.rest.is_none() && self.end.is_none()
    }

    /// Takes a leaf out, and the nodes that only led to it. As deep as the pattern is long, which
    /// is bounded.
    fn remove(&mut self, way: &[Segment<'_>]) -> Option<Leaf<T>> {
        match way {
            [] => self.end.take(),
            [Segment::Rest, ..] => self.rest.take(),
            [Segment::Static(text), way @ ..] => {
                let child = self.statics.get_mut(*text)?;
                let leaf = child.remove(way);
                if child.is_bare() {
                    self.statics.remove(*text);
                }
                leaf
            }
            [Segment::Parameter(_), way @ ..] => {
                let child = self.parameter.as_mut()?;
                let leaf = child.remove(way);
                if child.is_bare() {
                    self.parameter = None;
                }
                leaf
            }
        }
    }
}

enum Segment<'a> {
    Static(&'a str),
    Parameter(&'a str),
    Rest,
}

fn segments(pattern: &str) -> Result<Vec<Segment<'_>>, InvalidPattern> {
    if pattern == "*" {
        return Ok(vec![Segment::Rest]);
    }
    let Some(rest) = pattern.strip_prefix('/') else {
        return Err(InvalidPattern::NoSlash(pattern.into()));
    };
    if rest.split('/').nth(limits::PATTERN_SEGMENTS).is_some() {
        return Err(InvalidPattern::TooLong(pattern.chars().take(64).collect()));
    }
    let mut ways = rest.split('/').peekable();
    let mut segments = Vec::new();
    while let Some(text) = ways.next() {
        segments.push(match (text.as_bytes(), ways.peek()) {
            ([b'*'], None) => Segment::Rest,
            ([b'*', ..], _) => return Err(InvalidPattern::StrayWildcard(pattern.into())),
            ([b':'], _) => return Err(InvalidPattern::UnnamedParameter(pattern.into())),
            ([b':', ..], _) => Segment::Parameter(&text[1..]),
            _ => Segment::Static(text),
        });
    }
    Ok(segments)
}
