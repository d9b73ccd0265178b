//! The syntax of a URL pattern: see [`super::Router`] for what the parts mean.

use std::error::Error;
use std::fmt;

use crate::limits;

/// One segment of a pattern.
pub(super) enum Segment<'a> {
    Static(&'a str),
    Parameter(&'a str),
    Rest,
}

/// The segments of a pattern, [`Segment::Rest`] only as the last one.
pub(super) fn segments(pattern: &str) -> Result<Vec<Segment<'_>>, InvalidPattern> {
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
        "TIDEWIRE_INVALID_PATTERN"
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
