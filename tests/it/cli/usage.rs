//! What was typed, and the configuration that it goes by.

use serde_json::Value;

use super::{send, stripe};
use crate::helpers::cli::Cli;
use crate::helpers::gateway::{SOURCES, handler};

#[test]
fn wrong_usage_is_exit_2() {
    let cli = Cli::new();
    let cases: [&[&str]; 12] = [
        &[],
        &["srve"],
        &["serve", "--lisen", "x"],
        &["serve", "--listen", "nowhere"],
        &["serve", "--listen", "0.0.0.0:0"],
        &["serve", "--forward-to", "ftp://x"],
        &["serve", "--database", "postgres://x/y"],
        &["replay"],
        &["log", "--limit", "0"],
        &["log", "--verdict", "frist"],
        &["redrive"],
        &["log", "--config", "missing.toml"],
    ];
    for args in cases {
        cli.run(args).expect(2);
    }
    cli.run(&["log", "--verdict", "frist"]).fails(2, &["did you mean `first`"]);
    assert!(!cli.path("hookgate.db").exists(), "nothing was made");
}

#[test]
fn a_bug_is_one_line_that_says_what_to_do() {
    // No system has threads of this size, and the runtime panics where it gets none.
    let cli = Cli::new().env("RUST_MIN_STACK", "4611686018427387904");
    let told = cli.run(&["check"]).fails(101, &["this is a bug in hookgate", ".rs:", "report"]);
    assert_eq!(told.stderr.lines().count(), 1, "{}", told.stderr);
    let told = cli.run(&["check", "--log-format", "json"]).expect(101);
    let row: Value = serde_json::from_str(&told.stderr).unwrap_or_else(|error| panic!("{error}: {}", told.stderr));
    assert_eq!(row["level"], "ERROR");
    assert!(row["message"].as_str().is_some_and(|message| message.contains("bug")), "{row}");
}

#[test]
fn help_and_version_are_exit_0() {
    let cli = Cli::new();
    for args in [&["--help"][..], &["--version"], &["serve", "--help"], &["log", "show", "--help"]] {
        let told = cli.run(args).expect(0);
        assert!(!told.stdout.is_empty() && told.stderr.is_empty());
    }
}

#[test]
fn a_config_that_is_wrong_is_exit_2_with_its_place_and_the_nearest_name() {
    let cases: [(&str, &[&str]); 6] = [
        ("[sources.stripe]\nprovider = \"stripe\"\nsecrts = []\n", &["hookgate.toml:3:1", "secrts", "did you mean `secrets`"]),
        ("[sources.stripe]\nprovider = \"strype\"\n", &["hookgate.toml:2:12", "strype", "did you mean `stripe`"]),
        ("[sorces.stripe]\nprovider = \"stripe\"\n", &["hookgate.toml:1:2", "did you mean `sources`"]),
        ("[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ file = \".\" }]\n", &["hookgate.toml:3:12", "cannot read"]),
        ("[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ file = \"empty\" }]\n", &["hookgate.toml:3:12", "is empty"]),
        ("[sources.stripe\n", &["hookgate.toml:1:"]),
    ];
    for (config, says) in cases {
        let cli = Cli::with_config(config);
        cli.write("empty", " \n");
        for command in [&["check"][..], &["serve"], &["log"], &["replay", "x"]] {
            cli.run(command).fails(2, says);
        }
        assert!(!cli.path("hookgate.db").exists());
    }
}

#[test]
fn an_empty_secret_in_the_environment_is_exit_2_and_one_that_is_not_set_leaves_the_source_pending() {
    let config = "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ env = \"S\" }]\n";
    for empty in ["", " ", "\n"] {
        Cli::with_config(config).env("S", empty).run(&["check"]).fails(2, &["env S", "empty"]);
    }
    Cli::new().env("STRIPE_WEBHOOK_SECRET", "").run(&["serve"]).fails(2, &["STRIPE_WEBHOOK_SECRET"]);
    let cli = Cli::with_config(config);
    let told = cli.run(&["check"]).expect(0);
    assert!(told.stderr.contains("pending"), "{}", told.stderr);
    let serving = cli.serve(&[]);
    assert_eq!(send(&serving, &stripe("evt_1")).status, 503);
    assert!(serving.stop().expect(0).stderr.contains("pending"));
}

#[test]
fn check_says_what_each_source_and_handler_will_do_and_shows_no_secret() {
    let table =
        handler("billing", "http://127.0.0.1:9000/x?token=canary", "headers = { Authorization = { literal = \"canary\" } }");
    let cli = Cli::with_config(&format!("{SOURCES}{table}"));
    let told = cli.run(&["check"]).expect(0);
    for words in
        ["POST /hooks/stripe", "POST /hooks/github", "its sender does not retry", "POST http://127.0.0.1:9000/x", "15 attempts"]
    {
        assert!(told.stdout.contains(words), "`{words}` is not in:\n{}", told.stdout);
    }
    let rows = cli.run(&["check", "--json"]).expect(0).json();
    assert_eq!(rows.len(), 3);
    assert!(!cli.path("hookgate.db").exists(), "who only looks makes nothing");
}

#[test]
fn commands_find_the_admin_listener_and_its_token_themselves() {
    let cli = Cli::with_config(SOURCES).env("HOOKGATE_ADMIN_TOKEN", "canary-admin-token");
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    assert_eq!(cli.run(&["log", "--json"]).expect(0).json().len(), 1);
    let cli = cli.without("HOOKGATE_ADMIN_TOKEN");
    cli.run(&["log"]).fails(2, &["HOOKGATE_ADMIN_TOKEN"]);
    serving.stop().expect(0);
    assert_eq!(cli.run(&["log", "--json"]).expect(0).json().len(), 1);
}

#[test]
fn an_admin_token_that_is_not_set_opens_no_listener_and_stops_no_reader() {
    let config = format!("[admin]\ntoken = {{ env = \"TOKEN\" }}\n{SOURCES}");
    let cli = Cli::with_config(&config);
    for command in ["serve", "check"] {
        cli.run(&[command]).fails(2, &["hookgate.toml:2:9", "env TOKEN", "HOOKGATE_ADMIN_TOKEN"]);
    }
    assert!(!cli.path("hookgate.db").exists());
    let cli = cli.env("TOKEN", "canary-admin-token");
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    let cli = cli.without("TOKEN");
    cli.run(&["log"]).fails(2, &["HOOKGATE_ADMIN_TOKEN"]);
    serving.stop().expect(0);
    assert_eq!(cli.run(&["log", "--json"]).expect(0).json().len(), 1);
}
