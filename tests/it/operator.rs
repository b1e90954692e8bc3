//! What an operator types: discard, deeds by filter, counts, and a gateway elsewhere. The real binary.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::helpers::cli::{Cli, Serving};
use crate::helpers::gateway::{SOURCES, STRIPE, handler, runtime, stripe_body};
use crate::helpers::http;
use crate::helpers::sender;
use crate::helpers::target::{Reply, Target};
use crate::helpers::tls;
use crate::helpers::transcript::words;

const TOKEN: &str = "canary-admin-token";

/// A Stripe delivery of now.
fn deliver(serving: &Serving, id: &str) {
    let now = hookgate::clock::Clock::wall(&hookgate::clock::SystemClock::new()).unix_s();
    let body = stripe_body(id, "invoice.paid");
    let request = http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now, &body), &body);
    assert_eq!(runtime().block_on(http::exchange(serving.listen, &request)).status, 200);
}

/// Events whose handler has refused them for good.
fn with_dead(ids: &[&str]) -> (Cli, Serving, Target) {
    let target = runtime().block_on(Target::start(ids.iter().map(|_| Reply::status(410)).collect::<Vec<_>>()));
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "")));
    let serving = cli.serve(&[]);
    for id in ids {
        deliver(&serving, id);
        serving.process.stdout.line(&format!("dead (handler-refused); hookgate redrive stripe/{id}"));
    }
    (cli, serving, target)
}

fn story(cli: &Cli, id: &str) -> Value {
    cli.run(&["log", id, "--json"]).expect(0).json().remove(0)
}

/// The name of who runs the tests.
fn user() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let mut lines = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
    lines.find(|fields| fields.get(2) == Some(&uid.as_str())).map_or(format!("uid {uid}"), |fields| fields[0].to_owned())
}

#[test]
fn discard_works_on_a_running_gateway_and_without_one_with_the_same_exit_codes() {
    let (cli, serving, target) = with_dead(&["evt_1", "evt_2"]);
    let refused = |cli: &Cli| {
        cli.run(&["discard", "stripe/evt_1"]).fails(2, &["--reason"]);
        cli.run(&["discard", "stripe/evt_1", "--reason", " "]).fails(2, &["--reason", "empty"]);
        cli.run(&["discard", "stripe/evt_1", "--reason", "a\u{1b}[2J"]).fails(2, &["--reason", "control character"]);
        cli.run(&["discard", "stripe/evt_1", "--reason", &"x".repeat(513)]).fails(2, &["--reason", "512"]);
        cli.run(&["discard", "stripe/evt_9", "--reason", "x"]).fails(1, &["no event `stripe/evt_9`"]);
        cli.run(&["discard", "stripe/evt_1", "--handler", "nobody", "--reason", "x"]).fails(2, &["nobody", "billing"]);
        cli.run(&["discard", "not visible", "--reason", "x"]).fails(2, &["names no event"]);
    };
    refused(&cli);
    let told = cli.run(&["discard", "stripe/evt_1", "--reason", "a rehearsal", "--json"]).expect(0);
    assert_eq!(told.json(), [json!({ "v": 1, "source": "stripe", "event_id": "evt_1", "tasks": 1 })]);
    assert!(cli.run(&["discard", "evt_1", "--reason", "again"]).expect(0).stdout.contains("nothing to do"));
    let live = cli.run(&["log", "show", "evt_1"]).expect(0).stdout;
    serving.stop().expect(0);
    assert_eq!(cli.run(&["log", "show", "evt_1"]).expect(0).stdout, live);
    assert!(live.contains("done (discarded)") && live.contains(&format!("by {}: a rehearsal", user())), "{live}");
    refused(&cli);
    assert!(cli.run(&["discard", "evt_2", "--reason", "x"]).expect(0).stdout.contains("1 task discarded"));
    let [one, two] = ["evt_1", "evt_2"].map(|id| story(&cli, id));
    assert_eq!((&one["state"], &two["tasks"][0]["discarded"]["by"]), (&json!("done"), &json!(user())));
    assert!(cli.run(&["redrive", "evt_2", "--force"]).expect(0).stdout.contains("1 task is due now"));
    assert_eq!(target.count(), 2);
}

#[test]
fn a_filter_asks_first_and_where_nobody_is_there_wants_yes() {
    let (cli, serving, target) = with_dead(&["evt_1", "evt_2", "evt_3"]);
    let check = |cli: &Cli| {
        for verb in [&["redrive"][..], &["discard", "--reason", "x"]] {
            let run = |more: &[&str]| cli.run(&[verb, more].concat());
            run(&[]).fails(2, &["which events?", "--state dead"]);
            run(&["--yes"]).fails(2, &["which events?"]);
            run(&["--state", "dead"]).fails(2, &["--dry-run", "--yes"]);
            run(&["--state", "ded", "--yes"]).fails(2, &["--state", "did you mean `dead`"]);
            run(&["--source", "strip", "--yes"]).fails(2, &["--source", "did you mean `stripe`"]);
            run(&["--handler", "biling", "--yes"]).fails(2, &["--handler", "did you mean `billing`"]);
            run(&["--since", "yesterday", "--yes"]).fails(2, &["--since"]);
            run(&["evt_1", "--state", "dead"]).fails(2, &["cannot be used with"]);
            run(&["--state", "dead", "--verdict", "first"]).fails(2, &["--verdict"]);
            assert!(run(&["--type", "charge.*", "--yes"]).expect(0).stdout.contains("nothing to do"));
            for _ in 0..2 {
                let told = run(&["--state", "dead", "--dry-run"]).expect(0);
                assert_eq!(told.stdout.lines().count(), 3, "{told:?}");
                assert!(told.stderr.contains("3 tasks of 3 events would be"), "{told:?}");
            }
            let told = run(&["stripe/evt_2", "--dry-run", "--json"]).expect(0).json();
            assert_eq!((told.len(), &told[0]["event_id"], &told[0]["tasks"]), (1, &json!("evt_2"), &json!(1)));
        }
    };
    check(&cli);
    assert_eq!(target.count(), 3, "nothing was changed");
    serving.stop().expect(0);
    check(&cli);
    let told = cli.run(&["discard", "--event-id", "stripe/evt_3", "--reason", "x", "--yes", "--json"]).expect(0).json();
    assert_eq!((told.len(), &told[0]["tasks"], &told[0]["skipped"]), (1, &json!(1), &Value::Null));
    let told = cli.run(&["redrive", "--state", "dead", "--yes"]).expect(0);
    assert!(told.stdout.contains("2 tasks of 2 events due now") && told.stderr.contains("no gateway runs now"), "{told:?}");
    let serving = cli.serve(&[]);
    for id in ["evt_1", "evt_2"] {
        serving.process.stdout.line(&format!("stripe/{id}  attempt 2  [200]"));
    }
    serving.stop().expect(0);
    assert_eq!(target.count(), 5);
}

#[test]
fn all_tasks_of_a_vanished_handler_are_moved_by_one_command() {
    let (cli, serving, _old) = with_dead(&["evt_1", "evt_2"]);
    serving.stop().expect(0);
    let new = runtime().block_on(Target::start(Vec::new()));
    cli.write("hookgate.toml", &format!("{SOURCES}{}", handler("new", &new.url(), "")));
    let serving = cli.serve(&[]);
    cli.run(&["redrive", "evt_1"]).fails(1, &["--handler billing --to-handler NEW"]);
    let told = cli.run(&["redrive", "--handler", "billing", "--to-handler", "new", "--yes"]).expect(0);
    assert!(told.stdout.contains("2 tasks of 2 events due now"), "{told:?}");
    runtime().block_on(async {
        new.call().await;
        new.call().await;
    });
    serving.stop().expect(0);
    cli.run(&["redrive", "evt_1", "--handler", "nobody"]).fails(2, &["nobody", "new"]);
}

#[test]
fn the_commands_that_serve_prints_work_as_they_stand_there() {
    let target = runtime().block_on(Target::start([Reply::status(410), Reply::status(500)]));
    let cli = Cli::new();
    let run = |line: &str, more: &[&str]| {
        let typed = words(line.split("hookgate ").last().expect("the last piece"));
        cli.run(&[&typed.iter().map(String::as_str).collect::<Vec<_>>()[..], more].concat())
    };
    cli.write("my config.toml", &format!("{SOURCES}{}", handler("billing", &target.url(), "")));
    let named = ["--config", "my config.toml", "--database", "my.db"];
    let serving = cli.serve(&named);
    deliver(&serving, "evt_$(exit)");
    let dead = serving.process.stdout.line("dead (handler-refused); hookgate redrive");
    assert!(dead.ends_with(" 'stripe/evt_$(exit)' --config 'my config.toml' --database my.db"), "{dead}");
    assert!(run(&dead, &[]).expect(0).stdout.contains("1 task is due now"));
    serving.process.stdout.line("attempt 2  [500]");
    serving.stop().expect(0);
    let new = runtime().block_on(Target::start(Vec::new()));
    cli.write("my config.toml", &format!("{SOURCES}{}", handler("new", &new.url(), "")));
    let serving = cli.serve(&named);
    let vanished = serving.process.stderr.line("no handler has that name now");
    assert!(run(&vanished, &["--yes"]).expect(0).stdout.contains("1 task of 1 event discarded"));
    serving.stop().expect(0);
}

#[test]
fn counts_are_the_same_while_the_gateway_runs_and_after() {
    let (cli, serving, _target) = with_dead(&["evt_1", "evt_2"]);
    deliver(&serving, "evt_1");
    cli.run(&["discard", "evt_2", "--reason", "x"]).expect(0);
    let commands: [&[&str]; 3] = [
        &["log", "stats", "--json"],
        &["log", "stats", "--json", "--source", "stripe", "--since", "1h"],
        &["log", "stats", "--json", "--since", "2099-01-01T00:00:00Z"],
    ];
    let told = || commands.map(|command| cli.run(command).expect(0));
    let live = told();
    cli.run(&["log", "stats", "--source", "strip"]).fails(2, &["--source", "did you mean `stripe`"]);
    cli.run(&["log", "stats", "--since", "yesterday"]).fails(2, &["--since"]);
    let table = cli.run(&["log", "stats"]).expect(0);
    for words in ["SOURCE", "stripe", "DEAD", "HANDLER", "billing", "DISCARDED"] {
        assert!(table.stdout.contains(words), "{table:?}");
    }
    assert!(table.stderr.contains("as far as the log reaches"), "{table:?}");
    serving.stop().expect(0);
    let after = told();
    assert_eq!(live.each_ref().map(|told| &told.stdout), after.each_ref().map(|told| &told.stdout));
    let rows = live[0].json();
    let stripe = rows.iter().find(|row| row["source"] == "stripe").expect("a source");
    assert_eq!(stripe["events"], json!({ "accepted": 0, "done": 1, "dead": 1 }));
    assert_eq!((&stripe["deliveries"]["first"], &stripe["deliveries"]["duplicate"]), (&json!(2), &json!(1)));
    let billing = rows.iter().find(|row| row["handler"] == "billing").expect("a handler");
    assert_eq!(
        (&billing["tasks"]["dead"], &billing["tasks"]["discarded"], &billing["attempts"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_eq!(live[2].json().iter().find(|row| row["source"] == "stripe").expect("a source")["events"]["dead"], 0);
}

#[test]
fn log_takes_an_id_short_flags_and_one_row_an_event_by_state() {
    let (cli, serving, _target) = with_dead(&["evt_1", "evt_2"]);
    deliver(&serving, "evt_1");
    cli.run(&["redrive", "stripe/evt_2", "--handler", "billing", "--dry-run"]).expect(0);
    serving.stop().expect(0);
    let rows = |args: &[&str]| cli.run(args).expect(0).json().len();
    assert_eq!(rows(&["log", "--json"]), 3);
    assert_eq!(rows(&["log", "--json", "--state", "dead"]), 2, "each event once");
    assert_eq!(rows(&["log", "--json", "--state", "dead", "--verdict", "duplicate"]), 1, "unless others are asked for");
    assert_eq!(rows(&["log", "--json", "-n", "1"]), 1);
    assert_eq!(cli.run(&["log", "stripe/evt_1"]).expect(0), cli.run(&["log", "show", "stripe/evt_1"]).expect(0));
    cli.run(&["log", "stripe/evt_1", "--source", "stripe"]).fails(2, &["cannot be used with"]);
    cli.run(&["log", "-f"]).fails(3, &["no gateway runs"]);
    cli.run(&["log", "--source", "strip"]).fails(2, &["did you mean `stripe`"]);
    cli.run(&["log", "--source", "zzz"]).fails(2, &["known: github, stripe"]);
    cli.run(&["log", "--handler", "biling"]).fails(2, &["did you mean `billing`"]);
    assert!(cli.run(&["log", "--source", "github"]).expect(0).stderr.contains("nothing came yet"));
}

#[test]
fn a_follower_outlives_a_restart_of_the_gateway() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    deliver(&serving, "evt_1");
    let follower = cli.start(&["log", "-f"]);
    follower.stdout.line("stripe/evt_1");
    serving.stop().expect(0);
    follower.stderr.line("waiting for it to come back");
    let serving = cli.serve(&[]);
    follower.stderr.line("the gateway is back");
    deliver(&serving, "evt_2");
    follower.stdout.line("stripe/evt_2");
    let told = follower.end(Signal::INT).expect(0);
    assert_eq!((told.stdout.matches("evt_1").count(), told.stdout.matches("evt_2").count()), (1, 1), "{told:?}");
    assert_eq!(told.stderr.matches("waiting").count(), 1, "{told:?}");
    serving.stop().expect(0);
}

/// A gateway with a token and a dead event, and a shell elsewhere: no config, no database.
fn elsewhere() -> (Cli, Serving, Cli) {
    let target = runtime().block_on(Target::start([Reply::status(410)]));
    let here =
        Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), ""))).env("HOOKGATE_ADMIN_TOKEN", TOKEN);
    let serving = here.serve(&[]);
    deliver(&serving, "evt_1");
    serving.process.stdout.line("dead (handler-refused)");
    let shell = Cli::with_config("this is no config").env("HOOKGATE_ADMIN_TOKEN", TOKEN);
    (here, serving, shell)
}

#[test]
fn a_gateway_elsewhere_is_reached_by_its_url_and_token_without_a_config() {
    let (here, serving, shell) = elsewhere();
    let url = format!("http://{}/", serving.admin);
    let run = |args: &[&str]| shell.run(&[args, &["--gateway", &url]].concat());
    for command in [&["log", "--json"][..], &["log", "show", "evt_1", "--json"], &["log", "stats", "--json"], &["log", "evt_1"]] {
        assert_eq!(run(command).expect(0).stdout, here.run(command).expect(0).stdout, "{command:?}");
    }
    assert_eq!(run(&["purge", "--json"]).expect(0).json()[0]["bodies"], 0, "nothing is old enough");
    let (code, body, _) = shell.bytes(&["log", "show", "evt_1", "--body", "--gateway", &url]);
    assert_eq!((code, body), (0, stripe_body("evt_1", "invoice.paid")));
    assert!(run(&["redrive", "evt_1", "--dry-run"]).expect(0).stdout.contains("1 task would be due"));
    assert!(
        run(&["discard", "--state", "dead", "--reason", "from afar", "--yes"]).expect(0).stdout.contains("1 task of 1 event")
    );
    assert_eq!(story(&here, "evt_1")["tasks"][0]["discarded"]["reason"], "from afar");
    run(&["pause", "billing"]).expect(0);
    run(&["resume", "billing"]).expect(0);
    run(&["reload"]).expect(0);
    assert_eq!(run(&["handlers", "--json"]).expect(0).json().len(), 1);
    let follower = shell.start(&["log", "--follow", "--gateway", &url]);
    follower.stdout.line("stripe/evt_1");
    deliver(&serving, "evt_2");
    follower.stdout.line("stripe/evt_2");
    follower.end(Signal::INT).expect(0);
    serving.stop().expect(0);
    let left: Vec<_> = std::fs::read_dir(shell.directory.path()).expect("a folder").collect();
    assert_eq!(left.len(), 1, "nothing but the config that was never read");
}

#[test]
fn what_is_wrong_with_a_gateway_elsewhere_is_said() {
    let (_here, serving, shell) = elsewhere();
    let url = format!("http://{}", serving.admin);
    let at = |shell: &Cli, url: &str| shell.run(&["log", "--gateway", url]);
    at(&shell, &format!("http://{}", serving.listen)).fails(3, &["no admin listener", "public listener"]);
    at(&shell, "http://127.0.0.1:9").fails(3, &["http://127.0.0.1:9 does not answer", "refused"]);
    let stranger = runtime().block_on(Target::start([Reply::status(200)]));
    at(&shell, &stranger.url()).fails(3, &["no admin listener"]);
    at(&shell, "localhost:8081").fails(2, &["--gateway", "http://127.0.0.1:8081"]);
    at(&shell, "ftp://127.0.0.1").fails(2, &["no http or https URL"]);
    at(&shell, "http://127.0.0.1:1/?x=1").fails(2, &["more than an address"]);
    at(&shell, "http://ada:canary@127.0.0.1:1").fails(2, &["HOOKGATE_ADMIN_TOKEN"]);
    shell.run(&["log", "--gateway", &url, "--database", "x.db"]).fails(2, &["cannot be used with"]);
    for command in [&["serve"][..], &["check"], &["replay", "x.json"]] {
        shell.run(&[command, &["--gateway", &url]].concat()).fails(2, &["--gateway"]);
    }
    let shell = shell.env("HOOKGATE_ADMIN_TOKEN", "canary-of-another");
    at(&shell, &url).fails(2, &["refused the token", "HOOKGATE_ADMIN_TOKEN"]);
    let shell = shell.without("HOOKGATE_ADMIN_TOKEN");
    at(&shell, &url).fails(2, &["wants its token", "HOOKGATE_ADMIN_TOKEN"]);
    serving.stop().expect(0);
    at(&shell, &url).fails(3, &["does not answer"]);
}

#[test]
fn a_gateway_behind_tls_is_reached_where_its_certificate_is_trusted() {
    let (here, serving, shell) = elsewhere();
    let port = tls::proxy_to(serving.admin).port();
    let at = |shell: &Cli, host: &str| shell.run(&["log", "--json", "--gateway", &format!("https://{host}:{port}")]);
    let shell = shell.env("SSL_CERT_FILE", &tls::authority());
    for host in ["localhost", "127.0.0.1"] {
        assert_eq!(at(&shell, host).expect(0).stdout, here.run(&["log", "--json"]).expect(0).stdout, "{host}");
    }
    let nobody = shell.path("nobody.pem");
    shell.write("nobody.pem", "");
    let shell = shell.env("SSL_CERT_FILE", &nobody.display().to_string()).env("SSL_CERT_DIR", "/nonexistent");
    at(&shell, "localhost").fails(3, &["certificates"]);
    let plain = format!("http://{}", serving.admin);
    shell.run(&["log", "--gateway", &plain]).expect(0);
    serving.stop().expect(0);
}
