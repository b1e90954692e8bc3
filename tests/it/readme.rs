//! What the documents tell a reader to type or to write works as it stands there.

use clap::Parser;
use hookgate::cli::Cli as Typed;
use hookgate::config::{self, Environment, Flags, Keys};
use hookgate::preset::builtin_names;

use crate::helpers::cli::Cli;

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
        if let Err(error) = Typed::try_parse_from(&words) {
            // A command alone names itself.
            let named = words.len() <= 3 && error.kind() == clap::error::ErrorKind::MissingRequiredArgument;
            assert!(named, "`{line}`: {error}");
        }
    }
}

#[test]
fn the_trial_of_a_handler_keeps_to_its_database() {
    let trial = README.split("To try it:").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a paragraph");
    let commands = commands(trial);
    assert_eq!(commands.len(), 3, "{commands:?}");
    assert!(commands.iter().all(|command| command.contains(" --database try.db")), "{commands:?}");
}

#[test]
fn secrets_are_in_the_variables_that_init_names() {
    let cli = Cli::new();
    let variables =
        |line: &str| line.split("env = \"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
    for block in [README, PROVIDERS].into_iter().flat_map(|text| blocks(text, "toml")) {
        let mut written = String::new();
        for line in block.lines() {
            let provider = line.trim().strip_prefix("provider = \"").and_then(|rest| rest.split('"').next());
            match provider.filter(|name| builtin_names().any(|known| known == *name)) {
                Some(name) => written = cli.run(&["init", name, "--stdout"]).expect(0).stdout,
                None if provider.is_some() || line.starts_with('[') => written.clear(),
                None => {}
            }
            let named: Vec<String> = variables(line.trim().strip_prefix("secrets = ").unwrap_or_default());
            assert!(written.is_empty() || named.iter().all(|variable| written.contains(variable)), "`init` names others: {line}");
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
