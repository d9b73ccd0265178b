//! Holds what the addon is built of: how many crates, from where, and that each is named in THIRD_PARTY.md.
//!
//! It reads the lock files as text, so it needs no network and asks no tool. `npm run verify -- deny` looks at
//! licences, at known weaknesses, and at the texts of THIRD_PARTY.md themselves.

use std::collections::BTreeSet;

/// A release is built of fewer crates than this, on all platforms together. Each one is somebody else's code with
/// the rights of the process, so a new one has to be worth a place of another.
const CRATES: usize = 120;

const MANIFEST: &str = include_str!("../Cargo.toml");
const LOCK: &str = include_str!("../Cargo.lock");
const NPM_LOCK: &str = include_str!("../package-lock.json");
const NOTICES: &str = include_str!("../THIRD_PARTY.md");

/// One package of Cargo.lock.
#[derive(Debug, Default)]
struct Package<'a> {
    name: &'a str,
    version: &'a str,
    source: Option<&'a str>,
    /// Each a name, with the version behind it where there are several.
    dependencies: Vec<&'a str>,
}

#[test]
fn a_release_is_built_of_few_crates() {
    let crates = release();
    assert!(crates.contains("tokio") && crates.contains("napi-build"), "the lock file is not read as it should be");
    assert!(!crates.contains("proptest") && !crates.contains("loom"), "what tests use is no part of a release");
    assert!(crates.len() < CRATES, "{} crates: fewer than {CRATES} are allowed\n{crates:?}", crates.len());
}

#[test]
fn every_crate_comes_from_the_default_registry() {
    let sources: BTreeSet<&str> = packages().iter().filter_map(|package| package.source).collect();
    assert_eq!(sources.len(), 1, "one registry is enough: {sources:?}");
    // A mirror would be `sparse+`, a repository `git+`: the registry that cargo has by default is written like this
    // wherever its packages are taken from.
    assert!(sources.iter().all(|source| source.starts_with("registry+") && source.ends_with("-index")), "{sources:?}");
    let workspace: Vec<&str> =
        packages().iter().filter(|package| package.source.is_none()).map(|package| package.name).collect();
    assert_eq!(workspace, ["tidewire", "tidewire-fuzz", "tidewire-load"], "a dependency by path");
    assert!(!MANIFEST.contains("git = ") && !MANIFEST.contains("[patch"));
}

#[test]
fn the_lock_of_npm_names_no_host() {
    assert!(NPM_LOCK.contains("\"integrity\": \"sha512-"), "packages are held by their hashes");
    // Where a package was downloaded from is not recorded: .npmrc has `omit-lockfile-registry-resolved`.
    let found: Vec<&str> = NPM_LOCK.lines().filter(|line| line.contains("\"resolved\":")).collect();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_notices_name_what_is_in_the_lock_file() {
    let listed: BTreeSet<&str> = NOTICES
        .lines()
        .filter_map(|line| line.strip_prefix("- "))
        .map(|line| line.split(':').next().unwrap_or(line))
        .collect();
    assert!(listed.len() > 50, "THIRD_PARTY.md is not read as it should be");
    let locked: BTreeSet<String> =
        packages().iter().map(|package| format!("{} {}", package.name, package.version)).collect();
    let strange: Vec<_> = listed.iter().filter(|name| !locked.contains(**name)).collect();
    assert!(strange.is_empty(), "THIRD_PARTY.md is of another Cargo.lock, run node scripts/notices.js: {strange:?}");
    let names: BTreeSet<&str> = listed.iter().filter_map(|line| line.split(' ').next()).collect();
    // Macros and what builds are not linked.
    let built = ["napi-build", "napi-derive"];
    let missing: Vec<_> = roots().into_iter().filter(|name| !names.contains(name) && !built.contains(name)).collect();
    assert!(missing.is_empty(), "THIRD_PARTY.md lacks {missing:?}: run node scripts/notices.js");
}

/// The names and versions of the crates of a release, as `name` for the only version and `name version` for others.
/// What the tests' features add to them is in it, so there are a few less in truth.
fn release() -> BTreeSet<String> {
    let packages = packages();
    let mut found = BTreeSet::new();
    let mut open = roots();
    while let Some(wanted) = open.pop() {
        let (name, version) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let package = packages
            .iter()
            .find(|package| package.name == name && (version.is_empty() || package.version == version))
            .unwrap_or_else(|| panic!("Cargo.lock has no {wanted}"));
        if found.insert(wanted.to_owned()) {
            open.extend(&package.dependencies);
        }
    }
    found
}

/// The crates that Cargo.toml asks for, but those for tests and those that a feature brings.
fn roots() -> Vec<&'static str> {
    let mut inside = false;
    let mut roots = Vec::new();
    for line in MANIFEST.lines() {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]") && !line.contains("dev-");
        } else if let Some((name, rest)) = line.split_once(" = ")
            && inside
            && !rest.contains("optional = true")
        {
            roots.push(name);
        }
    }
    roots
}

fn packages() -> Vec<Package<'static>> {
    LOCK.split("[[package]]\n").skip(1).map(package).collect()
}

fn package(text: &'static str) -> Package<'static> {
    let mut package = Package::default();
    for line in text.lines() {
        let quoted = || line.split('"').nth(1).unwrap_or_default();
        match line.split(' ').next() {
            Some("name") => package.name = quoted(),
            Some("version") => package.version = quoted(),
            Some("source") => package.source = Some(quoted()),
            Some("") => package.dependencies.push(quoted()),
            _ => {}
        }
    }
    package.dependencies.retain(|name| !name.is_empty());
    package
}
