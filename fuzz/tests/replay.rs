//! Gives the corpora and the regressions to the targets, without a fuzzer; and a short differential
//! run.

use std::fs;
use std::path::Path;

/// Every input of a target; regressions may be missing.
fn inputs(folder: &str, target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(target);
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    entries
        .map(|entry| {
            let path = entry.expect("an entry of the folder").path();
            (path.display().to_string(), fs::read(&path).expect("an input"))
        })
        .collect()
}

#[test]
fn every_input_keeps_the_properties() {
    for (target, check) in tidewire_fuzz::TARGETS {
        let corpus = inputs("corpus", target);
        assert!(!corpus.is_empty(), "{target} has no corpus");
        check(b"");
        for (path, bytes) in corpus.iter().chain(&inputs("regressions", target)) {
            // A failure shows the last path.
            println!("{path}");
            check(bytes);
        }
    }
}

#[test]
fn every_folder_belongs_to_a_target() {
    for folder in ["corpus", "regressions"] {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).into_iter().flatten() {
            let name = entry.expect("an entry of the folder").file_name();
            let known = tidewire_fuzz::TARGETS.iter().any(|(target, _)| name == *target);
            assert!(known, "{folder}/{} is no target's", name.display());
        }
    }
}

#[test]
fn tungstenite_reads_the_same_frames() {
    let counts = tidewire_fuzz::differential::run(10_000, 1);
    assert!(counts.events > 1000 && counts.endings.iter().all(|&streams| streams > 10), "{counts:?}");
}
