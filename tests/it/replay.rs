//! The two-minute trial, and the rest of `replay`: what it sends is what a provider would send.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::helpers::cli::{Cli, Output, Serving, fixtures};
use crate::helpers::gateway::{GITHUB, SOURCES, handler, runtime};
use crate::helpers::http;
use crate::helpers::sender;
use crate::helpers::target::{Reply, Target};

/// What a fixture's own file says must come of it.
struct Expected {
    accepted: bool,
    status: Option<i64>,
    event: Option<String>,
}

/// Every fixture of these providers by its name, read without the gateway's own reader.
fn expected(providers: &[&str]) -> BTreeMap<String, Expected> {
    let mut all = BTreeMap::new();
    for provider in providers {
        for folder in std::fs::read_dir(fixtures(provider)).expect("the fixtures are there") {
            let folder = folder.expect("a folder").path();
            let case: toml::Table = std::fs::read_to_string(folder.join("case.toml")).expect("a case").parse().expect("TOML");
            let text = |name: &str| case.get(name).and_then(toml::Value::as_str);
            let event = text("event_id").map(|id| format!("{provider}/{id}"));
            let expected = Expected {
                accepted: text("expect") == Some("accepted"),
                status: case.get("status").and_then(toml::Value::as_integer),
                event,
            };
            all.insert(
                folder.file_name().and_then(|name| name.to_str()).map(|name| format!("{provider}/{name}")).expect("a name"),
                expected,
            );
        }
    }
    assert!(all.values().any(|case| case.accepted) && all.values().any(|case| !case.accepted));
    all
}

fn accepted(all: &BTreeMap<String, Expected>) -> usize {
    all.values().filter(|case| case.accepted).count()
}

/// Plays the fixtures of these providers.
#[track_caller]
fn play(cli: &Cli, serving: &Serving, providers: &[&str], flags: &[&str]) -> Output {
    let paths: Vec<String> = providers.iter().map(|provider| fixtures(provider)).collect();
    let url = serving.url();
    let mut args = vec!["replay", "--to", &url];
    args.extend(paths.iter().map(String::as_str));
    args.extend(flags);
    cli.run(&args)
}

/// The name of a fixture as `expected` has it.
fn name_of(row: &Value) -> String {
    let path = Path::new(row["fixture"].as_str().expect("a name"));
    let mut parts: Vec<_> = path.iter().rev().take(2).map(|part| part.to_str().expect("text")).collect();
    if parts.len() == 1 {
        parts.push(row["source"].as_str().expect("a source"));
    }
    format!("{}/{}", parts[1], parts[0])
}

fn count(rows: &[Value], verdict: &str) -> usize {
    rows.iter().filter(|row| row["verdict"] == verdict).count()
}

#[test]
fn the_trial_the_second_time_every_answer_is_the_recorded_one() {
    let all = expected(&["stripe", "github"]);
    let total = accepted(&all);
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let told = play(&cli, &serving, &["stripe", "github"], &[]).expect(0);
    assert!(told.stdout.contains("SENT") && told.stdout.contains("DUPLICATE"), "{}", told.stdout);
    let first = cli.run(&["log", "--json", "--verdict", "first"]).expect(0).json();
    assert_eq!(first.len(), total);
    let rows = play(&cli, &serving, &["stripe", "github"], &["--json"]).expect(0).json();
    assert_eq!((count(&rows, "duplicate"), rows.len()), (total, total));
    for row in &rows {
        assert_eq!((&row["status"], &row["replayed"], &row["as_expected"]), (&200.into(), &true.into(), &true.into()), "{row}");
        assert_eq!(row["event"].as_str(), all[&name_of(row)].event.as_deref(), "{row}");
    }
    // Every event is in the printer's hands by then; an orderly end waits for what it has in hand.
    let printed = |lines: &[String]| lines.iter().filter(|line| line.contains("  printer  ")).count();
    serving.process.stdout.wait_for(|lines| printed(lines) >= total).expect("it runs");
    let told = serving.stop().expect(0);
    let log = cli.run(&["log", "--json", "--limit", "1000"]).expect(0).json();
    assert_eq!(log.len(), 2 * total);
    for row in log.iter().filter(|row| row["verdict"] == "first") {
        assert_eq!((&row["state"], &row["attempts"], &row["duplicates"]), (&"done".into(), &1.into(), &1.into()), "{row}");
    }
    assert_eq!(told.stdout.matches("  printer  ").count(), total, "once an event");
    for case in all.values().filter(|case| case.accepted) {
        let name = case.event.as_deref().expect("an accepted one has an event");
        assert_eq!(told.stdout.matches(&format!("  printer  {name}  ")).count(), 1, "{name}");
    }
}

#[test]
fn a_client_of_any_other_make_gets_the_recorded_answer_too() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let body = b"{\"zen\":\"Keep it logically awesome.\"}";
    let request = http::request("POST", "/hooks/github", &sender::github(GITHUB, "one", "ping", body), body);
    let send = || runtime().block_on(http::exchange(serving.listen, &request)).without_date();
    let first = send();
    assert_eq!((first.status, first.header("idempotent-replayed")), (200, None));
    let mut second = send();
    assert_eq!(second.header("idempotent-replayed"), Some("true"));
    second.headers.retain(|(name, _)| name != "idempotent-replayed");
    assert_eq!(first, second, "status, headers and body");
    serving.stop().expect(0);
}

#[test]
fn all_plays_the_refused_cases_too_and_each_is_refused_as_it_should_be() {
    let all = expected(&["stripe", "github"]);
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let rows = play(&cli, &serving, &["stripe", "github"], &["--all", "--json"]).expect(0).json();
    assert_eq!(rows.len(), all.len());
    for row in &rows {
        let case = &all[&name_of(row)];
        if case.accepted {
            assert_eq!((&row["verdict"], &row["status"]), (&"first".into(), &200.into()), "{row}");
        } else {
            assert_eq!((&row["verdict"], &row["status"]), (&"rejected".into(), &case.status.into()), "{row}");
        }
    }
    let log = cli.run(&["log", "--json", "--limit", "1000", "--verdict", "first"]).expect(0).json();
    assert_eq!(log.len(), accepted(&all), "no refused one became an event");
    serving.stop().expect(0);
}

#[test]
fn bad_signatures_are_all_refused_and_that_is_what_is_expected() {
    let all = expected(&["stripe", "github"]);
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let rows = play(&cli, &serving, &["stripe", "github"], &["--bad-signature", "--json"]).expect(0).json();
    assert_eq!(rows.len(), accepted(&all));
    assert!(rows.iter().all(|row| row["status"] == 401 && row["as_expected"] == true), "{rows:?}");
    assert_eq!(cli.run(&["log", "--json", "--verdict", "first"]).expect(0).stdout, "");
    serving.stop().expect(0);
}

#[test]
fn stale_deliveries_are_refused_where_a_time_is_signed_and_wrong_usage_where_none_is() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let rows = play(&cli, &serving, &["stripe"], &["--stale", "--json"]).expect(0).json();
    assert_eq!(rows.len(), accepted(&expected(&["stripe"])));
    assert!(rows.iter().all(|row| row["status"] == 401), "{rows:?}");
    play(&cli, &serving, &["github"], &["--stale"]).fails(2, &["GitHub signs no time"]);
    let log = cli.run(&["log", "--json", "--limit", "1000"]).expect(0);
    assert!(!log.stdout.contains("github"), "nothing of it was sent");
    serving.stop().expect(0);
}

#[test]
fn fresh_ids_are_new_each_time() {
    let all = expected(&["stripe", "github"]);
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let mut events = std::collections::BTreeSet::new();
    for _ in 0..2 {
        let rows = play(&cli, &serving, &["stripe", "github"], &["--fresh-ids", "--json"]).expect(0).json();
        assert_eq!(count(&rows, "first"), accepted(&all));
        events.extend(rows.iter().map(|row| row["event"].as_str().expect("an event").to_owned()));
    }
    assert_eq!(events.len(), 2 * accepted(&all));
    assert!(
        all.values().all(|case| case.event.as_ref().is_none_or(|event| !events.contains(event))),
        "none is the fixture's own"
    );
    serving.stop().expect(0);
}

#[test]
fn times_plays_everything_so_often() {
    let total = accepted(&expected(&["stripe"]));
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let rows = play(&cli, &serving, &["stripe"], &["--times", "3", "--json"]).expect(0).json();
    assert_eq!((rows.len(), count(&rows, "first"), count(&rows, "duplicate")), (3 * total, total, 2 * total));
    serving.stop().expect(0);
}

#[test]
fn an_answer_that_is_not_expected_is_exit_1_and_named() {
    let cli = Cli::new().env("ANOTHER", "whsec_of-somebody-else-0123");
    let serving = cli.serve(&[]);
    let told = play(&cli, &serving, &["stripe"], &["--secret-env", "ANOTHER"]).expect(1);
    assert!(told.stdout.contains("expected 2xx, got 401"), "{}", told.stdout);
    let rows = play(&cli, &serving, &["stripe"], &["--secret-env", "ANOTHER", "--json"]).expect(1).json();
    assert!(rows.iter().all(|row| row["verdict"] == "failed" && row["as_expected"] == false), "{rows:?}");
    serving.stop().expect(0);
}

#[test]
fn a_gateway_that_is_not_there_is_exit_3_and_says_how_to_start_one() {
    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("an address");
    let cli = Cli::new();
    cli.run(&["replay", &fixtures("stripe"), "--to", &format!("http://{free}")]).fails(3, &["is not reached", "serve"]);
}

#[test]
fn what_cannot_be_played_is_exit_2() {
    let cli = Cli::new();
    cli.write("body.json", "{\"id\":\"evt_bare\",\"type\":\"invoice.paid\"}");
    let stripe = fixtures("stripe");
    let cases: [(&[&str], &str); 9] = [
        (&["missing"], "missing"),
        (&[env!("CARGO_TARGET_TMPDIR")], "no fixture here"),
        (&[&fixtures("stripe/refused-body")], "--all"),
        (&[&fixtures("standard-webhooks")], "no source has the provider `standard-webhooks`"),
        (&["slack", "--all"], "no source has the provider `slack`\nhelp: add a source"),
        (&[&stripe, "--source", "nobody"], "there is no source `nobody`"),
        (&[&stripe, "--to", "http://example.com"], "--yes"),
        (&["body.json"], "--source"),
        (&["body.json", "--source", "github"], "--type"),
    ];
    for (args, says) in cases {
        cli.run(&[&["replay"], args].concat()).fails(2, &[says]);
    }
}

#[test]
fn a_rate_that_no_load_has_is_exit_2() {
    let cli = Cli::new();
    for rate in ["0", "-1", "1e-30", "1e30", "nan", "inf", "fast"] {
        cli.run(&["replay", &fixtures("stripe"), &format!("--rate={rate}")]).fails(2, &["--rate"]);
    }
    let serving = cli.serve(&[]);
    play(&cli, &serving, &["stripe"], &["--rate", "1000000"]).expect(0);
    serving.stop().expect(0);
}

#[test]
fn a_bare_body_is_signed_and_named_by_its_content() {
    let cli = Cli::new();
    cli.write("body.json", "{\"id\":\"evt_bare\",\"type\":\"invoice.paid\"}");
    let serving = cli.serve(&[]);
    let url = serving.url();
    let play = |more: &[&str]| {
        let rows = cli.run(&[&["replay", "body.json", "--to", &url, "--json"], more].concat()).expect(0).json();
        (rows[0]["event"].as_str().expect("an event").to_owned(), rows[0]["verdict"].as_str().expect("a word").to_owned())
    };
    assert_eq!(play(&["--source", "stripe"]), ("stripe/evt_bare".to_owned(), "first".to_owned()));
    let github = play(&["--source", "github", "--type", "push"]);
    assert_eq!(github.1, "first");
    assert_eq!(play(&["--source", "github", "--type", "push"]), (github.0.clone(), "duplicate".to_owned()));
    let log = cli.run(&["log", "show", &github.0, "--json"]).expect(0).json();
    assert_eq!(log[0]["event_type"], "push");
    serving.stop().expect(0);
}

#[test]
fn a_gateway_that_is_no_demo_is_played_to_only_by_yes() {
    let target = runtime().block_on(Target::start(Vec::<Reply>::new()));
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "")));
    let serving = cli.serve(&[]);
    play(&cli, &serving, &["stripe"], &[]).fails(2, &["no demo", "--yes"]);
    play(&cli, &serving, &["stripe"], &["--yes"]).expect(0);
    for _ in 0..accepted(&expected(&["stripe"])) {
        runtime().block_on(target.call());
    }
    serving.stop().expect(0);
}

const SLACK: &str = "[sources.slack]\nprovider = \"slack\"\nsecrets = [{ literal = \"canarySlack0123456789abcdef01234\" }]\n";

#[test]
fn a_name_that_is_no_path_plays_what_is_in_the_binary() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let url = serving.url();
    let play = |name: &str| cli.run(&["replay", name, "--to", &url, "--json"]).expect(0).json();
    let one = play("stripe/invoice.paid");
    assert_eq!((one.len(), &one[0]["verdict"], &one[0]["fixture"]), (1, &"first".into(), &"stripe/invoice.paid".into()));
    assert_eq!(play("github").len(), accepted(&expected(&["github"])));
    // A path of the same name goes first.
    cli.write("stripe", "{\"id\":\"evt_of_a_file\",\"type\":\"invoice.paid\"}");
    let rows = cli.run(&["replay", "stripe", "--source", "stripe", "--to", &url, "--json"]).expect(0).json();
    assert_eq!((rows.len(), &rows[0]["event"]), (1, &"stripe/evt_of_a_file".into()));
    serving.stop().expect(0);
}

#[test]
fn a_wrong_name_is_told_with_the_nearest_one_and_all_can_be_listed() {
    let cli = Cli::new();
    cli.run(&["replay", "stripe/invoice.payd"])
        .fails(2, &["no built-in fixture", "did you mean `stripe/invoice.paid`?", "--list"]);
    cli.run(&["replay", "gitub"]).fails(2, &["did you mean `github`?"]);
    cli.run(&["replay", "../stripe"]).fails(2, &["no built-in fixture"]);
    cli.run(&["replay"]).fails(2, &["PATH"]);
    let rows = cli.run(&["replay", "--list", "--json"]).expect(0).json();
    let all = expected(&["github", "gitlab", "slack", "standard-webhooks", "stripe"]);
    assert_eq!(rows.len(), all.len());
    assert!(rows.iter().all(|row| all.contains_key(row["fixture"].as_str().expect("a name"))));
    assert!(cli.run(&["replay", "--list"]).expect(0).stdout.contains("slack/url_verification"));
}

#[test]
fn handshakes_are_played_and_their_answers_looked_at() {
    let cli = Cli::with_config(SLACK);
    let serving = cli.serve(&[]);
    let url = serving.url();
    let rows = cli.run(&["replay", "slack", "--to", &url, "--yes", "--all", "--json"]).expect(0).json();
    assert_eq!(rows.len(), expected(&["slack"]).len());
    assert_eq!((count(&rows, "handshake"), count(&rows, "failed")), (2, 0));
    let told = cli.run(&["replay", "slack/url_verification", "slack/ssl_check", "--to", &url, "--yes"]).expect(0);
    assert!(told.stdout.contains("HANDSHAKE"), "{}", told.stdout);
    let rows = cli.run(&["replay", "slack", "--to", &url, "--yes", "--bad-signature", "--json"]).expect(0).json();
    assert!(rows.iter().all(|row| row["status"] == 401 && row["fixture"] != "slack/ssl_check"), "{rows:?}");
    let fresh =
        cli.run(&["replay", "slack/slash-command", "slack/block_actions", "--fresh-ids", "--to", &url, "--yes", "--json"]);
    assert_eq!(count(&fresh.expect(0).json(), "first"), 2);
    let said = serving.stop().expect(0);
    assert_eq!(said.stdout.matches("  slack  handshake  [200]").count(), 4, "{}", said.stdout);
}

#[test]
fn a_handshake_that_is_answered_otherwise_is_a_failure() {
    let acme = "[providers.slack-like]\n[[providers.slack-like.check]]\nkind = \"hmac\"\nalgorithm = \"sha256\"\n\
                signature = { from = \"header:X-Slack-Signature\", prefix = \"v0=\", encoding = \"hex\" }\n\
                time = { from = \"header:X-Slack-Request-Timestamp\" }\nmessage = \"v0:{time}:{body}\"\n\
                [providers.slack-like.event]\nderive = \"body\"\n\
                [sources.slack]\nprovider = \"slack-like\"\nsecrets = [{ literal = \"canarySlack0123456789abcdef01234\" }]\n";
    let cli = Cli::with_config(acme);
    let serving = cli.serve(&[]);
    let told = cli.run(&["replay", "slack/url_verification", "--source", "slack", "--to", &serving.url(), "--yes"]).expect(1);
    assert!(told.stdout.contains("expected 200, got 200 with another body"), "{}", told.stdout);
    serving.stop().expect(0);
}

#[test]
fn every_provider_with_fixtures_is_played_through_its_preset() {
    let all = expected(&["stripe", "github", "standard-webhooks"]);
    let gitlab = "\n[sources.gitlab]\nprovider = \"gitlab\"\nsecrets = [{ literal = \"a token of GitLab\", slot = \"token\" }]\n";
    let acme = "\n[sources.acme]\nprovider = \"standard-webhooks\"\nsecrets = [{ literal = \"whsec_c3RhbmRhcmQtd2ViaG9va3Mta2V5LWZvci10ZXN0cw==\" }]\n";
    let cli = Cli::with_config(&format!("{SOURCES}{acme}{gitlab}"));
    let serving = cli.serve(&[]);
    let rows = play(&cli, &serving, &["stripe", "github", "standard-webhooks"], &["--yes", "--all", "--json"]).expect(0).json();
    assert_eq!(rows.len(), all.len());
    for row in &rows {
        assert_eq!(row["verdict"], if all[&name_of(row)].accepted { "first" } else { "rejected" }, "{row}");
    }
    // Whatever they were recorded with, they are sent with what the source has.
    let rows = cli.run(&["replay", "gitlab", "--to", &serving.url(), "--yes", "--json"]).expect(0).json();
    assert_eq!(count(&rows, "first"), accepted(&expected(&["gitlab"])));
    serving.stop().expect(0);
}

#[test]
fn what_only_a_check_refuses_that_a_source_has_no_secret_for_is_left_out_and_told() {
    let source = |secret: &str| format!("[sources.gitlab]\nprovider = \"gitlab\"\nsecrets = [{{ {secret} }}]\n");
    let of_token =
        ["cut-token", "missing-token", "repeated-id", "repeated-token", "token"].map(|name| format!("gitlab/refused-{name}"));
    let of_signing = ["body", "signature", "stale"].map(|name| format!("gitlab/refused-{name}"));
    let key = "literal = \"whsec_c3RhbmRhcmQtd2ViaG9va3Mta2V5LWZvci10ZXN0cw==\"";
    let token = "literal = \"a token of GitLab\", slot = \"token\"";
    for (secret, slot, refused, left_out) in [(token, "signing", &of_token[..], 3), (key, "token", &of_signing[..], 5)] {
        let cli = Cli::with_config(&source(secret));
        let serving = cli.serve(&[]);
        let url = serving.url();
        let told = cli.run(&["replay", "gitlab", "--to", &url, "--yes", "--all", "--json"]).expect(0);
        let rows = told.json();
        let rejected: Vec<_> = rows.iter().filter(|row| row["verdict"] == "rejected").map(name_of).collect();
        assert_eq!((&rejected[..], count(&rows, "first")), (refused, 3), "{told:?}");
        let why = format!("{left_out} fixtures left out: only a check of slot `{slot}` refuses that");
        assert!(told.stderr.contains(&why), "{told:?}");
        let stale = cli.run(&["replay", "gitlab", "--to", &url, "--yes", "--stale"]);
        if slot == "token" {
            drop(stale.expect(0))
        } else {
            drop(stale.fails(2, &["signs no time"]))
        }
        serving.stop().expect(0);
    }
}
