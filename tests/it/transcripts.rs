//! What the command line says, word for word: the documents in `tests/cli`.

use std::path::Path;

use crate::helpers::transcript;

/// Set to `overwrite`, the documents are made to say what the binary says now; the difference is then for a reader to judge.
const SWITCH: &str = "HOOKGATE_TRANSCRIPTS";

#[test]
fn every_transcript_says_what_the_binary_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli");
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("it is there").map(|entry| entry.expect("a file").path()).collect();
    paths.sort();
    assert!(paths.len() > 5, "they were found");
    let mut told = Vec::new();
    for path in paths {
        let text = std::fs::read_to_string(&path).expect("text");
        let (differences, now) = transcript::run(&text);
        if differences.is_empty() {
            continue;
        }
        if std::env::var(SWITCH).is_ok_and(|word| word == "overwrite") {
            std::fs::write(&path, now).expect("a checkout");
        }
        told.push(format!("{}:\n{}", path.display(), differences.join("\n")));
    }
    assert!(told.is_empty(), "{}\nIf the binary is right: {SWITCH}=overwrite cargo test --test it transcripts", told.join("\n"));
}
