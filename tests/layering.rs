//! Holds `src/` and `lib/` to the rooms: which other rooms, crates and parts of `std` each room may use,
//! and where `unsafe` may stand.
//!
//! It reads the sources as text, so it sees what a build leaves out, too. Test code may use more: what
//! is under `#[cfg(test)]`, files named `tests.rs`, and folders named `tests`.

use std::fs;
use std::path::{Path, PathBuf};

/// One line of the table: a room and what it may use beside itself and `std`.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
    /// A pure room is a value: parts of `std` that touch the world are closed to it.
    pure: bool,
}

const ROOMS: &[Room] = &[
    Room { name: "limits", rooms: &[], crates: &[], pure: true },
    Room { name: "error", rooms: &[], crates: &[], pure: false },
    Room {
        name: "protocol",
        rooms: &["limits", "error"],
        crates: &["tungstenite", "flate2", "simdutf8", "http"],
        pure: true,
    },
    Room {
        name: "http",
        rooms: &["limits", "error"],
        crates: &["http", "httparse", "memchr", "percent_encoding"],
        pure: true,
    },
    Room { name: "topics", rooms: &["limits", "error"], crates: &[], pure: true },
    // Values and memory alone: the socket under a session is its caller's.
    Room { name: "tls", rooms: &["limits", "error"], crates: &["pkcs8", "rustls", "rustls_pki_types"], pure: false },
    Room { name: "bridge", rooms: &["limits", "error"], crates: &["loom"], pure: false },
    Room {
        name: "reactor",
        rooms: &["limits", "error", "protocol", "http", "topics", "bridge", "tls"],
        crates: &["libc", "mio", "rustix", "socket2", "windows_sys"],
        pure: false,
    },
    Room {
        name: "gate",
        rooms: &["limits", "error", "protocol", "http", "bridge", "reactor", "tls"],
        crates: &["bytes", "http", "http_body_util", "httpdate", "hyper", "hyper_util", "mio", "socket2", "tokio"],
        pure: false,
    },
    Room {
        name: "node",
        rooms: &["limits", "error", "bridge", "reactor", "gate", "tls"],
        crates: &["libc", "napi", "napi_derive"],
        pure: false,
    },
];

/// What a pure room never sees: descriptors, clocks, threads, files, the process.
const WORLDLY: &[&str] = &["env", "fs", "net", "os", "process", "thread", "time"];

/// Where `unsafe` may stand, as beginnings of paths.
const UNSAFE_PLACES: &[&str] = &["src/node/", "src/reactor/poller", "src/reactor/socket"];

/// Most unsafe blocks and impls in all.
const UNSAFE_BLOCKS: usize = 25;

/// The files that know on which platform they are, as beginnings of paths. The rest of `src/` is the same on all.
const PLATFORM_PLACES: &[&str] = &[
    // The numbers of the system's errors.
    "src/error/shortage.rs",
    // How a listening socket is bound and accepted from.
    "src/gate/accept.rs",
    "src/gate/listener.rs",
    // That there are Unix domain sockets.
    "src/gate/mod.rs",
    "src/gate/unix.rs",
    // The limits of the process, and its allocator.
    "src/node/descriptors.rs",
    "src/node/heap.rs",
    "src/reactor/poller",
    "src/reactor/socket",
];

/// What is different between platforms: crates, and the words of a `cfg`.
const PLATFORM_CRATES: &[&str] = &["libc", "rustix", "windows_sys"];
const PLATFORM_WORDS: &[&str] = &["target_env", "target_family", "target_os", "target_vendor", "unix", "windows"];

#[test]
fn every_room_keeps_to_its_table() {
    let crates = dependencies();
    let findings: Vec<String> =
        sources("src", "rs").iter().flat_map(|(path, text)| trespasses(path, text, &crates)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn unsafe_stands_where_it_may_and_is_rare() {
    let sources = sources("src", "rs");
    let findings: Vec<String> = sources.iter().flat_map(|(path, text)| misplaced_unsafe(path, text)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    let blocks: usize = sources.iter().map(|(_, text)| unsafe_blocks(text)).sum();
    assert!(blocks <= UNSAFE_BLOCKS, "{blocks} unsafe blocks in src: at most {UNSAFE_BLOCKS} are allowed");
}

#[test]
fn the_platform_is_known_where_it_must_be() {
    let sources = sources("src", "rs");
    let findings: Vec<String> = sources.iter().flat_map(|(path, text)| platform_knowledge(path, text)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
    for place in PLATFORM_PLACES {
        assert!(sources.iter().any(|(path, _)| path.starts_with(place)), "{place} is no file any more");
    }
}

#[test]
fn the_javascript_face_has_no_dependencies() {
    let findings: Vec<String> =
        sources("lib", "js").iter().flat_map(|(path, text)| foreign_requires(path, text)).collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// What a file of `src/` uses that its room may not.
fn trespasses(path: &str, text: &str, crates: &[String]) -> Vec<String> {
    if path == "src/lib.rs" || path.ends_with("/tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let inside = path.trim_start_matches("src/");
    let name = inside.split(['/', '.']).next().unwrap_or_default();
    let Some(room) = ROOMS.iter().find(|room| room.name == name) else {
        return vec![format!("{path} is in no room: give '{name}' a line in tests/layering.rs")];
    };

    let tokens = without_tests(tokens(text));
    let mut findings = Vec::new();
    let mut forbid = |what: &str, line: usize| findings.push(format!("{name} may not use {what} ({path}:{line})"));
    for (index, token) in tokens.iter().enumerate() {
        let words = || first_segments(&tokens[index + 1..]);
        match token.text.as_str() {
            "crate" => {
                for used in words().filter(|used| *used != name && !room.rooms.contains(used)) {
                    forbid(used, token.line);
                }
            }
            // A module file's parent is the crate; another file's is the room.
            "super" if path.ends_with("/mod.rs") || inside == format!("{name}.rs") => {
                for used in words().filter(|used| *used != name && ROOMS.iter().any(|room| room.name == *used)) {
                    forbid(used, token.line);
                }
            }
            "super" if words().any(|used| used == "super") => forbid("super::super", token.line),
            "std" | "core" if room.pure => {
                for used in words().filter(|used| WORLDLY.contains(used)) {
                    forbid(&format!("std::{used}"), token.line);
                }
            }
            used if crates.iter().any(|name| name == used)
                && !room.crates.contains(&used)
                && begins_path(&tokens, index) =>
            {
                forbid(used, token.line);
            }
            _ => {}
        }
    }
    findings
}

/// The names that follow a path's root: one in `::limits::X`, several in `::{limits, error::Y}`.
fn first_segments(tokens: &[Token]) -> impl Iterator<Item = &str> {
    let mut found = Vec::new();
    if tokens.first().is_some_and(|token| token.text == "::") {
        match tokens.get(1) {
            Some(brace) if brace.text == "{" => {
                let mut depth = 0;
                let mut starts = true;
                for token in &tokens[1..] {
                    match token.text.as_str() {
                        "{" => depth += 1,
                        "}" => depth -= 1,
                        "," if depth == 1 => starts = true,
                        word if starts => {
                            found.push(word);
                            starts = false;
                        }
                        _ => {}
                    }
                    if depth == 0 {
                        break;
                    }
                }
            }
            Some(word) => found.push(&word.text),
            None => {}
        }
    }
    found.into_iter()
}

/// Whether the name at `index` is the root of a path: `tokio::spawn`, `::tokio::spawn`, `use tokio as t`.
fn begins_path(tokens: &[Token], index: usize) -> bool {
    let before = |steps: usize| index.checked_sub(steps).map_or("", |at| tokens[at].text.as_str());
    let after = tokens.get(index + 1).map_or("", |token| token.text.as_str());
    let inner = before(1) == "::" && before(2).ends_with(|end: char| end == '>' || end == '_' || end.is_alphanumeric());
    let named = after == "::" || (["use", "crate"].contains(&before(1)) && [";", "as"].contains(&after));
    named && !inner && before(1) != "."
}

/// `unsafe` outside the files that may have it; in tests, too.
fn misplaced_unsafe(path: &str, text: &str) -> Vec<String> {
    if UNSAFE_PLACES.iter().any(|place| path.starts_with(place)) {
        return Vec::new();
    }
    let found = tokens(text).into_iter().filter(|token| token.text == "unsafe");
    found.map(|token| format!("unsafe may not stand here ({path}:{})", token.line)).collect()
}

/// What a file outside [`PLATFORM_PLACES`] says that is of one platform: conditions, crates, `std::os`.
fn platform_knowledge(path: &str, text: &str) -> Vec<String> {
    if PLATFORM_PLACES.iter().any(|place| path.starts_with(place)) || path.contains("/tests") {
        return Vec::new();
    }
    let tokens = without_tests(tokens(text));
    let mut findings = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let found = match token.text.as_str() {
            "cfg" | "cfg_attr" => {
                let condition =
                    tokens[index + 1..].iter().take_while(|token| !["]", "{", ";"].contains(&token.text.as_str()));
                condition.map(|token| token.text.as_str()).find(|word| PLATFORM_WORDS.contains(word))
            }
            "std" => first_segments(&tokens[index + 1..]).find(|used| *used == "os"),
            used => PLATFORM_CRATES.iter().find(|name| **name == used).copied(),
        };
        findings
            .extend(found.map(|word| format!("only some files may know the platform: {word} ({path}:{})", token.line)));
    }
    findings
}

/// How many unsafe blocks and impls a file has.
fn unsafe_blocks(text: &str) -> usize {
    let tokens = tokens(text);
    tokens.windows(2).filter(|pair| pair[0].text == "unsafe" && ["{", "impl"].contains(&pair[1].text.as_str())).count()
}

/// What a file of `lib/` requires beside Node's own modules and its neighbours. Only the file that
/// loads the native addon requires what it computed.
fn foreign_requires(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for (start, call) in content.match_indices("require(") {
            let argument = &content[start + call.len()..];
            let allowed = ["'node:", "'./", "\"node:", "\"./"].iter().any(|beginning| argument.starts_with(beginning));
            if !allowed && path != "lib/binding.js" {
                findings.push(format!("lib may not require {argument} ({path}:{})", line + 1));
            }
        }
    }
    findings
}

/// A name, a number, `::` or another sign, and the line it stands on.
#[derive(Clone, Debug, PartialEq)]
struct Token {
    text: String,
    line: usize,
}

/// The tokens of Rust source, without comments, strings, characters and lifetimes.
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let is_word = next == '_' || next.is_alphanumeric();
        let length = if is_word {
            raw_string(rest)
                .unwrap_or_else(|| rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len()))
        } else {
            comment(rest).or_else(|| quoted(rest)).unwrap_or(if rest.starts_with("::") { 2 } else { next.len_utf8() })
        };
        let (token, tail) = rest.split_at(length);
        let sign = !is_word && length <= 2 && !token.starts_with(['"', '\'']) && !next.is_whitespace();
        if sign || (is_word && !token.ends_with(['"', '#'])) {
            let line = text[..text.len() - rest.len()].matches('\n').count() + 1;
            tokens.push(Token { text: token.to_owned(), line });
        }
        rest = tail;
    }
    tokens
}

/// The length of the comment that `text` begins with. Block comments nest.
fn comment(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if !text.starts_with("/*") {
        return None;
    }
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    Some(text.len())
}

/// The length of the string, character or lifetime that `text` begins with, at its quote.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let mut characters = text.char_indices().skip(1).peekable();
    if quote == '\'' {
        let (_, first) = characters.next()?;
        let (second_at, second) = *characters.peek()?;
        if first != '\\' && second != '\'' {
            return Some(second_at - first.len_utf8());
        }
        characters = text.char_indices().skip(1).peekable();
    }
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            end if end == quote => return Some(at + 1),
            _ => {}
        }
    }
    Some(text.len())
}

/// The length of the raw string that `text` begins with, at its prefix: `r"..."`, `br#"..."#`.
fn raw_string(text: &str) -> Option<usize> {
    let prefix = ["br", "cr", "r"].into_iter().find(|prefix| text.starts_with(prefix))?;
    let body = text[prefix.len()..].trim_start_matches('#');
    let hashes = text.len() - prefix.len() - body.len();
    let end = format!("\"{}", "#".repeat(hashes));
    let inner = body.strip_prefix('"')?;
    let length = inner.find(&end).map_or(inner.len(), |at| at + end.len());
    Some(text.len() - inner.len() + length)
}

/// Leaves out each item under `#[cfg(test)]` or `#[cfg(all(test, ...))]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let begins_with = |at: usize, signs: &[&str]| {
        signs.iter().enumerate().all(|(offset, sign)| tokens.get(at + offset).is_some_and(|token| token.text == *sign))
    };
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let is_test = begins_with(at, &["#", "[", "cfg", "(", "test", ")"])
            || begins_with(at, &["#", "[", "cfg", "(", "all", "(", "test"]);
        if is_test {
            at = item_end(&tokens, at);
        } else {
            kept.push(tokens[at].clone());
            at += 1;
        }
    }
    kept
}

/// Where the item ends whose attributes begin at `at`: behind its body, or its semicolon.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" if depth == 1 => return at,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            ";" if depth == 0 => return at,
            _ => {}
        }
    }
    at
}

/// Every file below `folder` with the extension: its path in the tree, and its text.
fn sources(folder: &str, extension: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> = vec![root.join(folder)];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry of the folder").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                let name = path.strip_prefix(root).expect("a path below the root").to_string_lossy().replace('\\', "/");
                sources.push((name, fs::read_to_string(&path).expect("UTF-8")));
            }
        }
    }
    assert!(!sources.is_empty(), "nothing to read in {folder}");
    sources.sort();
    sources
}

/// The crates that Cargo.toml depends on, as Rust writes them.
fn dependencies() -> Vec<String> {
    let manifest = include_str!("../Cargo.toml");
    let mut inside = false;
    let mut crates = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.trim_end().ends_with("dependencies]");
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside) {
            crates.push(name.split('.').next().unwrap_or(name).trim().replace('-', "_"));
        }
    }
    assert!(crates.iter().any(|name| name == "napi_derive"), "Cargo.toml is not read as it should be: {crates:?}");
    crates
}

#[test]
fn a_trespass_is_told_by_room_and_line() {
    let crates = ["mio", "http", "tokio"].map(String::from);
    let cases: &[(&str, &str, &[&str])] = &[
        ("src/protocol/x.rs", "\nuse mio::Token;", &["protocol may not use mio (src/protocol/x.rs:2)"]),
        ("src/protocol/x.rs", "use http::Method; use crate::limits::X; use crate::protocol::Y;", &[]),
        ("src/protocol/x.rs", "use crate::http::Y;", &["protocol may not use http (src/protocol/x.rs:1)"]),
        (
            "src/http/x.rs",
            "use crate::{limits, bridge::{error, Z}, reactor as r};",
            &["http may not use bridge (src/http/x.rs:1)", "http may not use reactor (src/http/x.rs:1)"],
        ),
        ("src/http/x.rs", "use std::{fmt, time::Instant};", &["http may not use std::time (src/http/x.rs:1)"]),
        ("src/reactor/x.rs", "use std::{fmt, time::Instant};", &[]),
        ("src/reactor/x.rs", "fn f() { ::tokio::spawn(x) }", &["reactor may not use tokio (src/reactor/x.rs:1)"]),
        ("src/reactor/x.rs", "extern crate tokio;", &["reactor may not use tokio (src/reactor/x.rs:1)"]),
        ("src/reactor/mod.rs", "use super::gate::Y;", &["reactor may not use gate (src/reactor/mod.rs:1)"]),
        ("src/reactor/x.rs", "use super::super::gate::Y;", &["reactor may not use super::super (src/reactor/x.rs:1)"]),
        ("src/node/x.rs", "use crate::protocol::Y;", &["node may not use protocol (src/node/x.rs:1)"]),
        ("src/attic.rs", "", &["src/attic.rs is in no room: give 'attic' a line in tests/layering.rs"]),
        (
            "src/bridge/x.rs",
            "// mio::A\n/* mio::B /* */ mio::C */ const S: &str = \"mio::\\\"D\"; const R: &str = r#\"\"mio::E\"#;",
            &[],
        ),
        ("src/bridge/x.rs", "fn f<'a>(x: &'a str, q: char) -> bool { q == '\"' } use inner::mio::X;", &[]),
        (
            "src/bridge/x.rs",
            "#[cfg(test)]\n#[path = \"x\"]\nmod tests { fn f() { mio::x() } }\nuse mio::X;",
            &["bridge may not use mio (src/bridge/x.rs:4)"],
        ),
        ("src/bridge/x.rs", "#[cfg(not(test))] use mio::X;", &["bridge may not use mio (src/bridge/x.rs:1)"]),
        ("src/bridge/x.rs", "#[cfg(test)] use mio::X; fn f() {}", &[]),
    ];
    for (path, text, expected) in cases {
        assert_eq!(trespasses(path, text, &crates), *expected, "{text}");
    }
}

#[test]
fn misplaced_unsafe_and_platform_knowledge_and_foreign_requires_are_told() {
    assert_eq!(misplaced_unsafe("src/gate/x.rs", "\nunsafe {}"), ["unsafe may not stand here (src/gate/x.rs:2)"]);
    assert_eq!(misplaced_unsafe("src/gate/x.rs", "#![forbid(unsafe_code)] // unsafe {"), [""; 0]);
    assert_eq!(misplaced_unsafe("src/reactor/poller_epoll.rs", "unsafe {}"), [""; 0]);
    let told = |line| [format!("only some files may know the platform: {line}")];
    for (text, expected) in [
        ("#[cfg(unix)] fn f() {}", "unix (src/gate/x.rs:1)"),
        ("\nconst X: bool = cfg!(any(miri, target_os = \"linux\"));", "target_os (src/gate/x.rs:2)"),
        ("use std::{io, os::fd::AsFd};", "os (src/gate/x.rs:1)"),
        ("fn f() { libc::getpid(); }", "libc (src/gate/x.rs:1)"),
    ] {
        assert_eq!(platform_knowledge("src/gate/x.rs", text), told(expected));
        assert_eq!(platform_knowledge("src/gate/accept.rs", text), [""; 0]);
    }
    assert_eq!(platform_knowledge("src/gate/x.rs", "#[cfg(all(test, unix))] mod tests { use libc::X; }"), [""; 0]);
    assert_eq!(
        platform_knowledge("src/gate/x.rs", "mod unix; const X: bool = cfg!(miri); use super::windows::X;"),
        [""; 0]
    );
    assert_eq!(unsafe_blocks("unsafe impl Send for X {} type F = unsafe fn(); fn f() { unsafe { g() } }"), 2);
    assert_eq!(
        foreign_requires("lib/app.js", "require('ws');\nrequire('./engine'); require('node:util');"),
        ["lib may not require 'ws'); (lib/app.js:1)"]
    );
    assert_eq!(foreign_requires("lib/binding.js", "require(file)"), [""; 0]);
}
