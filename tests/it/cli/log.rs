//! `hookgate log` and `log show`.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{github, recorded, send, serve_with_log, stripe};
use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::runtime;
use crate::helpers::http;
use crate::helpers::sender::Fields;

/// A gateway whose log has a first delivery of Stripe's, its repeat, one of GitHub's and one that was refused.
fn with_four_deliveries(cli: &Cli) -> Serving {
    let serving = serve_with_log(cli);
    send(&serving, &stripe("evt_1"));
    send(&serving, &stripe("evt_1"));
    send(&serving, &github("one", b"{}"));
    send(&serving, &http::request("POST", "/hooks/github", &Fields::new(), b"{}"));
    recorded(&serving, 2);
    // The log's rows are written within 100 ms; a redrive of nothing takes them along.
    cli.run(&["redrive", "stripe/evt_1"]).expect(0);
    serving
}

#[test]
fn the_log_is_the_same_while_the_gateway_runs_and_after() {
    let cli = Cli::new();
    let serving = with_four_deliveries(&cli);
    let commands: [&[&str]; 5] = [
        &["log", "--json"],
        &["log"],
        &["log", "--json", "--verdict", "duplicate"],
        &["log", "show", "evt_1", "--json"],
        &["log", "show", "github/one"],
    ];
    let live: Vec<String> = commands.iter().map(|command| cli.run(command).expect(0).stdout).collect();
    serving.stop().expect(0);
    let after: Vec<String> = commands.iter().map(|command| cli.run(command).expect(0).stdout).collect();
    assert_eq!(live, after);
    assert_eq!(live[0].lines().count(), 4);
    assert_eq!(live[2].lines().count(), 1);
}

#[test]
fn log_show_finds_an_event_by_each_of_its_names() {
    let cli = Cli::new();
    let serving = serve_with_log(&cli);
    send(&serving, &stripe("evt_1"));
    send(&serving, &github("same", b"{}"));
    send(&serving, &stripe("same"));
    recorded(&serving, 3);
    let find = |names: &[&str]| -> Vec<Value> {
        names.iter().map(|name| cli.run(&["log", "show", name, "--json"]).expect(0).json().remove(0)).collect()
    };
    let key = find(&["evt_1"])[0]["key"].as_str().expect("a key").to_owned();
    let check = || {
        let found = find(&["stripe/evt_1", &key, "evt_1"]);
        assert!(found.iter().all(|event| event == &found[0] && event["event_id"] == "evt_1"), "{found:?}");
        assert_eq!(find(&["github/same"])[0]["provider"], "github");
        cli.run(&["log", "show", "same"]).fails(2, &["several sources", "SOURCE/EVENT_ID"]);
        cli.run(&["log", "show", "evt_2"]).fails(1, &["no event `evt_2`"]);
        cli.run(&["log", "show", "stripe/evt_2"]).fails(1, &["no event"]);
        cli.run(&["log", "show", "019b0000-0000-7000-8000-000000000000"]).fails(1, &["no event"]);
        cli.run(&["log", "show", "not visible"]).fails(2, &["names no event"]);
    };
    check();
    serving.stop().expect(0);
    check();
}

#[test]
fn log_show_tells_the_story_and_gives_the_exact_body() {
    let cli = Cli::new();
    let serving = serve_with_log(&cli);
    let body: Vec<u8> = (0..=255).collect();
    send(&serving, &github("one", &body));
    recorded(&serving, 1);
    let told = cli.run(&["log", "show", "github/one"]).expect(0).stdout;
    for words in ["github/one", "push", "done", "256 B", "handler printer", "answered", "[200]", "first"] {
        assert!(told.contains(words), "`{words}` is not in:\n{told}");
    }
    let (code, live, _) = cli.bytes(&["log", "show", "github/one", "--body"]);
    assert_eq!((code, &live), (0, &body));
    serving.stop().expect(0);
    let (code, after, _) = cli.bytes(&["log", "show", "github/one", "--body"]);
    assert_eq!((code, &after), (0, &body));
}

#[test]
fn log_as_json_says_on_stderr_that_there_is_more() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    send(&serving, &stripe("evt_1"));
    // The log's rows are written within 100 ms; a redrive of nothing takes them along.
    cli.run(&["redrive", "stripe/evt_1"]).expect(0);
    let cut = cli.run(&["log", "--json", "--limit", "1"]).expect(0);
    assert_eq!(cut.json().len(), 1);
    assert!(cut.stderr.contains("--limit") && cut.stderr.contains("since"), "{}", cut.stderr);
    assert_eq!(cli.run(&["log", "--json", "--limit", "1", "-q"]).expect(0).stderr, "");
    let all = cli.run(&["log", "--json"]).expect(0);
    assert_eq!((all.json().len(), all.stderr.as_str()), (2, ""));
    serving.stop().expect(0);
}

#[test]
fn log_without_a_database_is_exit_3_and_makes_none() {
    let cli = Cli::new();
    cli.run(&["log"]).fails(3, &["there is no database"]);
    assert!(!cli.path("hookgate.db").exists());
}

#[test]
fn log_follows_what_comes() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    let [text, rows] = [&["log", "--follow"][..], &["log", "--follow", "--json"]].map(|args| cli.start(args));
    assert!(text.stdout.line("stripe/evt_1").contains("first"));
    rows.stdout.line("evt_1");
    send(&serving, &stripe("evt_2"));
    send(&serving, &stripe("evt_1"));
    assert!(text.stdout.line("stripe/evt_2").contains("first"));
    assert!(text.stdout.line("duplicate").contains("stripe/evt_1"));
    let row: Value = serde_json::from_str(&rows.stdout.line("\"verdict\":\"duplicate\"")).expect("JSON");
    assert_eq!((&row["event_id"], &row["verdict"]), (&json!("evt_1"), &json!("duplicate")));
    let told = text.end(Signal::INT).expect(0);
    assert_eq!(told.stdout.matches("evt_2").count(), 1, "each row once");
    rows.end(Signal::INT).expect(0);
    serving.stop().expect(0);
}

#[test]
fn a_follower_is_told_of_a_slow_delivery_that_others_overtook() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_0"));
    let follower = cli.start(&["log", "--follow"]);
    follower.stdout.line("evt_0");
    let slow = stripe("evt_slow");
    let (head, rest) = slow.split_at(slow.len() - 10);
    runtime().block_on(async {
        let mut connection = http::Connection::to(serving.listen).await;
        connection.send(head).await;
        // The gateway has taken the slow one's head once it has answered a later request of another connection.
        for id in ["evt_1", "evt_2"] {
            assert_eq!(http::exchange(serving.listen, &stripe(id)).await.status, 200);
        }
        follower.stdout.line("evt_2");
        connection.send(rest).await;
        assert_eq!(connection.answer().await.status, 200);
    });
    follower.stdout.line("evt_slow");
    send(&serving, &stripe("evt_3"));
    follower.stdout.line("evt_3");
    let told = follower.end(Signal::INT).expect(0);
    for id in ["evt_0", "evt_1", "evt_2", "evt_3", "evt_slow"] {
        assert_eq!(told.stdout.matches(id).count(), 1, "each once: {}", told.stdout);
    }
    serving.stop().expect(0);
}

#[test]
fn every_filter_of_log_is_that_of_the_admin_listener() {
    let cli = Cli::new();
    let serving = with_four_deliveries(&cli);
    let cases: [(&[&str], usize); 15] = [
        (&[], 4),
        (&["--source", "github"], 2),
        (&["--event-id", "evt_1"], 2),
        (&["--type", "invoice.*"], 2),
        (&["--type", "invoice"], 2),
        (&["--verdict", "rejected"], 1),
        (&["--state", "done"], 2),
        (&["--state", "dead"], 0),
        (&["--handler", "printer", "--verdict", "first"], 2),
        (&["--since", "1h"], 4),
        (&["--since", "10000y"], 4),
        (&["--since", "500000000000y"], 4),
        (&["--since", "2099-01-01T00:00:00Z"], 0),
        (&["--limit", "3"], 3),
        (&["--source", "stripe", "--verdict", "duplicate"], 1),
    ];
    let check = || {
        for (filter, rows) in cases {
            let told = cli.run(&[&["log", "--json"], filter].concat()).expect(0).json();
            assert_eq!(told.len(), rows, "{filter:?}");
        }
        cli.run(&["log", "--since", "yesterday"]).fails(2, &["--since"]);
        cli.run(&["log", "--source", "Not A Name"]).fails(2, &["source"]);
    };
    check();
    serving.stop().expect(0);
    check();
}

#[test]
fn log_show_takes_a_githubs_uuid_for_its_event_and_shows_a_rejected_delivery_by_its_id() {
    let cli = Cli::new();
    let serving = serve_with_log(&cli);
    let uuid = "72d3162e-cc78-11e3-81ab-4c9367dc0958";
    send(&serving, &github(uuid, b"{}"));
    send(&serving, &http::request("POST", "/hooks/github", &Fields::new(), b"{}"));
    recorded(&serving, 1);
    cli.run(&["redrive", uuid]).expect(0);
    let rejected = cli.run(&["log", "--json", "--verdict", "rejected"]).expect(0).json().remove(0);
    let check = || {
        let found = cli.run(&["log", "show", uuid, "--json"]).expect(0).json().remove(0);
        assert_eq!((&found["source"], &found["event_id"]), (&json!("github"), &json!(uuid)));
        let id = rejected["delivery_id"].as_str().expect("an id");
        assert_eq!(cli.run(&["log", "show", id, "--json"]).expect(0).json(), std::slice::from_ref(&rejected));
        assert!(cli.run(&["log", "show", id]).expect(0).stdout.contains("signature-missing"));
    };
    check();
    serving.stop().expect(0);
    check();
    cli.run(&["log", "--follow"]).fails(3, &["no gateway runs"]);
}
