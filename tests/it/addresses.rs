//! Who may send to a source, by address: behind proxies whose word counts, who they say; else the other end of the connection.

use std::collections::BTreeSet;

use hookgate::config::{self, ConfigError, Environment, Flags, Keys, Settings};

use crate::helpers::cli::Cli;
use crate::helpers::gateway::{Gateway, STRIPE, problem, runtime, stripe_body};
use crate::helpers::http;
use crate::helpers::sender::{self, Fields};

/// A source for some, one for all, one for this machine, one that was given up.
fn sources(proxies: &str) -> String {
    let source = |name: &str, more: &str| {
        format!("[sources.{name}]\nprovider = \"stripe\"\nsecrets = [{{ literal = \"{STRIPE}\" }}]\n{more}\n")
    };
    [
        format!("{proxies}\n"),
        source("some", "allow_from = [\"203.0.113.0/24\", \"2001:db8::7\"]"),
        source("all", ""),
        source("local", "allow_from = [\"127.0.0.1\"]"),
        source("gone", "allow_from = [\"203.0.113.0/24\"]\nretired = true"),
    ]
    .concat()
}

const PROXIES: &str = "trusted_proxies = [\"127.0.0.0/8\", \"10.0.0.0/8\"]";

/// A rightly signed delivery with these `X-Forwarded-For`.
fn signed(gateway: &Gateway, source: &str, forwarded: &[&str]) -> Vec<u8> {
    let body = stripe_body("evt_1", "invoice.paid");
    let mut fields: Fields = forwarded.iter().map(|value| ("X-Forwarded-For".to_owned(), (*value).to_owned())).collect();
    fields.extend(sender::stripe(STRIPE, gateway.now_s(), &body));
    http::request("POST", &format!("/hooks/{source}"), &fields, &body)
}

#[tokio::test]
async fn who_is_not_in_the_list_gets_403_and_leaves_no_trace_however_well_it_signs() {
    let gateway = Gateway::start(&sources(PROXIES)).await;
    for forwarded in
        [&["192.0.2.1"][..], &["203.0.113.9, 192.0.2.1"], &["203.0.113.9", "192.0.2.1, 10.0.0.1"], &["203.0.113.9, x"], &[]]
    {
        let answer = gateway.send(&signed(&gateway, "some", forwarded)).await;
        assert_eq!((answer.status, problem(&answer).as_str()), (403, "address-not-allowed"), "{forwarded:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert!(!answer.text().contains("192.0.2.1"), "nothing is echoed: {}", answer.text());
    }
    assert_eq!(gateway.deliveries().await.len(), 0, "it is no delivery");
    assert_eq!(gateway.rows("event"), 0);
    for forwarded in
        [&["203.0.113.9"][..], &["192.0.2.1, 203.0.113.9"], &["192.0.2.1", "203.0.113.9, 10.0.0.1"], &["[2001:db8::7]:443"]]
    {
        let answer = gateway.send(&signed(&gateway, "some", forwarded)).await;
        assert_eq!(answer.status, 200, "{forwarded:?}: {}", answer.text());
    }
    assert_eq!(gateway.rows("event"), 1);
}

#[tokio::test]
async fn who_is_no_trusted_proxy_is_judged_by_its_own_address() {
    let gateway = Gateway::start(&sources("trusted_proxies = [\"10.0.0.1\"]")).await;
    assert_eq!(gateway.send(&signed(&gateway, "some", &["203.0.113.9"])).await.status, 403);
    assert_eq!(gateway.send(&signed(&gateway, "local", &["203.0.113.9"])).await.status, 200);
}

#[tokio::test]
async fn a_source_without_a_list_takes_everybodys_deliveries() {
    let gateway = Gateway::start(&sources(PROXIES)).await;
    for forwarded in ["192.0.2.1", "garbage", ""] {
        assert_eq!(gateway.send(&signed(&gateway, "all", &[forwarded])).await.status, 200, "{forwarded:?}");
    }
}

#[tokio::test]
async fn the_address_is_judged_after_the_source_and_before_the_method() {
    let gateway = Gateway::start(&sources(PROXIES)).await;
    let get = |source: &str, from: &str| {
        http::request("GET", &format!("/hooks/{source}"), &sender::fields(&[("X-Forwarded-For", from)]), b"")
    };
    for (source, from, status) in
        [("nobody", "192.0.2.1", 404), ("gone", "192.0.2.1", 410), ("some", "192.0.2.1", 403), ("some", "203.0.113.9", 405)]
    {
        assert_eq!(gateway.send(&get(source, from)).await.status, status, "{source} {from}");
    }
}

#[tokio::test]
async fn the_body_of_who_may_not_send_is_not_waited_for() {
    let gateway = Gateway::start(&sources(PROXIES)).await;
    let mut connection = http::Connection::to(gateway.public).await;
    connection.send(b"POST /hooks/some HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n").await;
    assert_eq!(connection.answer().await.status, 403);
}

#[tokio::test]
async fn a_reload_changes_who_may_send() {
    let open = "trusted_proxies = [\"127.0.0.1\"]\n".to_owned() + &source("");
    let closed = "trusted_proxies = [\"127.0.0.1\"]\n".to_owned() + &source("allow_from = [\"192.0.2.1\"]");
    let gateway = Gateway::start(&open).await;
    for (config, status) in [(&open, 200), (&closed, 403), (&open, 200)] {
        gateway.reload(config).await;
        assert_eq!(gateway.send(&signed(&gateway, "x", &["198.51.100.7"])).await.status, status);
        assert_eq!(gateway.send(&signed(&gateway, "x", &["192.0.2.1"])).await.status, 200);
    }
}

#[test]
fn the_operator_is_told_which_address_was_refused() {
    for (format, told) in [("pretty", "POST /hooks/some from 192.0.2.66"), ("json", "\"sender.address\":\"192.0.2.66\"")] {
        let cli = Cli::with_config(&sources(PROXIES));
        let serving = cli.serve(&["--log-format", format]);
        let request = http::request("POST", "/hooks/some", &sender::fields(&[("X-Forwarded-For", "192.0.2.66")]), b"");
        assert_eq!(runtime().block_on(http::exchange(serving.listen, &request)).status, 403);
        let lines = if format == "json" { &serving.process.stderr } else { &serving.process.stdout };
        let line = lines.line(told);
        assert!(line.contains("address-not-allowed"), "{line}");
        serving.stop().expect(0);
    }
}

fn read(text: &str) -> Result<Settings, ConfigError> {
    config::load_text(text, None, &Flags::default(), &Environment::default(), Keys::Look)
}

fn source(lines: &str) -> String {
    format!("[sources.x]\nprovider = \"stripe\"\nsecrets = [{{ literal = \"{STRIPE}\" }}]\n{lines}\n")
}

#[test]
fn what_is_no_network_is_refused_at_its_place_with_what_to_write() {
    for (written, help) in [
        ("10.0.0.1/8", "`10.0.0.0/8`"),
        ("2001:db8::7/32", "`2001:db8::/32`"),
        ("example.com", "192.0.2.0/24"),
        ("192.0.2.7:80", "without a name or a port"),
        ("192.0.2", "192.0.2.7"),
        ("192.0.2.0/33", "192.0.2.0/24"),
        ("fe80::1%eth0", "2001:db8::7"),
        ("*", "192.0.2.0/24"),
        ("", "192.0.2.0/24"),
    ] {
        for text in [
            source(&format!("allow_from = [\"192.0.2.1\", \"{written}\"]")),
            format!("trusted_proxies = [\"{written}\"]\n{}", source("")),
        ] {
            let error = read(&text).map(drop).expect_err(&text);
            assert_eq!(error.span.map(|span| text[span].to_owned()), Some(format!("\"{written}\"")), "{text}");
            assert!(error.help.as_deref().is_some_and(|told| told.contains(help)), "{:?}", error.help);
        }
    }
    for empty in [source("allow_from = []"), format!("trusted_proxies = []\n{}", source(""))] {
        let error = read(&empty).map(drop).expect_err("nobody could send");
        assert_eq!(error.span.map(|span| empty[span].to_owned()).as_deref(), Some("[]"));
    }
    let many = |count: usize| source(&format!("allow_from = [{}]", vec!["\"192.0.2.1\""; count].join(", ")));
    assert!(read(&many(1000)).is_ok() && read(&many(1001)).is_err());
}

#[test]
fn an_ipv4_network_in_ipv6_spelling_is_one() {
    let settings = read(&source("allow_from = [\"::ffff:192.0.2.0/120\", \"::ffff:198.51.100.7\"]")).expect("good");
    let networks: BTreeSet<_> = settings.sources[0].allow_from.iter().flatten().map(ToString::to_string).collect();
    assert_eq!(networks, BTreeSet::from(["192.0.2.0/24".to_owned(), "198.51.100.7/32".to_owned()]));
}

#[test]
fn a_list_that_would_see_only_the_proxy_and_a_proxy_that_is_everybody_are_warned_of() {
    let warned = |text: &str, words: &str| read(text).expect("good").warnings.iter().any(|warning| warning.contains(words));
    let listed = source("allow_from = [\"192.0.2.1\"]");
    let hidden = "set trusted_proxies = [\"127.0.0.1\"]";
    assert!(warned(&listed, hidden));
    assert!(!warned(&format!("trusted_proxies = [\"127.0.0.1\"]\n{listed}"), hidden));
    assert!(!warned(&source(""), hidden), "without a list nobody need be seen");
    let open = "listen = \"0.0.0.0:8080\"\n[sources.x]\nprovider = \"stripe\"\nallow_from = [\"192.0.2.1\"]\n";
    assert!(!warned(open, hidden), "senders may come to it themselves");
    for everybody in ["0.0.0.0/0", "::/0"] {
        assert!(warned(&format!("trusted_proxies = [\"{everybody}\"]\n{listed}"), "takes everybody's word"), "{everybody}");
    }
}

#[test]
fn check_says_in_words_who_may_send() {
    let cli = Cli::with_config(&sources(PROXIES));
    let told = cli.run(&["check"]).expect(0).stdout;
    let sentence =
        "; only from 203.0.113.0/24, 2001:db8::7, as X-Forwarded-For tells behind 127.0.0.0/8, 10.0.0.0/8, all others get 403.";
    assert!(told.contains(sentence), "{told}");
    assert!(told.contains("; only from 127.0.0.1, as"), "{told}");
    let alone = Cli::with_config(&source("allow_from = [\"192.0.2.1\"]")).run(&["check"]).expect(0);
    assert!(alone.stdout.contains("; only from 192.0.2.1, all others get 403."), "{}", alone.stdout);
    assert!(alone.stderr.contains("trusted_proxies"), "{}", alone.stderr);
}
