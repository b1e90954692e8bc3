//! What the documents tell a reader to type or to write works as it stands there.

use clap::Parser;
use hookgate::cli::Cli;
use hookgate::config::{self, Environment, Flags, Keys};

const README: &str = include_str!("../../README.md");
const PROVIDERS: &str = include_str!("../../docs/providers.md");

/// The fenced blocks of a language.
fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let fence = format!("```{language}\n");
    text.split(fence.as_str()).skip(1).map(|rest| rest.split("```").next().expect("a block ends")).collect()
}

/// Every command line of the gateway in a text: in a block, or between backticks.
fn commands(text: &str) -> Vec<String> {
    let in_blocks =
        blocks(text, "sh").into_iter().flat_map(str::lines).map(|line| line.split(" #").next().unwrap_or_default().trim());
    let in_line = text.split('`').filter(|span| !span.contains('\n'));
    let all = in_blocks.chain(in_line).map(|line| line.replace("cargo run -- ", "hookgate "));
    let first = all.map(|line| line.split(" | ").next().unwrap_or_default().to_owned());
    first.filter(|line| line.starts_with("hookgate ")).collect()
}

#[test]
fn every_command_of_the_readme_is_one() {
    let placeholders = ["COMMAND", "OLD", "NEW", "ID"];
    let commands: Vec<_> =
        commands(README).into_iter().filter(|line| !line.split(' ').any(|word| placeholders.contains(&word))).collect();
    assert!(commands.len() > 20, "they were found: {commands:?}");
    for line in commands {
        let words: Vec<_> = line.split_whitespace().collect();
        if let Err(error) = Cli::try_parse_from(&words) {
            // A command alone names itself.
            let named = words.len() <= 3 && error.kind() == clap::error::ErrorKind::MissingRequiredArgument;
            assert!(named, "`{line}`: {error}");
        }
    }
}

#[test]
fn every_configuration_of_the_documents_is_good() {
    let documents = [README, PROVIDERS].map(|text| blocks(text, "toml"));
    assert!(documents.iter().all(|blocks| !blocks.is_empty()), "they were found");
    for block in documents.into_iter().flatten().filter(|block| block.contains("[sources.")) {
        let variables = Environment::of([
            ("STRIPE_WEBHOOK_SECRET", "whsec_0123456789abcdef"),
            ("GITHUB_WEBHOOK_SECRET", "0123456789abcdef0123"),
            ("ACME_WEBHOOK_SECRET", "0123456789abcdef0123"),
            ("HOOKGATE_ADMIN_TOKEN", "0123456789abcdef0123"),
            ("BILLING_TOKEN", "Bearer 0123456789abcdef"),
        ]);
        let loaded = config::load_text(block, None, &Flags::default(), &variables, Keys::Look);
        assert!(loaded.is_ok(), "{}\n{block}", loaded.err().map(|error| error.to_string()).unwrap_or_default());
    }
}
