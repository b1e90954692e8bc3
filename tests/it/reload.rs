//! A running gateway goes by another configuration: nothing is dropped, nobody is forgotten, and a bad file changes nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::{GITHUB, Gateway, SOURCES, STRIPE, handler, stripe_body};
use crate::helpers::http;
use crate::helpers::sender::{self, Fields};
use crate::helpers::soon;
use crate::helpers::target::{Gate, Reply, Target};

/// How often the configuration is read again under load, unless `HOOKGATE_RELOADS` says otherwise.
const RELOADS: usize = 500;

async fn handlers_of(gateway: &Gateway, id: &str) -> Vec<String> {
    let event = gateway.event("stripe", id).await;
    event["tasks"].as_array().expect("a list").iter().map(|task| task["handler"].as_str().expect("a name").to_owned()).collect()
}

#[tokio::test]
async fn a_handler_that_is_added_gets_later_events_and_one_that_goes_gets_none() {
    let (old, new) = (Target::start([]).await, Target::start([]).await);
    let with = |tables: &str| format!("{SOURCES}{tables}");
    let gateway = Gateway::start(&with(&handler("old", &old.url(), ""))).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    let report = gateway.reload(&with(&handler("new", &new.url(), ""))).await;
    assert_eq!((report.sources, report.handlers), (2, 1));
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(gateway.attempt().await.handler.as_str(), "new");
    assert_eq!(handlers_of(&gateway, "evt_1").await, ["old"]);
    assert_eq!(handlers_of(&gateway, "evt_2").await, ["new"]);
    assert_eq!(old.count(), 1);
}

#[tokio::test]
async fn tasks_of_a_handler_that_vanished_wait_and_go_on_once_it_is_back() {
    let target = Target::start([Reply::status(500)]).await;
    let config = format!("{SOURCES}{}", handler("billing", &target.url(), "retry = [\"5s\"]"));
    let gateway = Gateway::start(&config).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.reload(SOURCES).await;
    gateway.clock.advance(Duration::from_secs(3600));
    let standing = gateway.handler("billing").await;
    assert_eq!((&standing["state"], &standing["open_tasks"]), (&json!("vanished"), &json!(1)));
    assert_eq!(gateway.event("stripe", "evt_1").await["tasks"][0]["unhandled"], true);
    assert_eq!(target.count(), 1, "long due, and nobody is called");
    gateway.reload(&config).await;
    assert_eq!(gateway.attempt().await.attempt, 2);
    assert_eq!(gateway.event("stripe", "evt_1").await["state"], "done");
}

#[tokio::test]
async fn a_call_in_hand_ends_as_it_began_and_a_serial_handler_stays_serial() {
    let gate = Gate::closed();
    let old = Target::start([Reply::After(gate.clone(), Box::new(Reply::status(200)))]).await;
    let new = Target::start([]).await;
    let with = |url: &str| format!("{SOURCES}{}", handler("billing", url, "concurrency = 1"));
    let gateway = Gateway::start(&with(&old.url())).await;
    gateway.accept("evt_1", "invoice.paid").await;
    old.call().await;
    gateway.reload(&with(&new.url())).await;
    gateway.accept("evt_2", "invoice.paid").await;
    assert_eq!(gateway.handler("billing").await["in_hand"], 1);
    assert_eq!(new.count(), 0, "the first call has not ended");
    gate.let_through(1);
    let first = gateway.attempt().await;
    assert_eq!((first.event_id.as_str(), first.outcome.status()), ("evt_1", Some(200)));
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_2");
    assert_eq!((old.count(), new.count()), (1, 1));
}

#[tokio::test]
async fn a_handler_that_fails_is_left_alone_through_a_reload() {
    let target = Target::start([Reply::status(500)]).await;
    let with = |timeout: &str| {
        let more = format!("timeout = \"{timeout}\"\nbreaker_failures = 1\nretry = [\"1h\"]");
        format!("{SOURCES}{}", handler("billing", &target.url(), &more))
    };
    let gateway = Gateway::start(&with("10s")).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.reload(&with("20s")).await;
    let standing = gateway.handler("billing").await;
    assert_eq!(
        (&standing["state"], &standing["failures"], &standing["probe_in_ms"]),
        (&json!("failing"), &json!(1), &json!(5000))
    );
    gateway.accept("evt_2", "invoice.paid").await;
    let probe = Duration::from_secs(5);
    assert_eq!(gateway.next_attempt(probe, probe).await.event_id.as_str(), "evt_2");
}

#[tokio::test]
async fn a_handler_whose_breaker_is_taken_away_is_called_again_at_once() {
    let target = Target::start([Reply::status(500)]).await;
    let with = |most: u8| {
        let more = format!("breaker_failures = {most}\nretry = [\"1h\"]");
        format!("{SOURCES}{}", handler("billing", &target.url(), &more))
    };
    let gateway = Gateway::start(&with(1)).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.attempt().await;
    gateway.accept("evt_2", "invoice.paid").await;
    gateway.clock.sleeper(Duration::from_secs(5), Duration::from_secs(5)).await;
    gateway.reload(&with(0)).await;
    assert_eq!(gateway.attempt().await.event_id.as_str(), "evt_2");
}

#[tokio::test]
async fn more_slots_are_used_at_once() {
    let gate = Gate::closed();
    let replies = (0..2).map(|_| Reply::After(gate.clone(), Box::new(Reply::status(200))));
    let target = Target::start(replies).await;
    let with = |calls: u8| format!("{SOURCES}{}", handler("billing", &target.url(), &format!("concurrency = {calls}")));
    let gateway = Gateway::start(&with(1)).await;
    gateway.accept("evt_1", "invoice.paid").await;
    gateway.accept("evt_2", "invoice.paid").await;
    target.call().await;
    gateway.reload(&with(2)).await;
    target.call().await;
    gate.let_through(2);
    gateway.attempt().await;
    gateway.attempt().await;
    assert_eq!(target.most_at_once(), 2);
}

#[tokio::test]
async fn a_source_that_goes_is_unknown_from_the_next_request_on() {
    let gateway = Gateway::start(SOURCES).await;
    let github = "\n[sources.github]\nprovider = \"github\"\nsecrets = [{ literal = \"canaryGithub0123456789abcdef\" }]\n";
    gateway.reload(github).await;
    assert_eq!(gateway.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await.status, 404);
    assert_eq!(gateway.send(&gateway.github("d-1", "push", b"{}")).await.status, 200);
    let sources = gateway.get("sources").await;
    assert_eq!(sources["sources"].as_array().map(Vec::len), Some(1), "{sources}");
    gateway.reload(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn limits_hold_from_the_next_request_on() {
    let gateway = Gateway::start(SOURCES).await;
    let limited = SOURCES.replace("provider = \"stripe\"", "provider = \"stripe\"\nbody_limit = \"16B\"");
    gateway.reload(&limited).await;
    assert_eq!(gateway.send(&gateway.stripe(&stripe_body("evt_1", "invoice.paid"))).await.status, 413);
    gateway.reload(SOURCES).await;
    gateway.accept("evt_1", "invoice.paid").await;
}

#[tokio::test]
async fn what_only_a_restart_changes_is_named_and_not_applied() {
    let gateway = Gateway::start(SOURCES).await;
    let other = "listen = \"127.0.0.1:1\"\ndrain = \"77s\"\n[admin]\nlisten = \"127.0.0.1:2\"\ntoken = { literal = \"another one\" }\n\
        [limits]\nconnections = 7\nheader_deadline = \"7s\"\n[store]\nmin_free = \"7MiB\"\n";
    let report = gateway.reload(&format!("{other}{SOURCES}")).await;
    let names = [
        "listen",
        "[admin] listen",
        "[admin] token",
        "drain",
        "[limits] connections",
        "[limits] header_deadline",
        "[store] min_free",
    ];
    assert_eq!(report.needs_restart, names);
    // It listens where it did, and asks for no token.
    gateway.get("handlers").await;
    assert_eq!(gateway.reload(SOURCES).await.needs_restart, Vec::<String>::new());
}

/// A real gateway whose secret of `stripe` is in a file.
fn serve(cli: &Cli, tables: &str) -> (String, Serving) {
    cli.write("stripe.secret", STRIPE);
    let config = format!("[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{{ file = \"stripe.secret\" }}]\n{tables}");
    cli.write("hookgate.toml", &config);
    (config, cli.serve(&[]))
}

fn now_s() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(since.as_secs()).expect("it fits")
}

async fn send(serving: &Serving, secret: &str, id: &str) -> u16 {
    let body = stripe_body(id, "invoice.paid");
    let request = http::request("POST", "/hooks/stripe", &sender::stripe(secret, now_s(), &body), &body);
    http::exchange(serving.listen, &request).await.status
}

#[tokio::test]
async fn a_hang_up_reads_the_file_and_its_secrets_again_and_a_bad_one_changes_nothing() {
    let cli = Cli::new();
    let (config, serving) = serve(&cli, "");
    let rotated = "whsec_canaryRotated0123456789";
    assert_eq!((send(&serving, STRIPE, "evt_1").await, send(&serving, rotated, "evt_2").await), (200, 401));
    cli.write("stripe.secret", rotated);
    serving.process.signal(Signal::HUP);
    serving.process.stdout.line("reloaded: 1 source, 0 handlers");
    assert_eq!((send(&serving, STRIPE, "evt_3").await, send(&serving, rotated, "evt_2").await), (401, 200));
    cli.write("hookgate.toml", &config.replace("provider =", "provder ="));
    serving.process.signal(Signal::HUP);
    serving.process.stderr.line("was not reloaded");
    serving.process.stderr.line("did you mean `provider`?");
    let refused = cli.run(&["reload"]).fails(2, &["unknown field `provder`", "hookgate.toml:2:1"]);
    assert_eq!(refused.stdout, "");
    assert_eq!(send(&serving, rotated, "evt_4").await, 200, "as before");
    cli.write("hookgate.toml", &format!("drain = \"3s\"\n{config}"));
    let done = cli.run(&["reload", "--json"]).expect(0).json();
    assert_eq!((&done[0]["sources"], &done[0]["needs_restart"]), (&json!(1), &json!(["drain"])));
    std::fs::remove_file(cli.path("hookgate.toml")).expect("it was there");
    serving.process.signal(Signal::HUP);
    serving.process.stderr.line("cannot read the config file");
    assert_eq!(send(&serving, rotated, "evt_5").await, 200, "no demo in its place");
    serving.stop().expect(0);
}

#[test]
fn what_is_wrong_is_told_in_the_same_lines_in_colour_in_a_log_and_through_a_gateway() {
    let cli = Cli::new();
    let (config, serving) = serve(&cli, "");
    cli.write("hookgate.toml", &format!("public_url = \"no-url\"\n{}", config.replace("\"stripe\"", "\"strype\"")));
    let plain = cli.run(&["check"]).expect(2).stderr;
    assert!(plain.starts_with("error: public_url") && plain.contains("\n\nerror: unknown provider"), "{plain}");
    // Whose own file is bad asks nobody.
    let gateway = format!("http://{}", serving.admin);
    for there in [&[][..], &["--gateway", &gateway]] {
        assert_eq!(cli.run(&[&["reload"], there].concat()).expect(2).stderr, plain, "{there:?}");
    }
    let told = plain.trim_start_matches("error: ").trim_end();
    let log: serde_json::Value =
        serde_json::from_str(&cli.run(&["check", "--log-format", "json"]).expect(2).stderr).expect("one line");
    assert_eq!(log["message"], told);
    serving.process.stderr.line("did you mean `stripe`?");
    let log = serving.stop().expect(0).stderr;
    assert!(log.contains(told), "{log}");
    let (_, _, coloured) = cli.env("CLICOLOR_FORCE", "1").bytes(&["check"]);
    let coloured = String::from_utf8(coloured).expect("text");
    let mut pieces = coloured.split('\u{1b}');
    let begin = pieces.next().unwrap_or_default().to_owned();
    let uncoloured = pieces.fold(begin, |text, piece| text + piece.split_once('m').expect("a colour").1);
    assert!(coloured.len() > uncoloured.len() && uncoloured == plain, "{coloured}");
}

#[test]
fn without_a_gateway_there_is_nothing_to_reload() {
    let cli = Cli::new();
    let (_, serving) = serve(&cli, "");
    serving.stop().expect(0);
    cli.run(&["reload"]).fails(3, &["no gateway runs"]);
}

#[test]
fn a_demo_has_nothing_to_read_again_and_ends_in_order_with_its_terminal() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    cli.run(&["reload"]).fails(1, &["no config file"]);
    let told = serving.process.end(Signal::HUP).expect(0);
    assert_eq!(told.stderr.matches("ended by a hang-up").count(), 1, "{told:?}");
}

/// One provider that never stops sending.
async fn flood(to: std::net::SocketAddr, number: usize, stop: Arc<AtomicBool>, sent: Arc<AtomicUsize>) {
    while !stop.load(Ordering::Relaxed) {
        let id = format!("d-{number}-{}", sent.fetch_add(1, Ordering::Relaxed));
        let fields: Fields = sender::github(GITHUB, &id, "push", b"{}");
        let answer = http::exchange(to, &http::request("POST", "/hooks/github", &fields, b"{}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_good_and_bad_drop_no_request_and_leave_no_event_without_its_handler() {
    let reloads = std::env::var("HOOKGATE_RELOADS").ok().and_then(|text| text.parse().ok()).unwrap_or(RELOADS);
    let target = Target::start([]).await;
    let source = "[sources.github]\nprovider = \"github\"\nsecrets = [{ env = \"GITHUB_WEBHOOK_SECRET\" }]\n";
    // `always` is in each of them, the others come and go.
    let configs: Vec<String> = ["odd", "even"]
        .iter()
        .map(|name| [source.to_owned(), handler("always", &target.url(), ""), handler(name, &target.url(), "")].concat())
        .collect();
    let cli = Cli::with_config(&configs[0]);
    let serving = cli.serve(&[]);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let senders: Vec<_> =
        (0..4).map(|number| tokio::spawn(flood(serving.listen, number, Arc::clone(&stop), Arc::clone(&sent)))).collect();
    for number in 0..reloads {
        let good = number % 2 == 0;
        cli.write("hookgate.toml", if good { &configs[number / 2 % 2] } else { "[sources.github]\nprovider = 7\n" });
        let answer = http::exchange(serving.admin, &http::request("POST", "/api/v1/reload", &Fields::new(), b"")).await;
        assert_eq!(answer.status, if good { 200 } else { 422 }, "{}", answer.text());
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.await.expect("every delivery was acknowledged");
    }
    cli.write(
        "hookgate.toml",
        &[
            source.to_owned(),
            handler("always", &target.url(), "") + &handler("odd", &target.url(), "") + &handler("even", &target.url(), ""),
        ]
        .concat(),
    );
    cli.run(&["reload"]).expect(0);
    let sent = i64::try_from(sent.load(Ordering::Relaxed)).expect("it fits");
    assert!(sent > 0, "there was load");
    soon("the handlers have everything", async {
        while cli.run(&["handlers", "--json"]).json().iter().any(|handler| handler["open_tasks"] != 0) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    serving.stop().expect(0);
    let database = rusqlite::Connection::open(cli.path("hookgate.db")).expect("the database");
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).expect("a count");
    assert_eq!(count("SELECT count(*) FROM event"), sent);
    let always = "SELECT count(*) FROM task t JOIN handler h ON h.id = t.handler_id WHERE t.state = 'done' AND h.name";
    assert_eq!(count(&format!("{always} = 'always'")), sent, "each event had the handler that was always there");
    assert_eq!(count(&format!("{always} <> 'always'")), sent, "and one of the others");
}
