//! `hookgate serve`: what it tells, what it does with what is in hand at its end, and what the next start finds.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{github, now_s, send, stripe, target};
use crate::helpers::cli::{Cli, fixtures};
use crate::helpers::gateway::{SOURCES, STRIPE, handler, runtime, stripe_body};
use crate::helpers::http;
use crate::helpers::sender::{self, Fields};
use crate::helpers::target::Reply;

#[test]
fn serve_says_when_it_is_ready_and_takes_it_back_at_the_end() {
    for signal in [Signal::TERM, Signal::INT] {
        let cli = Cli::new();
        let serving = cli.serve(&[]);
        assert_eq!(serving.told["pid"], serving.process.pid());
        for address in [serving.listen, serving.admin] {
            let answer = runtime().block_on(http::exchange(address, &http::request("GET", "/healthz", &Fields::new(), b"")));
            assert_eq!(answer.status, 200);
        }
        let ready = serving.ready.clone();
        serving.process.end(signal).expect(0);
        assert!(!ready.exists(), "removed on exit");
    }
}

#[test]
fn the_demo_says_where_it_listens_and_what_to_do_next() {
    let cli = Cli::new().without("STRIPE_WEBHOOK_SECRET");
    let serving = cli.serve(&[]);
    // In a checkout by path, elsewhere by the names of the built-in ones: where the build folder is decides.
    let next = serving.process.stdout.line(" replay ");
    assert!(
        ["fixtures/stripe fixtures/github", "stripe github"].iter().any(|names| next.contains(&format!(" replay {names}"))),
        "{next}"
    );
    assert!(!next.contains("--database") && !next.contains("--config"), "{next}");
    let (listen, url) = (serving.listen, serving.url());
    let told = serving.stop().expect(0).stdout;
    let expected = [
        "new database hookgate.db".to_owned(),
        format!("{url}/hooks/stripe"),
        format!("{url}/hooks/github"),
        "from file hookgate.db.stripe-secret".to_owned(),
        "from env GITHUB_WEBHOOK_SECRET".to_owned(),
        "cannot reach loopback".to_owned(),
        format!("stripe listen --forward-to {listen}/hooks/stripe"),
        "gh webhook forward".to_owned(),
        format!("--to {url}"),
    ];
    for words in expected {
        assert!(told.contains(&words), "`{words}` is not in:\n{told}");
    }
    let secret = std::fs::read_to_string(cli.path("hookgate.db.stripe-secret")).expect("made once");
    assert!(!told.contains(secret.trim()), "the value is never shown");
    let mode = std::os::unix::fs::PermissionsExt::mode(&cli.path("hookgate.db.stripe-secret").metadata().unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    cli.serve(&[]).stop().expect(0);
    assert_eq!(std::fs::read_to_string(cli.path("hookgate.db.stripe-secret")).expect("kept"), secret);
}

#[test]
fn the_next_command_of_a_demo_elsewhere_names_its_database() {
    let cli = Cli::new().without("STRIPE_WEBHOOK_SECRET").without("GITHUB_WEBHOOK_SECRET").env("HOOKGATE_DATABASE", "other.db");
    let serving = cli.serve(&[]);
    let next = serving.process.stdout.line(" replay ");
    assert!(next.ends_with(&format!(" --to {} --database other.db", serving.url())), "{next}");
    let cli = cli.without("HOOKGATE_DATABASE");
    cli.run(&["replay", "stripe", "github", "--to", &serving.url(), "--database", "other.db"]).expect(0);
    serving.stop().expect(0);
}

#[test]
fn serve_prints_each_delivery_with_its_verdict() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    send(&serving, &stripe("evt_1"));
    send(&serving, &github("one", b"{\"n\":1}"));
    send(&serving, &github("one", b"{\"n\":2}"));
    send(&serving, &http::request("POST", "/hooks/github", &Fields::new(), b"{}"));
    let lines = &serving.process.stdout;
    assert!(lines.line("stripe/evt_1  invoice.paid  first").contains("[200]"));
    assert!(lines.line("stripe/evt_1  invoice.paid  duplicate of ").contains("answered from the record"));
    assert!(lines.line("conflict of ").contains("same id, other body"));
    assert!(lines.line("github  rejected  signature-missing").contains("[401]"));
    lines.line("printer  stripe/evt_1  invoice.paid");
    serving.stop().expect(0);
}

#[test]
fn a_service_by_the_name_of_the_printer_is_heard_of() {
    let target = target(Vec::new());
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("printer", &target.url(), "")));
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    serving.process.stdout.line("printer  stripe/evt_1  attempt 1  [200]");
    serving.stop().expect(0);
}

#[test]
fn proxy_variables_are_not_heeded() {
    let [proxy, own] = [target(Vec::new()), target(Vec::new())];
    let proxy_url = format!("http://{}", proxy.address);
    let names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
    let cli = names.into_iter().fold(Cli::new(), |cli, name| cli.env(name, &proxy_url));
    let serving = cli.serve(&["--forward-to", &own.url()]);
    assert_eq!(send(&serving, &stripe("evt_1")).status, 200);
    assert_eq!(runtime().block_on(own.call()).path, "/hook");
    cli.run(&["log", "--json"]).expect(0);
    cli.run(&["replay", &fixtures("github/ping"), "--to", &serving.url()]).expect(0);
    serving.stop().expect(0);
    assert_eq!(proxy.count(), 0);
}

#[test]
fn the_start_warns_of_tasks_whose_handler_is_gone() {
    let target = target(vec![Reply::status(500)]);
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("old", &target.url(), "")));
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    serving.process.stdout.line("attempt 1");
    serving.stop().expect(0);
    cli.write("hookgate.toml", &format!("{SOURCES}{}", handler("new", &target.url(), "")));
    let serving = cli.serve(&[]);
    let warning = serving.process.stderr.line("handler `old`");
    assert!(warning.contains("--to-handler NEW"), "{warning}");
    cli.run(&["redrive", "stripe/evt_1", "--handler", "old", "--to-handler", "new"]).expect(0);
    serving.process.stdout.line("new  stripe/evt_1  attempt");
    serving.stop().expect(0);
    assert!(!cli.serve(&[]).stop().expect(0).stderr.contains("old"));
}

#[test]
fn a_call_in_hand_ends_before_the_process_does() {
    let gate = crate::helpers::target::Gate::closed();
    let target = target(vec![Reply::After(gate.clone(), Box::new(Reply::status(200)))]);
    let cli = Cli::new();
    let serving = cli.serve(&["--forward-to", &target.url()]);
    send(&serving, &stripe("evt_1"));
    runtime().block_on(target.call());
    gate.let_through(1);
    serving.stop().expect(0);
    let story = cli.run(&["log", "show", "evt_1", "--json"]).expect(0).json().remove(0);
    assert_eq!((&story["state"], &story["tasks"][0]["attempts"][0]["status"]), (&json!("done"), &json!(200)));
}

#[test]
fn after_a_failed_store_nothing_is_waited_for() {
    let never = crate::helpers::target::Gate::closed();
    let target = target(vec![Reply::After(never, Box::new(Reply::status(200)))]);
    let cli = Cli::with_config(&format!("drain = \"1h\"\n{SOURCES}{}", handler("billing", &target.url(), "timeout = \"1h\"")));
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    runtime().block_on(target.call());
    destroy(&cli.path("hookgate.db"));
    send(&serving, &stripe("evt_2"));
    serving.process.ended().fails(4, &["the store has failed"]);
}

/// Overwrites every page but the first of a database in use, and lets nobody keep an older one.
fn destroy(database: &std::path::Path) {
    let conn = rusqlite::Connection::open(database).expect("the database is there");
    conn.busy_timeout(crate::helpers::PATIENCE).expect("a number");
    let busy: bool = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("it is moved");
    assert!(!busy, "nobody reads");
    conn.execute_batch("CREATE TABLE of_the_test (id INTEGER)").expect("the lock is free");
    let bytes = std::fs::metadata(database).expect("it is there").len();
    let file = std::fs::OpenOptions::new().write(true).open(database).expect("it is there");
    let rest = vec![7; usize::try_from(bytes - 8192).expect("it is small")];
    std::os::unix::fs::FileExt::write_all_at(&file, &rest, 8192).expect("it is written");
}

#[test]
fn after_a_crash_commands_open_the_database_and_the_next_start_serves() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    assert_eq!(send(&serving, &stripe("evt_1")).status, 200);
    let request = stripe("evt_2");
    assert_eq!(send(&serving, &request).status, 200);
    serving.process.end(Signal::KILL).expect(-1);
    let ids: Vec<Value> = cli.run(&["log", "--json"]).expect(0).json().iter().map(|row| row["event_id"].clone()).collect();
    assert_eq!(ids, ["evt_2", "evt_1"], "what was acknowledged is there");
    let serving = cli.serve(&[]);
    assert_eq!(send(&serving, &request).header("idempotent-replayed"), Some("true"));
    serving.stop().expect(0);
}

#[test]
fn a_request_in_hand_at_the_end_is_still_taken_and_answered() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let body = stripe_body("evt_1", "invoice.paid");
    let mut signed = sender::stripe(STRIPE, now_s(), &body);
    signed.push(("Expect".to_owned(), "100-continue".to_owned()));
    let request = http::request("POST", "/hooks/stripe", &signed, &body);
    let (head, body) = request.split_at(request.len() - body.len());
    runtime().block_on(async {
        let mut connection = http::Connection::to(serving.listen).await;
        connection.send(head).await;
        assert_eq!(connection.answer().await.status, 100, "the head has been read");
        serving.process.signal(Signal::TERM);
        connection.send(body).await;
        assert_eq!(connection.answer().await.status, 200);
    });
    serving.stop().expect(0);
    assert_eq!(cli.run(&["log", "--json"]).expect(0).json().len(), 1);
}
