//! URL patterns, found by how specific they are and not by the order of their insertion.
//!
//! A tree with one level for each segment: a static segment goes before `:parameter`, and that
//! before `*`. The gate looks up each request's path. A lookup visits a node at most once, whatever
//! the path: its work is bounded by the path's length and the number of patterns.

use std::collections::BTreeMap;

use super::pattern::{InvalidPattern, Segment, segments};

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
                Segment::Static("") => node.empty.get_or_insert_with(|| Box::new(Node::new())),
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
        let node = if segment.is_empty() { node.empty.as_deref() } else { node.statics.get(segment) };
        if let Some(node) = node {
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

struct Node<T> {
    statics: BTreeMap<Box<str>, Node<T>>,
    /// Behind the empty segment, apart: it is all that `/` has, and to compare with a text of no bytes is slow on
    /// processors that look where it would be.
    empty: Option<Box<Node<T>>>,
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
        Self { statics: BTreeMap::new(), empty: None, parameter: None, rest: None, end: None }
    }

    fn is_bare(&self) -> bool {
        let has_child = !self.statics.is_empty() || self.empty.is_some() || self.parameter.is_some();
        !has_child && self.rest.is_none() && self.end.is_none()
    }

    /// Takes a leaf out, and the nodes that only led to it. As deep as the pattern is long, which
    /// is bounded.
    fn remove(&mut self, way: &[Segment<'_>]) -> Option<Leaf<T>> {
        match way {
            [] => self.end.take(),
            [Segment::Rest, ..] => self.rest.take(),
            [Segment::Static(""), way @ ..] => {
                let child = self.empty.as_mut()?;
                let leaf = child.remove(way);
                if child.is_bare() {
                    self.empty = None;
                }
                leaf
            }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits;

    /// The patterns that match, with their parameters, in order.
    fn found(router: &Router<&'static str>, path: &str) -> Vec<String> {
        router.lookup(path).map(|found| format!("{} {}", found.value, found.parameters().join(","))).collect()
    }

    fn router(patterns: &[&'static str]) -> Router<&'static str> {
        let mut router = Router::new();
        for &pattern in patterns {
            router.insert(pattern, pattern).unwrap();
        }
        router
    }

    #[test]
    fn the_more_specific_pattern_goes_first_whatever_the_order() {
        let mut patterns = ["/*", "/:a/:b", "/:a/b", "/a/*", "/a/:b", "/a/b", "/a/b/*", "/:a"];
        let expected = ["/a/b ", "/a/:b b", "/a/* ", "/:a/b a", "/:a/:b a,b", "/* "];
        for _ in 0..patterns.len() {
            patterns.rotate_left(1);
            assert_eq!(found(&router(&patterns), "/a/b"), expected);
        }
    }

    #[test]
    fn slashes_count() {
        let router = router(&["/", "/a", "/a/", "/a/*", "/a//b", "/:x", "/:x/:y", "/*"]);
        assert_eq!(found(&router, "/"), ["/ ", "/* "]);
        assert_eq!(found(&router, "/a"), ["/a ", "/:x a", "/* "]);
        assert_eq!(found(&router, "/a/"), ["/a/ ", "/a/* ", "/* "]);
        assert_eq!(found(&router, "//"), ["/* "]);
        assert_eq!(found(&router, "/a//b"), ["/a//b ", "/a/* ", "/* "]);
        assert_eq!(found(&router, "/%61"), ["/:x %61", "/* "]);
        assert_eq!(found(&router, ""), [""; 0]);
        assert_eq!(found(&router, "*"), [""; 0]);
        assert_eq!(found(&router, "a"), [""; 0]);
    }

    #[test]
    fn parameters_have_the_names_of_their_pattern() {
        let router = router(&["/:room/x", "/:user/:id", "/:twice/b/:twice"]);
        let first = router.lookup("/r/x").next().unwrap();
        assert_eq!((first.parameter("room"), first.parameter("user")), (Some("r"), None));
        let second = router.lookup("/r/x").nth(1).unwrap();
        assert_eq!((second.parameter("user"), second.parameter("id")), (Some("r"), Some("x")));
        let twice = router.lookup("/1/b/2").next().unwrap();
        assert_eq!((twice.parameter("twice"), twice.parameters()), (Some("1"), &["1", "2"][..]));
    }

    #[test]
    fn the_same_pattern_replaces_and_can_be_removed() {
        let mut router = Router::new();
        assert_eq!(router.insert("/:a/b/*", 1), Ok(None));
        assert_eq!(router.insert("/:other/b/*", 2), Ok(Some(1)));
        assert_eq!(router.insert("/:a", 3), Ok(None));
        assert_eq!(router.insert("*", 4), Ok(None));
        assert_eq!(router.insert("/*", 5), Ok(Some(4)));
        assert_eq!(router.lookup("/x/b/c").next().unwrap().parameter("other"), Some("x"));
        assert_eq!(router.remove("/:a/b"), Ok(None));
        assert_eq!(router.remove("/none/such"), Ok(None));
        assert_eq!(router.remove("/:a/b/*"), Ok(Some(2)));
        assert_eq!(router.remove("/:a/b/*"), Ok(None));
        assert_eq!(router.lookup("/x").map(|found| *found.value).collect::<Vec<_>>(), [3, 5]);
        assert_eq!(router.remove("/:a"), Ok(Some(3)));
        assert_eq!(router.remove("*"), Ok(Some(5)));
        assert!(router.root.is_bare());
    }

    #[test]
    fn what_is_no_pattern_is_said() {
        for (pattern, fault) in [
            ("", InvalidPattern::NoSlash("".into())),
            ("chat", InvalidPattern::NoSlash("chat".into())),
            ("**", InvalidPattern::NoSlash("**".into())),
            ("/*/a", InvalidPattern::StrayWildcard("/*/a".into())),
            ("/*/", InvalidPattern::StrayWildcard("/*/".into())),
            ("/a/*b", InvalidPattern::StrayWildcard("/a/*b".into())),
            ("/:/a", InvalidPattern::UnnamedParameter("/:/a".into())),
        ] {
            assert_eq!(router(&[]).insert(pattern, ""), Err(fault.clone()));
            assert_eq!(router(&[]).remove(pattern), Err(fault.clone()));
            assert!(fault.to_string().contains(&format!("{pattern:?}")), "{fault}");
        }
        assert_eq!(router(&[]).insert("/a*", ""), Ok(None));
        let longest = "/a".repeat(limits::PATTERN_SEGMENTS);
        let mut deep = router(&[]);
        assert_eq!(deep.insert(&longest, ""), Ok(None));
        assert_eq!(deep.lookup(&longest).count(), 1);
        assert!(matches!(deep.insert(&(longest + "/a"), ""), Err(InvalidPattern::TooLong(_))));
    }

    /// Patterns that share all their nodes, and a path that fits each of them nearly: a search that
    /// looked at a node more than once would need 2^40 steps.
    #[test]
    fn a_hostile_path_costs_no_more_than_the_tree() {
        const DEPTH: usize = if cfg!(miri) { 12 } else { 40 };
        let mut router = Router::new();
        for statics in 0..=DEPTH {
            let pattern = "/a".repeat(statics) + &"/:p".repeat(DEPTH - statics) + "/end";
            router.insert(&pattern, statics).unwrap();
        }
        assert_eq!(router.lookup(&("/a".repeat(DEPTH) + "/none")).count(), 0);
        assert_eq!(router.lookup(&("/a".repeat(DEPTH) + "/end")).count(), DEPTH + 1);
        assert_eq!(router.lookup(&"/".repeat(400 * DEPTH)).count(), 0);
    }

    /// What a pattern matches, told without a tree: for each segment how specific it is, and the
    /// parameters.
    fn naive<'p>(pattern: &str, path: &'p str) -> Option<(Vec<u8>, Vec<&'p str>)> {
        let mut path = path[1..].split('/');
        let (mut kinds, mut parameters) = (Vec::new(), Vec::new());
        for segment in pattern[1..].split('/') {
            let actual = path.next()?;
            if segment == "*" {
                kinds.push(2);
                return Some((kinds, parameters));
            }
            if segment.starts_with(':') {
                kinds.push(1);
                parameters.push(actual);
                if actual.is_empty() {
                    return None;
                }
            } else {
                kinds.push(0);
                if actual != segment {
                    return None;
                }
            }
        }
        path.next().is_none().then_some((kinds, parameters))
    }

    fn pattern() -> impl Strategy<Value = String> {
        let segment = prop::sample::select(vec!["a", "b", "", ":p"]);
        (prop::collection::vec(segment, 1..5), any::<bool>()).prop_map(|(segments, wild)| {
            let wild = if wild { "/*" } else { "" };
            format!("/{}{wild}", segments.join("/"))
        })
    }

    proptest! {
        #[test]
        fn finds_what_a_list_of_patterns_would(
            inserted in prop::collection::vec(pattern(), 0..12),
            removed in prop::collection::vec(pattern(), 0..4),
            paths in prop::collection::vec(prop::string::string_regex("(/[abc]?){1,6}").unwrap(), 1..8),
        ) {
            let mut router = Router::new();
            let mut list: Vec<String> = Vec::new();
            for pattern in &inserted {
                let known = list.contains(pattern);
                prop_assert_eq!(router.insert(pattern, pattern.clone()).unwrap().is_some(), known);
                if !known {
                    list.push(pattern.clone());
                }
            }
            for pattern in &removed {
                let known = list.contains(pattern);
                prop_assert_eq!(router.remove(pattern).unwrap().is_some(), known);
                list.retain(|listed| listed != pattern);
            }
            for path in &paths {
                let mut expected: Vec<_> = list
                    .iter()
                    .filter_map(|pattern| naive(pattern, path).map(|(kinds, values)| (kinds, pattern, values)))
                    .collect();
                expected.sort();
                let expected: Vec<_> =
                    expected.into_iter().map(|(_, pattern, values)| (pattern.clone(), values)).collect();
                let actual: Vec<_> = router
                    .lookup(path)
                    .map(|found| (found.value.clone(), found.parameters().to_vec()))
                    .collect();
                prop_assert_eq!(actual, expected, "{}", path);
            }
        }
    }
}
