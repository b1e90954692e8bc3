//! `hookgate verify`: what a captured request would be answered, and which mistake is behind a refusal.

use std::path::Path;

use hookgate::fixture::{Expectation, load};
use serde_json::Value;

use crate::helpers::cli::{Cli, Output};
use crate::helpers::gateway::{GITHUB, SOURCES, STRIPE};
use crate::helpers::http::request;
use crate::helpers::sender::{self, Fields};

const NOW: i64 = 1_767_225_600;
/// What Stripe sends: JSON over several lines, without a line end after it.
const BODY: &str = "{\n  \"id\": \"evt_1\",\n  \"amounts\": [\n    1.50,\n    2\n  ],\n  \"empty\": {},\n  \"type\": \"invoice.paid\",\n  \"url\": \"https://a/\\u00e9\"\n}";

/// A request with the signature of one body and another body behind it.
fn captured(signed: &[u8], body: &[u8]) -> Vec<u8> {
    request("POST", "/hooks/stripe", &sender::stripe(STRIPE, NOW, signed), body)
}

/// Judges a request of Stripe's as of then.
fn judge(cli: &Cli, bytes: &[u8]) -> Value {
    std::fs::write(cli.path("request.http"), bytes).expect("the directory is there");
    told(&cli.run(&[
        "verify",
        "request.http",
        "--provider",
        "stripe",
        "--secret-env",
        "STRIPE_WEBHOOK_SECRET",
        "--now",
        &NOW.to_string(),
        "--json",
    ]))
}

fn told(output: &Output) -> Value {
    let told = output.json().remove(0);
    let passes = told["verdict"] == "accepted" || told["verdict"] == "handshake";
    assert_eq!(output.code, i32::from(!passes), "{told}");
    told
}

#[track_caller]
fn hint(told: &Value, reason: &str, words: &[&str]) {
    assert_eq!((&told["verdict"], &told["reason"]), (&"rejected".into(), &reason.into()), "{told}");
    let hint = told["hint"].as_str().unwrap_or_default();
    for words in words {
        assert!(hint.contains(words), "`{words}` is not in: {hint}");
    }
}

#[test]
fn every_fixture_is_judged_as_its_case_says() {
    let cli = Cli::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    for fixture in load(&folder).expect("readable fixtures") {
        let case = &fixture.case;
        cli.write("secret", &format!("{}\n", case.secret));
        let secret = case.slot.as_ref().map_or_else(|| "secret".to_owned(), |slot| format!("{slot}=secret"));
        let path = folder.join(&fixture.name).join("request.http").display().to_string();
        let now = case.now.to_string();
        let told =
            told(&cli.run(&["verify", &path, "--provider", &case.provider, "--secret-file", &secret, "--now", &now, "--json"]));
        let text = |field: &Option<String>| field.clone().map_or(Value::Null, Value::from);
        match case.expect {
            Expectation::Accepted => {
                assert_eq!(told["verdict"], "accepted", "{}: {told}", fixture.name);
                assert_eq!(
                    (&told["event_id"], &told["event_type"]),
                    (&text(&case.event_id), &text(&case.event_type)),
                    "{}",
                    fixture.name
                );
                assert_eq!(told["answer"]["status"], 200);
            }
            Expectation::Handshake => {
                assert_eq!((&told["verdict"], &told["reason"]), (&"handshake".into(), &Value::Null), "{}: {told}", fixture.name);
                assert_eq!(told["answer"]["body"], text(&case.answer), "{}", fixture.name);
                assert_eq!(told["event_id"], Value::Null);
            }
            Expectation::Rejected => {
                assert_eq!(told["reason"], text(&case.reason), "{}: {told}", fixture.name);
                assert_eq!(told["answer"]["status"].as_u64(), case.status.map(u64::from), "{}", fixture.name);
                assert!(told["hint"].is_string(), "{}: {told}", fixture.name);
            }
        }
    }
}

#[test]
fn json_has_every_field_and_the_answer_as_it_would_go_out() {
    let cli = Cli::new();
    let fields = ["v", "verdict", "reason", "hint", "check", "secret", "event_id", "event_type", "answer"];
    let accepted = judge(&cli, &captured(BODY.as_bytes(), BODY.as_bytes()));
    let rejected = judge(&cli, &captured(b"{}", BODY.as_bytes()));
    for told in [&accepted, &rejected] {
        assert!(fields.iter().all(|field| told.get(field).is_some()), "{told}");
    }
    assert_eq!(accepted["answer"]["headers"]["hookgate-event-id"], "stripe/evt_1");
    assert_eq!(accepted["check"], "default");
    assert_eq!(accepted["secret"].as_str().map(str::len), Some(8));
    assert_eq!(rejected["answer"]["headers"]["content-type"], "application/problem+json");
    let body: Value = serde_json::from_str(rejected["answer"]["body"].as_str().expect("text")).expect("JSON");
    assert_eq!(body["type"], "urn:hookgate:problem:not-authentic");
}

#[test]
fn a_body_that_was_changed_after_signing_is_told_with_the_change() {
    let cli = Cli::new();
    let compact = r#"{"id":"evt_1","amounts":[1.50,2],"empty":{},"type":"invoice.paid","url":"https://a/\u00e9"}"#;
    let spaced = r#"{"id": "evt_1", "amounts": [1.50, 2], "empty": {}, "type": "invoice.paid", "url": "https://a/\u00e9"}"#;
    let with_end = format!("{BODY}\n");
    let crlf = BODY.replace('\n', "\r\n");
    let unescaped = compact.replace("\\u00e9", "é");
    let slashes = compact.replace('/', "\\/");
    let cases = [
        (BODY, with_end.as_str(), "without its last line end"),
        (&with_end, BODY, "with a line end after it"),
        (&crlf, BODY, "with CR LF for each LF"),
        (BODY, &crlf, "with LF for each CR LF"),
        (BODY, compact, "as JSON indented by 2"),
        (compact, BODY, "as compact JSON"),
        (spaced, BODY, "as JSON with a blank after each `:` and `,`"),
        (&with_end, compact, "as JSON indented by 2, with a line end after it"),
        (compact, &unescaped, "as it is, but with \\u escapes beyond ASCII"),
        (BODY, &unescaped, "as JSON indented by 2 with \\u escapes beyond ASCII"),
        (&slashes, BODY, "as compact JSON with `/` as `\\/`"),
        ("", BODY, "when it is empty"),
    ];
    for (signed, body, how) in cases {
        hint(
            &judge(&cli, &captured(signed.as_bytes(), body.as_bytes())),
            "signature-mismatch",
            &["the secret is right", &format!("body {how}:")],
        );
    }
    hint(
        &judge(&cli, &captured(b"other", BODY.as_bytes())),
        "signature-mismatch",
        &["no usual change", "another registration's secret"],
    );
}

#[test]
fn the_body_is_every_byte_after_the_empty_line_whatever_ends_the_lines_of_the_head() {
    let cli = Cli::new();
    let crlf = captured(b"a\r\nb", b"a\r\nb");
    let lf = String::from_utf8(crlf.clone())
        .expect("text")
        .split_once("\r\n\r\n")
        .map(|(head, body)| format!("{}\n\n{body}", head.replace("\r\n", "\n")));
    for bytes in [crlf, lf.expect("a head").into_bytes()] {
        let told = judge(&cli, &bytes);
        assert_eq!(told["reason"], "malformed-body", "the check has passed: {told}");
    }
}

#[test]
fn a_secret_that_was_put_down_wrongly_is_told_with_the_mistake() {
    let cli = Cli::new();
    let request_bytes = captured(BODY.as_bytes(), BODY.as_bytes());
    std::fs::write(cli.path("request.http"), request_bytes).expect("the directory is there");
    let bare = STRIPE.strip_prefix("whsec_").expect("a prefix");
    for (file, how) in [
        (format!(" {STRIPE}"), "without the blanks, line ends or quotes around it"),
        (format!("{STRIPE}\r\n"), "without the blanks, line ends or quotes around it"),
        (format!("{STRIPE}\n\n"), "without the blanks, line ends or quotes around it"),
        (format!("\"{STRIPE}\""), "without the blanks, line ends or quotes around it"),
        (bare.to_owned(), "with `whsec_` before it"),
    ] {
        cli.write("secret", &file);
        let told = told(&cli.run(&[
            "verify",
            "request.http",
            "--provider",
            "stripe",
            "--secret-file",
            "secret",
            "--now",
            &NOW.to_string(),
            "--json",
        ]));
        hint(&told, "signature-mismatch", &["the secret of file secret", how, "correct it there"]);
    }
}

#[test]
fn a_sender_that_makes_its_key_otherwise_is_told_to_need_a_provider_of_its_own() {
    let secret = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5";
    let cli = Cli::new().env("SENDER_SECRET", secret);
    let signed = [b"msg_1.", NOW.to_string().as_bytes(), b".", BODY.as_bytes()].concat();
    let tag = sender::tag(ring::hmac::HMAC_SHA256, secret.as_bytes(), &[&signed]);
    let value = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, tag);
    let fields = sender::fields(&[
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", &NOW.to_string()),
        ("webhook-signature", &format!("v1,{value}")),
    ]);
    std::fs::write(cli.path("request.http"), request("POST", "/", &fields, BODY.as_bytes())).expect("the directory is there");
    let told = told(&cli.run(&[
        "verify",
        "request.http",
        "--provider",
        "standard-webhooks",
        "--secret-env",
        "SENDER_SECRET",
        "--now",
        &NOW.to_string(),
        "--json",
    ]));
    hint(&told, "signature-mismatch", &["as plain text, not decoded", "a provider of its own"]);
}

#[test]
fn a_request_that_is_too_old_is_told_by_how_much_and_whether_that_is_all() {
    let cli = Cli::new();
    let write = |signed: &str| {
        std::fs::write(cli.path("request.http"), captured(signed.as_bytes(), BODY.as_bytes())).expect("the directory is there");
    };
    let judge = |now: Option<i64>| {
        let now = now.map(|now| now.to_string());
        let mut args = vec!["verify", "request.http", "--provider", "stripe", "--secret-env", "STRIPE_WEBHOOK_SECRET", "--json"];
        args.extend(now.iter().flat_map(|now| ["--now", now]));
        told(&cli.run(&args))
    };
    write(BODY);
    hint(
        &judge(Some(NOW + 7_261)),
        "time-too-old",
        &["signed 2h1m before --now", "its only fault", "--now 1767225600 judges it"],
    );
    hint(&judge(Some(NOW - 400)), "time-too-new", &["signed 6m40s after --now", "its only fault"]);
    hint(&judge(None), "time-too-old", &["before now", "its only fault", "--now 1767225600 judges it"]);
    assert_eq!(judge(Some(NOW + 300))["verdict"], "accepted", "fresh by a hair");
    let today = hookgate::clock::Clock::wall(&hookgate::clock::SystemClock::new()).unix_s();
    let write_at = |time: i64| {
        let fields = sender::stripe(STRIPE, time, BODY.as_bytes());
        std::fs::write(cli.path("request.http"), request("POST", "/hooks/stripe", &fields, BODY.as_bytes()))
            .expect("it is there");
    };
    write_at(today + 90_000);
    hint(&judge(None), "time-too-new", &["after now", "its only fault", "the sender's, or the one here"]);
    write_at(NOW * 1000);
    let in_milliseconds = &["its time, 1767225600000, is in milliseconds", "seconds are expected", "must sign seconds"];
    for now in [None, Some(NOW)] {
        let told = judge(now);
        hint(&told, "time-too-new", in_milliseconds);
        assert!(!told["hint"].to_string().contains("--now"), "no command takes such a time: {told}");
    }
    write("other");
    hint(&judge(Some(NOW + 7_261)), "time-too-old", &["signed 2h1m before --now", "apart from that: no usual change"]);
}

#[test]
fn a_missing_signature_is_told_by_its_name_and_what_is_there_instead() {
    let cli = Cli::new();
    let body = BODY.as_bytes();
    let post = |fields: &Fields| request("POST", "/hooks/stripe", fields, body);
    hint(&judge(&cli, &post(&Fields::new())), "signature-missing", &["no header Stripe-Signature", "no secret, or a proxy"]);
    let near = sender::fields(&[("Stripe-Signatur", "t=1,v1=00")]);
    hint(&judge(&cli, &post(&near)), "signature-missing", &["but there is stripe-signatur:"]);
    hint(
        &judge(&cli, &post(&sender::github(GITHUB, "one", "push", body))),
        "signature-missing",
        &["X-Hub-Signature-256", "--provider github"],
    );
    let short = sender::fields(&[("Stripe-Signature", "t=1767225600,v1=00ff")]);
    hint(&judge(&cli, &post(&short)), "signature-malformed", &["`v1=` and 64 hex digits", "cut"]);
    let twice = [sender::stripe(STRIPE, NOW, body), sender::stripe(STRIPE, NOW, body)].concat();
    hint(&judge(&cli, &post(&twice)), "header-repeated", &["stripe-signature is there twice"]);
}

#[test]
fn a_header_that_several_checks_read_is_missed_once() {
    let check = |slot: &str| {
        format!(
            "[[providers.acme.check]]\nid = \"{slot}\"\nkind = \"hmac\"\nalgorithm = \"sha256\"\nsecret = \"{slot}\"\n\
             signature = {{ from = \"header:X-Acme-Signature\", encoding = \"hex\" }}\n\
             time = {{ from = \"header:X-Acme-Time\" }}\nmessage = \"{{time}}.{{body}}\"\n"
        )
    };
    let secret = |slot: &str| format!("{{ literal = \"canary-of-slot-{slot}\", slot = \"{slot}\" }}");
    let config = format!(
        "{}{}[providers.acme.event]\nderive = \"body\"\n[sources.acme]\nprovider = \"acme\"\nsecrets = [{}, {}]\n",
        check("one"),
        check("two"),
        secret("one"),
        secret("two")
    );
    let cli = Cli::with_config(&config);
    let judge = |fields: &Fields| {
        std::fs::write(cli.path("request.http"), request("POST", "/hooks/acme", fields, b"{}")).expect("the directory is there");
        told(&cli.run(&["verify", "request.http", "--json"]))
    };
    hint(&judge(&Fields::new()), "signature-missing", &["there is no header X-Acme-Signature: "]);
    let signed = sender::fields(&[("X-Acme-Signature", &"0".repeat(64))]);
    hint(&judge(&signed), "time-missing", &["there is no X-Acme-Time: "]);
}

#[test]
fn what_is_proven_and_unreadable_is_told_where_it_breaks() {
    let cli = Cli::new();
    for (body, reason, words) in [
        ("{\"id\":\"evt_1\"", "malformed-body", "EOF while parsing an object at line 1 column 13"),
        ("{\"id\":\"a\",\"id\":\"b\"}", "malformed-body", "a key is there twice"),
        ("", "malformed-body", "the body is empty"),
        ("{\"type\":\"x\"}", "event-id-missing", "`{body:/id}`"),
    ] {
        hint(&judge(&cli, &captured(body.as_bytes(), body.as_bytes())), reason, &[words]);
    }
}

#[test]
fn what_is_turned_away_before_the_check_is_told_as_the_gateway_does() {
    let cli =
        Cli::with_config(&format!("{SOURCES}body_limit = \"1KiB\"\n[sources.old]\nprovider = \"stripe\"\nretired = true\n"));
    let judge = |method: &str, path: &str, fields: &Fields, body: &[u8]| {
        std::fs::write(cli.path("request.http"), request(method, path, fields, body)).expect("the directory is there");
        told(&cli.run(&["verify", "request.http", "--json"]))
    };
    let none = Fields::new();
    let put = judge("PUT", "/hooks/stripe", &none, b"{}");
    hint(&put, "method-not-allowed", &["Stripe sends by POST"]);
    assert_eq!((&put["answer"]["status"], &put["answer"]["headers"]["allow"]), (&405.into(), &"POST".into()));
    let gzip = sender::fields(&[("Content-Encoding", "gzip")]);
    hint(&judge("POST", "/hooks/stripe", &gzip, b"{}"), "unsupported-encoding", &["compressed"]);
    let large = judge("POST", "/hooks/github", &none, &[b' '; 1025]);
    hint(&large, "body-too-large", &["the limit is 1 KiB"]);
    hint(&judge("POST", "/hooks/github", &gzip, &[b' '; 1025]), "body-too-large", &["the limit is 1 KiB"]);
    assert_eq!(judge("POST", "/hooks/old", &none, b"{}")["answer"]["status"], 410);
}

#[test]
fn a_source_of_the_config_is_named_by_the_path_or_the_flag_and_others_are_tried() {
    let config = format!("{SOURCES}\n[sources.other]\nprovider = \"stripe\"\nsecrets = [{{ env = \"OTHER_SECRET\" }}]\n");
    let cli = Cli::with_config(&config).env("OTHER_SECRET", "whsec_canaryOther0123456789");
    let fields = sender::stripe("whsec_canaryOther0123456789", NOW, BODY.as_bytes());
    std::fs::write(cli.path("request.http"), request("POST", "/hooks/stripe?a=b", &fields, BODY.as_bytes()))
        .expect("the directory is there");
    let judge = |more: &[&str]| told(&cli.run(&[&["verify", "request.http", "--now", "1767225600", "--json"], more].concat()));
    hint(&judge(&[]), "signature-mismatch", &["it passes as source `other`"]);
    let other = judge(&["--source", "other"]);
    assert_eq!(other["verdict"], "accepted", "{other}");
    assert_eq!(other["answer"]["headers"]["hookgate-event-id"], "other/evt_1");
    cli.run(&["verify", "request.http", "--source", "othr"]).fails(2, &["unknown source `othr`", "did you mean --source other?"]);
}

#[test]
fn a_source_without_its_secret_is_not_ready_and_the_hint_says_where_it_is_looked_for() {
    let cli = Cli::new().without("STRIPE_WEBHOOK_SECRET");
    cli.write("hookgate.toml", "[sources.stripe]\nprovider = \"stripe\"\nsecrets = [{ env = \"STRIPE_WEBHOOK_SECRET\" }]\n");
    std::fs::write(cli.path("request.http"), captured(b"{}", b"{}")).expect("the directory is there");
    let pending = told(&cli.run(&["verify", "request.http", "--json"]));
    hint(&pending, "source-not-ready", &["env STRIPE_WEBHOOK_SECRET"]);
    assert_eq!((&pending["answer"]["status"], &pending["answer"]["headers"]["retry-after"]), (&503.into(), &"60".into()));
}

#[test]
fn the_query_is_that_of_the_public_url_where_one_is_given() {
    let acme = "[providers.acme]\n[[providers.acme.check]]\nkind = \"token\"\nsignature = { from = \"query:key\" }\n\
                [providers.acme.event]\nid = [\"{query:id}\"]\n\
                [sources.acme]\nprovider = \"acme\"\nsecrets = [{ env = \"ACME_TOKEN\" }]\n";
    let cli = Cli::with_config(acme).env("ACME_TOKEN", "0123456789abcdef");
    std::fs::write(cli.path("request.http"), request("POST", "/hooks/acme?id=two", &Fields::new(), b"{}")).expect("it is there");
    let judge = |more: &[&str]| told(&cli.run(&[&["verify", "request.http", "--json"], more].concat()));
    assert_eq!(judge(&[])["reason"], "signature-missing");
    let public = judge(&["--url", "https://hooks.example.com/elsewhere?key=0123456789abcdef&id=on%65#key=no"]);
    assert_eq!((&public["verdict"], &public["event_id"]), (&"accepted".into(), &"one".into()), "{public}");
    assert_eq!(judge(&["--url", "http://hooks.example.com/hooks/acme"])["reason"], "signature-missing");
    for bad in ["hooks.example.com/hooks/acme", "ftp://hooks.example.com/", "https://", ""] {
        cli.run(&["verify", "request.http", "--url", bad]).fails(2, &["--url"]);
    }
}

#[test]
fn wrong_usage_is_exit_2_and_says_what_to_do() {
    let cli = Cli::new().env("EMPTY", " \n").env("NO_BASE64", "whsec_canary!canary!").env("NEWLINE", "whsec_Y2FuYXJ5\r");
    std::fs::write(cli.path("request.http"), captured(b"{}", b"{}")).expect("the directory is there");
    cli.write("empty.http", "");
    cli.write("json.http", "{\"id\":1}\n");
    cli.write("open.http", "POST /hooks/stripe HTTP/1.1\r\nHost: x\r\n");
    cli.write("elsewhere.http", "POST /webhook HTTP/1.1\r\n\r\n{}");
    cli.write("escape.http", &format!("POST /hooks/stripe HTTP/1.1\r\n\u{1b}[2J{}: x\r\n\r\n", "a".repeat(1000)));
    let told = cli.run(&["verify", "escape.http"]).fails(2, &["`\\x1b[2Jaaa", "is no header"]);
    assert!(told.stderr.len() < 500, "what a stranger sent is shown in part: {}", told.stderr);
    let cases: [(&[&str], &[&str]); 15] = [
        (&["nothing.http"], &["cannot read nothing.http"]),
        (&["empty.http"], &["empty.http is empty", "the body as it came"]),
        (&["-"], &["stdin is empty"]),
        (&["json.http"], &["json.http is no HTTP request", "the first line"]),
        (&["open.http"], &["does not end with an empty line"]),
        (&["elsewhere.http"], &["`/webhook` names no source", "--source stripe|github, or --provider"]),
        (&["request.http", "--provider", "strip"], &["unknown provider `strip`", "did you mean `stripe`?"]),
        (
            &["request.http", "--provider", "stripe"],
            &["no secret of Stripe", "--secret-env VAR or --secret-file PATH", "--source"],
        ),
        (&["request.http", "--provider", "stripe", "--secret-env", "NOT_SET"], &["no secret in env NOT_SET"]),
        (&["request.http", "--provider", "stripe", "--secret-env", "EMPTY"], &["env EMPTY is empty"]),
        (&["request.http", "--provider", "stripe", "--secret-file", "absent"], &["no secret in file absent"]),
        (&["request.http", "--provider", "stripe", "--secret-env", "public=STRIPE_WEBHOOK_SECRET"], &["no secret slot `public`"]),
        (&["request.http", "--provider", "stripe", "--allow", "v9"], &["no check `v9`"]),
        (
            &["request.http", "--provider", "standard-webhooks", "--secret-env", "NO_BASE64"],
            &["padded base64", "env NO_BASE64", "copy it again"],
        ),
        (&["request.http", "--provider", "standard-webhooks", "--secret-env", "NEWLINE"], &["ends with blanks or a line end"]),
    ];
    for (args, says) in cases {
        cli.run(&[&["verify"], args].concat()).fails(2, says);
    }
    cli.run(&["verify", "request.http", "--source", "stripe", "--provider", "stripe"]).expect(2);
    cli.run(&["verify", "request.http", "--secret-env", "STRIPE_WEBHOOK_SECRET"]).expect(2);
}

#[test]
fn a_token_that_is_another_and_a_handshake_that_is_none_are_told_as_such() {
    let cli = Cli::new().env("TOKEN", "canary-token-of-this-hook");
    let judge = |provider: &str, fields: &Fields, body: &[u8]| {
        std::fs::write(cli.path("request.http"), request("POST", "/", fields, body)).expect("the directory is there");
        let slot = if provider == "gitlab" { "token=TOKEN" } else { "TOKEN" };
        told(&cli.run(&["verify", "request.http", "--provider", provider, "--secret-env", slot, "--json"]))
    };
    let sent = |token: &str| {
        sender::fields(&[("X-Gitlab-Token", token), ("Idempotency-Key", "one"), ("Content-Type", "application/json")])
    };
    assert_eq!(judge("gitlab", &sent("canary-token-of-this-hook"), b"{}")["verdict"], "accepted");
    hint(&judge("gitlab", &sent("another"), b"{}"), "signature-mismatch", &["another token was sent"]);
    let form = sender::fields(&[("Content-Type", "application/x-www-form-urlencoded")]);
    let hello = judge("slack", &form, b"ssl_check=1");
    assert_eq!((&hello["verdict"], &hello["answer"]["status"]), (&"handshake".into(), &200.into()), "{hello}");
    cli.run(&["verify", "request.http", "--provider", "slack"]).expect(0);
}
