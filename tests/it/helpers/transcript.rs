//! Transcripts of the command line: Markdown whose blocks are run, and whose outputs must be what the binary says now.
//!
//! A fenced block with a file's name after its language is that file. In a `console` block each line that begins with `$ ` is typed;
//! what follows is what stdout and then stderr must be, and `? N` the exit code where that is not 0. `...` alone on a line is any
//! number of lines, `[..]` within a line any text. Every document has a directory of its own, with the repository's fixtures in it.

use std::path::Path;

use super::cli::{Cli, Output};

/// One command and what it must say.
#[derive(Debug, Default)]
struct Step {
    typed: String,
    code: i32,
    expected: Vec<String>,
}

/// A piece of a document.
#[derive(Debug)]
enum Piece {
    /// As it stands.
    Line(String),
    /// Written before what follows.
    File(String, String),
    /// Run.
    Step(Step),
}

/// Runs a document. What differs, and the document as it would be right.
pub(crate) fn run(text: &str) -> (Vec<String>, String) {
    let cli = Cli::new();
    std::os::unix::fs::symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures"), cli.path("fixtures")).expect("a link");
    let (mut differences, mut now) = (Vec::new(), String::new());
    for piece in pieces(text) {
        match piece {
            Piece::Line(line) => now += &format!("{line}\n"),
            Piece::File(name, content) => cli.write(&name, &content),
            Piece::Step(step) => {
                let output = typed(&cli, &step.typed);
                let said = said(&cli, &output);
                let is_right = output.code == step.code && fits(&step.expected, &said);
                let (code, lines) = if is_right { (step.code, &step.expected) } else { (output.code, &said) };
                let told = |code: i32, lines: &[String]| {
                    let code = if code == 0 { String::new() } else { format!("? {code}\n") };
                    format!("$ {}\n{code}{}", step.typed, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
                };
                if !is_right {
                    differences.push(format!("expected:\n{}is:\n{}", told(step.code, &step.expected), told(output.code, &said)));
                }
                now += &told(code, lines);
            }
        }
    }
    (differences, now)
}

fn pieces(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        pieces.push(Piece::Line(line.to_owned()));
        let Some(info) = line.strip_prefix("```").filter(|info| !info.is_empty()) else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if info == "console" {
            pieces.extend(steps(&block));
        } else {
            pieces.extend(block.iter().map(|line| Piece::Line((*line).to_owned())));
            if let Some((_, name)) = info.split_once(' ') {
                pieces.push(Piece::File(name.to_owned(), block.iter().map(|line| format!("{line}\n")).collect()));
            }
        }
        pieces.push(Piece::Line("```".to_owned()));
    }
    pieces
}

fn steps(block: &[&str]) -> Vec<Piece> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block {
        if let Some(typed) = line.strip_prefix("$ ") {
            steps.push(Step { typed: typed.to_owned(), ..Step::default() });
            continue;
        }
        let step = steps.last_mut().expect("a console block begins with a command");
        match line.strip_prefix("? ").and_then(|code| code.parse().ok()) {
            Some(code) if step.expected.is_empty() => step.code = code,
            _ => step.expected.push((*line).to_owned()),
        }
    }
    steps.into_iter().map(Piece::Step).collect()
}

/// `[VARIABLE=VALUE...] hookgate WORDS [< FILE]`.
fn typed(cli: &Cli, line: &str) -> Output {
    let mut words = words(line);
    let variables: Vec<(String, String)> =
        words.iter().map_while(|word| word.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    words.drain(..variables.len());
    assert_eq!(words.remove(0), "hookgate", "{line}");
    let stdin = words.iter().position(|word| word == "<").map(|at| words.split_off(at).remove(1));
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    cli.run_with(&words, &variables, stdin.as_deref())
}

/// Words as a shell has them, without what no transcript needs.
pub(crate) fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => quote = Some(c),
            (' ', None) => words.push(std::mem::take(&mut word)),
            _ => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Its lines, without what differs from machine to machine and from version to version.
fn said(cli: &Cli, output: &Output) -> Vec<String> {
    let directory = cli.directory.path().display().to_string();
    let all = format!("{}{}", output.stdout, output.stderr);
    let plain = all.replace(&directory, "[DIRECTORY]").replace(env!("CARGO_PKG_VERSION"), "[VERSION]");
    plain.lines().map(|line| line.trim_end().to_owned()).collect()
}

fn fits(expected: &[String], said: &[String]) -> bool {
    match (expected, said) {
        ([], []) => true,
        ([any, rest @ ..], _) if any == "..." => (0..=said.len()).any(|skipped| fits(rest, &said[skipped..])),
        ([line, expected @ ..], [first, said @ ..]) => line_fits(line, first) && fits(expected, said),
        _ => false,
    }
}

fn line_fits(expected: &str, said: &str) -> bool {
    let mut parts = expected.split("[..]");
    let begin = parts.next().unwrap_or_default();
    let Some(mut rest) = said.strip_prefix(begin) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else { return false };
        rest = after;
    }
    rest.ends_with(last)
}

#[test]
fn a_transcript_that_is_not_true_is_noticed() {
    let document = |typed: &str, says: &str| format!("# Title\n\n```console\n$ {typed}\n{says}```\n");
    let right = document("hookgate --version", "hookgate [VERSION]\n");
    assert_eq!(run(&right), (Vec::new(), right.clone()));
    for wrong in ["hookgate 0\n", "hookgate [VERSION]\nmore\n", "? 1\nhookgate [VERSION]\n", "...\nno\n", "[..]x\n", ""] {
        let (differences, now) = run(&document("hookgate --version", wrong));
        assert_eq!((differences.len(), now), (1, right.clone()), "{wrong:?}");
    }
    for loose in ["...\n", "hook[..]ON]\n", "...\n[..]gate [..]\n...\n"] {
        assert!(run(&document("hookgate --version", loose)).0.is_empty(), "{loose:?}");
    }
    assert_eq!(words("A='b c' hookgate x \"y\"  z"), ["A=b c", "hookgate", "x", "y", "z"]);
}
