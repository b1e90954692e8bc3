//! The rooms of the house and who may know whom: crates do not enforce it, so this reads the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Which rooms a room may use besides itself. What is not here is a room of its own and knows nobody.
const ARROWS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("flaws", &[]),
    ("sync", &[]),
    ("clock", &["model"]),
    ("fixture", &["model"]),
    ("preset", &["model"]),
    ("verify", &["preset", "model", "flaws"]),
    ("ledger", &["verify", "model", "clock", "sync", "flaws"]),
    ("handler", &["model"]),
    ("gateway", &["verify", "ledger", "handler", "model", "clock"]),
    ("config", &["preset", "verify", "model"]),
    ("app", &["config", "gateway", "handler", "ledger", "model", "clock", "verify"]),
    ("web", &["app", "gateway", "ledger", "model", "config"]),
    ("embed", &["web", "app", "config", "gateway", "handler", "ledger", "model", "clock", "sync"]),
    ("cli", &["app", "clock", "config", "fixture", "gateway", "handler", "ledger", "model", "preset", "verify", "web"]),
];

/// Words and the rooms that may say them.
const WORDS: &[(&str, &[&str])] = &[
    ("actix", &["web", "cli", "embed"]),
    ("clap::", &["cli"]),
    ("std::env", &["config", "flaws"]),
    ("rusqlite", &["ledger"]),
    ("r2d2", &["ledger"]),
    ("reqwest", &["handler", "cli", "config"]),
    ("println!", &[]),
    ("print!(", &[]),
    ("eprintln!", &[]),
    ("eprint!(", &[]),
    ("std::io::stdout", &["cli"]),
    ("std::io::stderr", &["cli"]),
    ("anstream", &["cli"]),
    ("SystemTime::now", &["clock"]),
    ("Instant::now", &["clock", "sync"]),
    ("thread::sleep", &[]),
    ("time::sleep(", &[]),
    ("unsafe {", &[]),
];

/// The one word that has leave: where our own file lies is no environment, and the next command to type is told by it.
const LEAVE: (&str, &str) = ("cli", "std::env::current_exe()");

/// How a statement begins. No text of another room has these.
const STATEMENTS: &[&str] = &[
    "SELECT ",
    "INSERT INTO ",
    "INSERT OR ",
    "UPDATE ",
    "DELETE FROM ",
    "CREATE TABLE",
    "CREATE INDEX",
    "PRAGMA ",
    "BEGIN IMMEDIATE",
];

/// A source file without its comments, its tests and what they say.
struct Source {
    path: PathBuf,
    room: String,
    lines: Vec<(usize, String)>,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 50, "the sources are there");
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            collect(&path, root, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(root).expect("below it").to_owned();
            let first = relative.components().next().expect("a part").as_os_str().to_str().expect("text");
            let room = first.trim_end_matches(".rs").to_owned();
            let text = std::fs::read_to_string(&path).expect("text");
            found.push(Source { room, lines: code(&text), path: relative });
        }
    }
}

/// The lines before the unit tests, which stand at the end of a file, without comments.
fn code(text: &str) -> Vec<(usize, String)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let before_tests = numbered.take_while(|(_, line)| *line != "mod tests {");
    before_tests
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.split(" // ").next().unwrap_or_default().to_owned()))
        .collect()
}

/// Every room that a line names by `crate::`, groups included.
fn used(line: &str) -> Vec<String> {
    let mut rooms = Vec::new();
    for (at, _) in line.match_indices("crate::") {
        let rest = &line[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(group) => group.split([',', '}']).collect(),
            None => vec![rest],
        };
        rooms.extend(
            names.into_iter().map(|name| name.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()),
        );
    }
    rooms.retain(|room: &String| !room.is_empty());
    rooms
}

#[test]
fn a_room_uses_only_the_rooms_below_it() {
    let arrows: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| !matches!(source.room.as_str(), "lib" | "main")) {
        let Some(allowed) = arrows.get(source.room.as_str()) else {
            broken.push(format!("{}: a room without a line in this test", source.path.display()));
            continue;
        };
        for (number, line) in &source.lines {
            for room in used(line).iter().filter(|room| **room != source.room && arrows.contains_key(room.as_str())) {
                if !allowed.contains(&room.as_str()) {
                    broken.push(format!("{}:{number}: {} -> {room}", source.path.display(), source.room));
                }
            }
        }
    }
    assert!(broken.is_empty(), "broken arrows:\n{}", broken.join("\n"));
}

#[test]
fn what_belongs_to_one_room_is_named_in_no_other() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room != "main") {
        for (number, line) in &source.lines {
            if source.room == LEAVE.0 && line.contains(LEAVE.1) {
                continue;
            }
            let words = WORDS.iter().filter(|(word, rooms)| line.contains(word) && !rooms.contains(&source.room.as_str()));
            broken.extend(words.map(|(word, _)| format!("{}:{number}: `{word}`: {}", source.path.display(), line.trim())));
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn statements_are_written_in_the_ledger_alone() {
    let mut broken = Vec::new();
    for source in sources().iter().filter(|source| source.room != "ledger") {
        for (number, line) in &source.lines {
            if STATEMENTS.iter().any(|statement| line.contains(statement)) {
                broken.push(format!("{}:{number}: {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn this_test_sees_what_it_looks_for() {
    assert_eq!(used("use crate::clock::Clock;"), ["clock"]);
    assert_eq!(used("use crate::{app::Gateway, model};"), ["app", "model"]);
    assert_eq!(used("    let x: crate::model::Secret = crate::ledger::y();"), ["model", "ledger"]);
    assert_eq!(code("a // b\n// c\n    /// d\ne\nmod tests {\nf"), [(1, "a".to_owned()), (4, "e".to_owned())]);
    let lines: usize = sources().iter().map(|source| source.lines.len()).sum();
    assert!(lines > 5_000, "{lines} lines of code");
    for (room, _) in ARROWS {
        assert!(sources().iter().any(|source| source.room == *room), "there is no room `{room}` any more");
    }
}
