//! The binary: starts and stops, exit codes, what it says and never says.

use std::net::TcpListener;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::helpers::cli::{Cli, Serving, fixtures};
use crate::helpers::gateway::{GITHUB, SOURCES, STRIPE, handler, runtime, stripe_body};
use crate::helpers::http::{self, Answer};
use crate::helpers::sender::{self, Fields};
use crate::helpers::target::{Reply, Target};

/// Sends a request to a gateway that runs beside us.
fn send(serving: &Serving, request: &[u8]) -> Answer {
    runtime().block_on(http::exchange(serving.listen, request))
}

/// The machine's own time, which the binary goes by.
fn now_s() -> i64 {
    hookgate::clock::Clock::wall(&hookgate::clock::SystemClock::new()).unix_s()
}

/// A Stripe delivery of now.
fn stripe(id: &str) -> Vec<u8> {
    let body = stripe_body(id, "invoice.paid");
    http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now_s(), &body), &body)
}

fn github(id: &str, body: &[u8]) -> Vec<u8> {
    http::request("POST", "/hooks/github", &sender::github(GITHUB, id, "push", body), body)
}

fn target(script: Vec<Reply>) -> Target {
    runtime().block_on(Target::start(script))
}

/// A gateway whose log says when a handler's answer has been recorded.
fn serve_with_log(cli: &Cli) -> Serving {
    cli.serve(&["--log-format", "json"])
}

/// Waits until so many answers of handlers have been recorded.
fn recorded(serving: &Serving, calls: usize) {
    let called = |lines: &[String]| lines.iter().filter(|line| line.contains("handler called")).count();
    serving.process.stderr.wait_for(|lines| called(lines) >= calls).expect("it runs");
}

/// The URL of nobody.
fn target_that_is_gone() -> String {
    target(Vec::new()).url()
}

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
fn a_port_that_is_taken_is_exit_3_and_says_what_to_do() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let cli = Cli::new();
    cli.run(&["serve", "--listen", &address, "--admin-listen", "127.0.0.1:0"])
        .fails(3, &[&address, "--listen", "another process"]);
    let cli = Cli::new();
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", &address]).fails(3, &[&address, "--admin-listen"]);
}

#[test]
fn a_database_that_another_gateway_has_is_exit_3_and_names_its_pid() {
    let cli = Cli::new();
    let serving = cli.serve(&[]);
    let pid = format!("pid {}", serving.process.pid());
    let any = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    cli.run(&any).fails(3, &[&pid, "stop it first"]);
    let other_spelling = format!("{}/./hookgate.db", cli.directory.path().display());
    cli.run(&[&any[..], &["--database", &other_spelling]].concat()).fails(3, &[&pid]);
    assert_eq!(send(&serving, &stripe("evt_1")).status, 200, "the holder is not harmed");
    serving.stop().expect(0);
    cli.serve(&[]).stop().expect(0);
}

#[test]
fn a_database_that_a_command_has_open_is_exit_3_and_names_no_gateway() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    let clock = std::sync::Arc::new(hookgate::clock::SystemClock::new());
    // As an offline command has it: in this process.
    let _held = hookgate::ledger::sqlite::SqliteLedger::open_offline(cli.path("hookgate.db"), clock).expect("nobody has it");
    let holder = format!("another hookgate process (pid {})", std::process::id());
    for command in [&["log"][..], &["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]] {
        let told = cli.run(command).fails(3, &[&holder]);
        assert!(!told.stderr.contains("gateway"), "{}", told.stderr);
    }
}

#[test]
fn a_directory_that_is_missing_is_exit_3() {
    let cli = Cli::new();
    let any = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--database", "missing/hookgate.db"];
    cli.run(&[&["serve"], &any[..]].concat()).fails(3, &["missing", "directory"]);
    cli.write("hookgate.toml", SOURCES);
    cli.run(&[&["serve"], &any[..]].concat()).fails(3, &["missing/hookgate.db", "directory"]);
}

#[test]
fn a_database_of_a_newer_schema_is_exit_4() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    let conn = rusqlite::Connection::open(cli.path("hookgate.db")).expect("the database is there");
    conn.execute("INSERT INTO migration SELECT 9999, 'from the future', sha256, applied_at_us FROM migration LIMIT 1", [])
        .expect("a row");
    drop(conn);
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["newer than this program"]);
    cli.run(&["log"]).fails(4, &["newer than this program"]);
}

#[test]
fn a_database_that_is_lost_is_exit_4_until_the_operator_says_so() {
    let any = ["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    for replacement in [None, Some("")] {
        let cli = Cli::new();
        let serving = cli.serve(&[]);
        assert_eq!(send(&serving, &stripe("evt_1")).status, 200);
        serving.stop().expect(0);
        std::fs::remove_file(cli.path("hookgate.db")).expect("it is there");
        if let Some(content) = replacement {
            cli.write("hookgate.db", content);
        }
        cli.run(&any).fails(4, &["hookgate.db", "--new-database"]);
        cli.run(&any).fails(4, &["--new-database"]);
        let serving = cli.serve(&["--new-database"]);
        serving.process.stdout.line("new database");
        assert_eq!(send(&serving, &stripe("evt_1")).header("idempotent-replayed"), None);
        serving.stop().expect(0);
        cli.serve(&[]).stop().expect(0);
    }
}

#[test]
fn another_databases_file_in_its_place_is_exit_4() {
    let [ours, other] = [Cli::new(), Cli::new()];
    for cli in [&ours, &other] {
        cli.serve(&[]).stop().expect(0);
    }
    std::fs::copy(other.path("hookgate.db"), ours.path("hookgate.db")).expect("both are there");
    ours.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["--new-database"]);
}

#[test]
fn a_damaged_database_is_exit_4() {
    let cli = Cli::new();
    cli.serve(&[]).stop().expect(0);
    std::fs::write(cli.path("hookgate.db"), vec![7; 64 << 10]).expect("it is there");
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(4, &["damaged"]);
}

#[test]
fn require_database_refuses_a_first_start() {
    let cli = Cli::with_config(&format!("require_database = true\n{SOURCES}"));
    cli.run(&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).fails(3, &["there is no database"]);
    assert!(!cli.path("hookgate.db").exists());
}

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
fn no_secret_is_in_any_output_log_or_file_of_the_store() {
    let target = target(vec![Reply::status(500), Reply::bytes("canary-of-the-handler")]);
    let own = "headers = { Authorization = { env = \"TOKEN\" } }\nsign_with = { env = \"KEY\" }";
    let tables = [
        handler("billing", &format!("{}?token=canary", target.url()), own),
        handler("gone", &format!("{}?token=canary", target_that_is_gone()), own),
    ];
    let table = tables.concat();
    let sources = SOURCES.replace("literal = \"whsec_canaryStripe0123456789\"", "env = \"STRIPE_WEBHOOK_SECRET\"");
    for format in ["pretty", "json"] {
        let cli = Cli::with_config(&format!("{sources}{table}")).env("TOKEN", "canary-token").env("KEY", "canary-key-0123456789");
        let serving = cli.serve(&["--log-format", format, "-vv"]);
        send(&serving, &stripe("evt_1"));
        send(&serving, &stripe("evt_1"));
        let bad = sender::fields(&[("Stripe-Signature", "t=1,v1=canary"), ("Authorization", "canary")]);
        send(&serving, &http::request("POST", "/hooks/stripe", &bad, b"canary"));
        send(&serving, &http::request("POST", "/hooks/nobody?token=canary", &bad, b"canary"));
        runtime().block_on(target.call());
        match format {
            "json" => serving.process.stderr.line("not reached"),
            _ => serving.process.stdout.line("not reached"),
        };
        for command in
            [&["check"][..], &["log"], &["log", "--json"], &["log", "show", "stripe/evt_1"], &["log", "show", "evt_1", "--json"]]
        {
            cli.run(command).expect(0);
        }
        let told = serving.stop().expect(0);
        if format == "json" {
            for line in told.stderr.lines() {
                let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
                assert!(row.is_object(), "{line}");
            }
            assert!(told.stderr.contains("\"verdict\":\"rejected\""), "{}", told.stderr);
        }
        for file in std::fs::read_dir(cli.directory.path()).expect("a directory") {
            let path = file.expect("a file").path();
            if path.extension().is_some_and(|extension| extension == "toml") {
                continue;
            }
            let bytes = std::fs::read(&path).expect("a file");
            assert!(!bytes.windows(6).any(|window| window == b"canary"), "{}", path.display());
        }
    }
}

#[test]
fn who_asks_for_more_hears_of_us_and_no_headers_from_libraries() {
    let target = target(Vec::new());
    for verbose in ["-v", "-vv", "-vvv"] {
        let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "")));
        let serving = cli.serve(&["--log-format", "json", verbose]);
        send(&serving, &stripe("evt_1"));
        recorded(&serving, 1);
        for line in serving.stop().expect(0).stderr.lines() {
            let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(row["target"].as_str().is_some_and(|target| target.starts_with("hookgate")), "{line}");
        }
    }
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
fn the_log_is_the_same_while_the_gateway_runs_and_after() {
    let cli = Cli::new();
    let serving = serve_with_log(&cli);
    send(&serving, &stripe("evt_1"));
    send(&serving, &stripe("evt_1"));
    send(&serving, &github("one", b"{}"));
    send(&serving, &http::request("POST", "/hooks/github", &Fields::new(), b"{}"));
    recorded(&serving, 2);
    let commands: [&[&str]; 5] = [
        &["log", "--json"],
        &["log"],
        &["log", "--json", "--verdict", "duplicate"],
        &["log", "show", "evt_1", "--json"],
        &["log", "show", "github/one"],
    ];
    // The log's rows are written within 100 ms; a redrive of nothing takes them along.
    cli.run(&["redrive", "stripe/evt_1"]).expect(0);
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
fn redrive_works_on_a_running_gateway_and_without_one() {
    let target = target(vec![Reply::status(410), Reply::status(410)]);
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "")));
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    serving.process.stdout.line("dead (handler-refused); hookgate redrive stripe/evt_1");
    let told = cli.run(&["redrive", "stripe/evt_1", "--json"]).expect(0);
    assert_eq!(told.json(), [json!({ "v": 1, "source": "stripe", "event_id": "evt_1", "tasks": 1 })]);
    serving.process.stdout.line("attempt 2");
    cli.run(&["redrive", "stripe/evt_2"]).fails(1, &["no event"]);
    cli.run(&["redrive", "stripe/evt_1", "--to-handler", "nobody"]).fails(2, &["there is no handler `nobody`", "billing"]);
    let no_task = |cli: &Cli| cli.run(&["redrive", "stripe/evt_1", "--handler", "nobody"]);
    no_task(&cli).fails(2, &["nobody", "billing"]);
    serving.stop().expect(0);
    no_task(&cli).fails(2, &["nobody", "billing"]);
    cli.run(&["redrive", "stripe/evt_1", "--to-handler", "nobody"]).fails(2, &["there is no handler `nobody`", "billing"]);
    cli.run(&["redrive", "stripe/evt_2"]).fails(1, &["no event"]);
    let told = cli.run(&["redrive", "stripe/evt_1"]).expect(0);
    assert!(told.stdout.contains("1 task is due now") && told.stderr.contains("no gateway runs now"), "{told:?}");
    assert!(cli.run(&["redrive", "stripe/evt_1"]).expect(0).stdout.contains("nothing to do"));
    let serving = cli.serve(&[]);
    serving.process.stdout.line("attempt 3  [200]");
    serving.stop().expect(0);
    assert_eq!(target.count(), 3);
    let story = cli.run(&["log", "show", "evt_1", "--json"]).expect(0).json().remove(0);
    assert_eq!((&story["state"], &story["tasks"][0]["redrives"]), (&json!("done"), &json!(2)));
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
fn text_of_a_sender_forges_no_line_and_moves_no_cursor() {
    let evil = "a\nforged\r\u{1b}[2Jb\u{202e}c\u{0}d\u{85}e\u{2028}f\t";
    let cli = Cli::new();
    for format in ["pretty", "json"] {
        let serving = cli.serve(&["--log-format", format]);
        let body = json!({ "id": format!("evt_{format}"), "type": evil }).to_string();
        let request = http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now_s(), body.as_bytes()), body.as_bytes());
        assert_eq!(send(&serving, &request).status, 200);
        let long = json!({ "id": format!("{format}{evil}"), "type": "x" }).to_string();
        let request = http::request("POST", "/hooks/stripe", &sender::stripe(STRIPE, now_s(), long.as_bytes()), long.as_bytes());
        assert_eq!(send(&serving, &request).status, 200);
        cli.run(&["redrive", &format!("stripe/evt_{format}")]).expect(0);
        let shown = [&["log"][..], &["log", "show", &format!("stripe/evt_{format}")], &["log", "--limit", "1"]]
            .map(|args| cli.run(args).expect(0));
        let told = serving.stop().expect(0);
        for text in shown.iter().map(|output| &output.stdout).chain([&told.stdout, &told.stderr]) {
            assert!(!text.lines().any(|line| line.trim_start().starts_with("forged")), "{text}");
            let odd = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202e}' | '\u{2028}');
            assert!(!text.chars().any(odd), "{text:?}");
        }
    }
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
fn no_color_is_honoured_where_colour_would_be_on() {
    let cli = Cli::new().env("CLICOLOR_FORCE", "1");
    let serving = cli.serve(&[]);
    send(&serving, &stripe("evt_1"));
    let commands: [&[&str]; 4] = [&["log"], &["log", "show", "stripe/evt_1"], &["check"], &["log", "--verdict", "frist"]];
    let coloured = |cli: &Cli, args: &[&str]| {
        let (_, stdout, stderr) = cli.bytes(args);
        [stdout, stderr].concat().contains(&0x1b)
    };
    for args in commands {
        assert!(coloured(&cli, args), "{args:?}: colour can be forced");
    }
    let cli = cli.env("NO_COLOR", "1");
    for args in commands {
        assert!(!coloured(&cli, args), "{args:?}");
    }
    let rows = cli.run(&["log", "--json"]).expect(0).json();
    assert_eq!(rows.len(), 1);
}

#[test]
fn several_events_are_redriven_at_once_and_an_unknown_one_stops_them_all() {
    let target = target(vec![Reply::status(410), Reply::status(410)]);
    let cli = Cli::with_config(&format!("{SOURCES}{}", handler("billing", &target.url(), "concurrency = 1")));
    let serving = cli.serve(&[]);
    for id in ["evt_1", "evt_2"] {
        send(&serving, &stripe(id));
        serving.process.stdout.line(&format!("dead (handler-refused); hookgate redrive stripe/{id}"));
    }
    cli.run(&["redrive", "stripe/evt_1", "stripe/evt_3", "stripe/evt_2"]).fails(1, &["no event `stripe/evt_3`"]);
    let dead = cli.run(&["log", "--json", "--state", "dead"]).expect(0).json();
    assert_eq!(dead.len(), 2, "nothing was redriven");
    let told = cli.run(&["redrive", "stripe/evt_1", "evt_2", "--json"]).expect(0).json();
    assert!(told.iter().all(|row| row["tasks"] == 1) && told.len() == 2, "{told:?}");
    for id in ["evt_1", "evt_2"] {
        serving.process.stdout.line(&format!("stripe/{id}  attempt 2  [200]"));
    }
    serving.stop().expect(0);
    assert_eq!(target.count(), 4);
}

#[test]
fn every_filter_of_log_is_that_of_the_admin_listener() {
    let cli = Cli::new();
    let serving = serve_with_log(&cli);
    send(&serving, &stripe("evt_1"));
    send(&serving, &stripe("evt_1"));
    send(&serving, &github("one", b"{}"));
    send(&serving, &http::request("POST", "/hooks/github", &Fields::new(), b"{}"));
    recorded(&serving, 2);
    cli.run(&["redrive", "stripe/evt_1"]).expect(0);
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
