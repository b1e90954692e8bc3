//! `hookgate purge`: through a running gateway, and without one.

use serde_json::json;

use crate::helpers::cli::Cli;
use crate::helpers::gateway::{SOURCES, runtime};
use crate::helpers::http;
use crate::helpers::sender;

fn deliver(serving: &crate::helpers::cli::Serving, id: &str) {
    let fields = sender::github(crate::helpers::gateway::GITHUB, id, "push", b"{}");
    let answer = runtime().block_on(http::exchange(serving.listen, &http::request("POST", "/hooks/github", &fields, b"{}")));
    assert_eq!(answer.status, 200);
}

#[test]
fn purge_goes_through_the_running_gateway_or_to_the_database() {
    let retention = "[retention]\nbody_retention = \"0s\"\ndedupe_retention = \"0s\"\nallow_short_retention = true\n";
    let cli = Cli::with_config(&format!("{SOURCES}{retention}"));
    let serving = cli.serve(&[]);
    deliver(&serving, "one");
    deliver(&serving, "two");
    let live = cli.run(&["purge", "--json"]).expect(0);
    assert_eq!(live.json(), [json!({ "v": 1, "bodies": 2, "events": 2, "deliveries": 0, "more": false })]);
    deliver(&serving, "one");
    serving.stop().expect(0);
    let offline = cli.run(&["purge"]).expect(0);
    assert_eq!(offline.stdout, "purged  bodies 1, events 1, rows of the log 0\n");
    let again = cli.run(&["purge", "--json"]).expect(0);
    assert_eq!(again.json(), [json!({ "v": 1, "bodies": 0, "events": 0, "deliveries": 0, "more": false })]);
    let log = cli.run(&["log", "--json"]).expect(0);
    let told: Vec<_> = log.json().iter().map(|row| (row["event_id"].clone(), row["state"].clone())).collect();
    assert_eq!(told, [(json!("one"), json!(null)), (json!("two"), json!(null)), (json!("one"), json!(null))]);
}

#[test]
fn purge_without_a_database_or_with_too_short_a_retention_says_what_to_do() {
    Cli::with_config(SOURCES).run(&["purge"]).fails(3, &["no database"]);
    let short = Cli::with_config(&format!("{SOURCES}[retention]\ndedupe_retention = \"1d\"\n"));
    for command in ["purge", "check", "serve"] {
        short.run(&[command]).fails(2, &["hookgate.toml:", "source `stripe`", "Stripe", "30d", "allow_short_retention"]);
    }
}

#[test]
fn a_listing_says_how_far_back_the_log_goes() {
    let cli = Cli::with_config(&format!("{SOURCES}[retention]\nlog_bytes = \"1KiB\"\n"));
    let serving = cli.serve(&[]);
    for number in 0..9 {
        deliver(&serving, &format!("id-{number}"));
    }
    serving.stop().expect(0);
    let purged = cli.run(&["purge", "--json"]).expect(0).json();
    assert!(purged[0]["deliveries"].as_u64().is_some_and(|rows| (3..9).contains(&rows)), "{purged:?}");
    let listing = cli.run(&["log"]).expect(0);
    assert!(listing.stderr.contains("the log goes back to"), "{}", listing.stderr);
    assert_eq!(listing.stdout.matches("id-").count(), 9, "every first delivery is shown all the same\n{}", listing.stdout);
}
