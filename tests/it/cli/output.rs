//! What no output holds: secrets, what libraries say, control characters of a sender, colour where it is not wanted.

use serde_json::{Value, json};

use super::{now_s, recorded, send, stripe, target, target_that_is_gone};
use crate::helpers::cli::Cli;
use crate::helpers::gateway::{SOURCES, STRIPE, handler, runtime};
use crate::helpers::http;
use crate::helpers::sender;
use crate::helpers::target::Reply;

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
