//! Handshakes: told from deliveries exactly, answered with nothing that could do harm, never an event.

use hookgate::model::Delivery;
use hookgate::preset::builtin;
use hookgate::verify::{Passed, Refusal, Reply, Verifier};

use super::{NOW, NOW_S, acme, delivery, preset, settings, settings_by_slot, verifier};
use crate::helpers::sender::{self, Fields, fields};

const SLACK: &str = "canary of Slack's signing secret";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const META: &str = include_str!("../helpers/meta.toml");
/// Microsoft Graph, as an operator would write it.
const GRAPH: &str = r#"
[[providers.acme.check]]
kind = "token"
signature = { from = "body:/value/0/clientState" }
[[providers.acme.handshake]]
when = [["{query:validationToken}"]]
respond = { body = "{query:validationToken}" }
[providers.acme.event]
derive = "body"
"#;

fn meta(secrets: &[(&str, &str)]) -> Verifier {
    Verifier::new(settings_by_slot(preset("meta", META), secrets)).expect("right settings")
}

fn request(method: &str, query: &str, fields: &Fields, body: &[u8]) -> Delivery {
    Delivery { method: method.into(), query: query.into(), ..delivery(fields, body) }
}

fn reply(verifier: &Verifier, request: &Delivery) -> Result<Reply, Refusal> {
    verifier.verify(request, NOW).map(|passed| match passed {
        Passed::Handshake(reply) => reply,
        Passed::Event(event) => panic!("an event: {event:?}"),
    })
}

/// What a GET is told: the body of the answer, or the refusal's code.
fn told(verifier: &Verifier, query: &str) -> String {
    let reply = reply(verifier, &request("GET", query, &Fields::new(), b""));
    reply.map_or_else(|refusal| refusal.code().to_owned(), |reply| String::from_utf8_lossy(&reply.body).into_owned())
}

fn headers(reply: &Reply) -> Vec<String> {
    let mut all: Vec<String> =
        reply.headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value))).collect();
    all.sort();
    all
}

#[test]
fn the_challenge_goes_back_to_who_knows_the_verify_token() {
    let source = meta(&[("verify", "canary verify token")]);
    let right = "hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token=canary+verify+token";
    let reply = reply(&source, &request("GET", right, &Fields::new(), b"")).expect("a handshake");
    assert_eq!((reply.status, &reply.body[..], reply.verified), (200, &b"1158201444"[..], false));
    assert_eq!(headers(&reply), ["content-type: text/plain", "x-content-type-options: nosniff"]);
    assert!(source.is_pending(), "it is answered before there is a secret to check with");
    for wrong in [
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=canary+verify+toke",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=canary+verify+tokens",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=Canary+verify+token",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=",
        "hub.mode=subscribe&hub.challenge=1",
        "hub.mode=unsubscribe&hub.challenge=1&hub.verify_token=canary+verify+token",
        "hub.challenge=1&hub.verify_token=canary+verify+token",
        "hub.mode=subscribe&hub.mode=subscribe&hub.challenge=1&hub.verify_token=canary+verify+token",
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=x&hub.verify_token=canary+verify+token",
        "HUB.MODE=subscribe&hub.challenge=1&hub.verify_token=canary+verify+token",
        "",
    ] {
        assert_eq!(told(&source, wrong), "no-handshake", "{wrong}");
    }
}

#[test]
fn any_verify_token_of_the_slot_is_right_and_none_is_wrong_without_one() {
    let query = |token: &str| format!("hub.mode=subscribe&hub.challenge=7&hub.verify_token={token}");
    let two = meta(&[("verify", "newer-token"), ("verify", "older-token")]);
    assert_eq!((told(&two, &query("newer-token")), told(&two, &query("older-token"))), ("7".into(), "7".into()));
    let none = meta(&[("signing", "a signing secret of ours")]);
    for token in ["", "x", "a+signing+secret+of+ours"] {
        assert_eq!(told(&none, &query(token)), "no-handshake", "{token}");
    }
}

#[test]
fn what_is_echoed_is_short_printable_ascii_and_nothing_else() {
    let source = meta(&[("verify", "v")]);
    let challenge = |text: &str| told(&source, &format!("hub.mode=subscribe&hub.verify_token=v&hub.challenge={text}"));
    assert_eq!(challenge(&"x".repeat(512)), "x".repeat(512));
    assert_eq!(challenge("%3Cscript%3Ealert(1)%3C/script%3E"), "<script>alert(1)</script>", "it is plain text, and not sniffed");
    for bad in [
        &"x".repeat(513),
        &"x".repeat(10 << 10),
        "",
        "a%0d%0aSet-Cookie:%20x=y",
        "a%0ab",
        "a%00b",
        "%7f",
        "%c3%a9",
        "%e2%80%ae",
        "%1b[31m",
        "1&hub.challenge=2",
    ] {
        assert_eq!(challenge(bad), "handshake-unfit", "{bad}");
    }
    assert_eq!(told(&source, "hub.mode=subscribe&hub.verify_token=v"), "handshake-unfit");
}

#[test]
fn a_validation_token_comes_back_decoded_before_the_check() {
    let source = Verifier::new(settings(acme(GRAPH), &["client state of ours"])).expect("right settings");
    let sent = "validationToken=Validation%3a+Testing+client+application%20522a8e7e-096a";
    let reply = reply(&source, &request("POST", sent, &fields(&[("Content-Type", "text/plain")]), b"")).expect("a handshake");
    assert_eq!(&reply.body[..], b"Validation: Testing client application 522a8e7e-096a");
    let event = |state: &str| {
        let body = format!("{{\"value\":[{{\"clientState\":\"{state}\"}}]}}");
        let judged = source.verify(&request("POST", "", &Fields::new(), body.as_bytes()), NOW);
        judged.map(Passed::event).map_err(Refusal::code).map(|event| event.is_some())
    };
    assert_eq!(event("client state of ours"), Ok(true), "without the token it is a delivery");
    assert_eq!(event("another"), Err("signature-mismatch"));
}

#[test]
fn json_is_written_with_its_texts_escaped() {
    let text = r#"
        [[providers.acme.check]]
        kind = "token"
        signature = { from = "header:Authorization" }
        [[providers.acme.handshake]]
        method = "GET"
        when = [["{header:x-challenge}"]]
        limit = 20
        respond = { status = 202, headers = { X-Echo = "{header:x-challenge}" }, json = { verification = "{header:x-challenge}", n = 1, ok = true, list = ["a"] } }
        [providers.acme.event]
        derive = "delivery"
    "#;
    let source = Verifier::new(settings(acme(text), &[])).expect("right settings");
    let ask = |challenge: &str| reply(&source, &request("GET", "", &fields(&[("x-challenge", challenge)]), b""));
    let answer = ask("a\"b\\c</script>").expect("a handshake");
    let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(body, serde_json::json!({"verification": "a\"b\\c</script>", "n": 1, "ok": true, "list": ["a"]}));
    assert_eq!(answer.status, 202);
    assert_eq!(
        headers(&answer),
        ["content-type: application/json", "x-content-type-options: nosniff", "x-echo: a\"b\\c</script>"]
    );
    assert_eq!(ask(&"x".repeat(21)), Err(Refusal::HandshakeUnfit), "the preset's own limit");
    let twice = fields(&[("x-challenge", "a"), ("X-Challenge", "b")]);
    assert_eq!(reply(&source, &request("GET", "", &twice, b"")), Err(Refusal::NoHandshake), "there twice, it is none");
    assert!(source.wants("x-challenge"), "it is handed over");
}

fn challenge(text: &str) -> Vec<u8> {
    format!("{{\"type\":\"url_verification\",\"challenge\":\"{text}\",\"token\":\"x\"}}").into_bytes()
}

#[test]
fn a_signed_challenge_is_answered_after_the_check_and_is_no_event() {
    let source = verifier("slack", &[SLACK]);
    let body = challenge("3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    let signed = sender::slack(SLACK, NOW_S, JSON, &body);
    let answer = reply(&source, &delivery(&signed, &body)).expect("a handshake");
    assert_eq!((answer.status, answer.verified), (200, true));
    assert_eq!(&answer.body[..], b"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P");
    assert_eq!(headers(&answer), ["content-type: text/plain", "x-content-type-options: nosniff"]);
    let refused = |fields: &Fields, body: &[u8]| reply(&source, &delivery(fields, body)).map_err(Refusal::code).map(|_| ());
    assert_eq!(refused(&sender::slack("another secret", NOW_S, JSON, &body), &body), Err("signature-mismatch"));
    assert_eq!(refused(&sender::slack(SLACK, NOW_S - 301, JSON, &body), &body), Err("time-too-old"));
    assert_eq!(refused(&fields(&[("Content-Type", JSON)]), &body), Err("signature-missing"));
    assert_eq!(reply(&verifier("slack", &[]), &delivery(&signed, &body)), Err(Refusal::SourceNotReady), "nothing to check with");
    let long = challenge(&"x".repeat(513));
    assert_eq!(refused(&sender::slack(SLACK, NOW_S, JSON, &long), &long), Err("handshake-unfit"));
}

#[test]
fn a_key_that_is_there_twice_makes_no_handshake_and_does_not_come_back() {
    let source = verifier("slack", &[SLACK]);
    let judged = |body: &str| {
        let judged = source.verify(&delivery(&sender::slack(SLACK, NOW_S, JSON, body.as_bytes()), body), NOW);
        judged.map_or_else(Refusal::code, |passed| match passed {
            Passed::Handshake(_) => "handshake",
            Passed::Event(event) if &**event.event_type() == "unknown" => "an event of type unknown",
            Passed::Event(_) => "an event",
        })
    };
    assert_eq!(judged(r#"{"type":"url_verification","challenge":"a"}"#), "handshake");
    for twice in [
        r#"{"type":"url_verification","challenge":"a","type":"x"}"#,
        r#"{"type":"x","challenge":"a","t\u0079pe":"url_verification"}"#,
    ] {
        assert_eq!(judged(twice), "an event of type unknown", "{twice}");
    }
    assert_eq!(judged(r#"{"type":"url_verification","challenge":"a","challenge":"b"}"#), "handshake-unfit");
    assert_eq!(judged(r#"{"type":"url_verification","challenge":["a"]}"#), "handshake-unfit");
}

#[test]
fn a_look_at_the_certificate_is_answered_to_anybody_with_nothing() {
    for source in [verifier("slack", &[SLACK]), verifier("slack", &[])] {
        let ask = |content_type: &str, body: &[u8]| {
            let form = fields(&[("Content-Type", content_type)]);
            reply(&source, &delivery(&form, body)).map(|reply| (reply.status, reply.body.len(), headers(&reply).len()))
        };
        assert_eq!(ask(FORM, b"ssl_check=1&token=x"), Ok((200, 0, 1)));
        for (content_type, body) in [
            (FORM, &b"ssl_check=0&token=x"[..]),
            (FORM, b"ssl_check=&token=x"),
            (FORM, b"ssl_check=1&ssl_check=1"),
            (FORM, b"x=ssl_check=1"),
            (JSON, b"ssl_check=1"),
            (JSON, br#"{"ssl_check":"1"}"#),
        ] {
            assert!(ask(content_type, body).is_err(), "{content_type} {}", String::from_utf8_lossy(body));
        }
    }
}

#[test]
fn events_commands_and_buttons_of_slack_each_have_their_id() {
    let source = verifier("slack", &[SLACK]);
    let read = |content_type: &str, body: &str| {
        let signed = sender::slack(SLACK, NOW_S, content_type, body.as_bytes());
        let event = super::verify(&source, &signed, body).expect(body);
        assert!(event.id_signed());
        (event.event_id().to_string(), event.event_type().to_string(), event.id_from().to_string())
    };
    let told = |id: &str, kind: &str, from: &str| (id.to_owned(), kind.to_owned(), from.to_owned());
    let event = r#"{"type":"event_callback","event_id":"Ev1","event":{"type":"app_mention"}}"#;
    assert_eq!(read(JSON, event), told("Ev1", "app_mention", "{body:/event_id}"));
    let command = "command=%2Fwidgets&trigger_id=1.2.3";
    assert_eq!(read(FORM, command), told("1.2.3", "/widgets", "{form:trigger_id}"));
    let button = "payload=%7B%22type%22%3A%22block_actions%22%2C%22trigger_id%22%3A%224.5.6%22%7D";
    assert_eq!(read(FORM, button), told("4.5.6", "block_actions", "{form:payload#/trigger_id}"));
    let menu = "payload=%7B%22type%22%3A%22block_suggestion%22%7D";
    let digest = sender::hex_text(ring::digest::digest(&ring::digest::SHA256, menu.as_bytes()).as_ref());
    let (id, kind, _) = read(FORM, menu);
    assert_eq!((id, kind), (format!("sha256:{digest}"), "block_suggestion".to_owned()));
    // A provider's own text that looks like such an id is still not taken for one.
    let forged = format!("{{\"event_id\":\"sha256:{digest}\",\"type\":\"x\"}}");
    assert_ne!(read(JSON, &forged).0, format!("sha256:{digest}"));
}

#[test]
fn a_provider_that_is_given_up_on_three_seconds_is_answered_in_two() {
    let slack = builtin("slack").expect("built in");
    assert_eq!((slack.ack().deadline.as_secs(), slack.taken_methods()), (3, vec!["POST"]));
    assert_eq!(slack.slots(), ["signing"]);
    assert_eq!(preset("meta", META).slots(), ["signing", "verify"]);
}

proptest::proptest! {
    #[test]
    fn random_requests_never_panic_and_never_echo_what_they_must_not(
        query in "[ -~]{0,60}",
        challenge in proptest::collection::vec(proptest::num::u8::ANY, 0..40),
    ) {
        let source = meta(&[("verify", "v")]);
        let encoded: String = challenge.iter().map(|byte| format!("%{byte:02x}")).collect();
        let query = format!("{query}&hub.mode=subscribe&hub.verify_token=v&hub.challenge={encoded}");
        if let Ok(reply) = reply(&source, &request("GET", &query, &Fields::new(), b"")) {
            proptest::prop_assert_eq!(&reply.body[..], &challenge[..]);
            proptest::prop_assert!(challenge.iter().all(|byte| matches!(byte, 0x20..=0x7e)));
        }
    }
}

/// X, which asks for a signature before it has shown anything.
const X: &str = r#"
[[providers.acme.check]]
kind = "hmac"
algorithm = "sha256"
signature = { from = "header:X-Signature", prefix = "sha256=", encoding = "base64" }
[[providers.acme.handshake]]
method = "GET"
when = [["{query:crc_token}"]]
compute = { kind = "hmac", algorithm = "sha256", encoding = "base64", message = "{query:crc_token}" }
respond = { json = { response_token = "sha256={computed}" } }
[providers.acme.event]
derive = "body"
"#;
/// Zoom, which signs its challenge.
const ZOOM: &str = r#"
[[providers.acme.check]]
kind = "hmac"
algorithm = "sha256"
signature = { from = "header:x-zm-signature", prefix = "v0=", encoding = "hex" }
time = { from = "header:x-zm-request-timestamp" }
message = "v0:{time}:{body}"
[[providers.acme.handshake]]
when = [["{body:/event}", "endpoint.url_validation"]]
verified = true
compute = { kind = "hmac", algorithm = "sha256", encoding = "hex", message = "{body:/payload/plainToken}" }
respond = { json = { plainToken = "{body:/payload/plainToken}", encryptedToken = "{computed}" } }
[providers.acme.event]
derive = "body"
"#;
const KEY: &str = "a consumer secret of ours";

fn tag(text: &[u8]) -> Vec<u8> {
    sender::tag(ring::hmac::HMAC_SHA256, KEY.as_bytes(), &[text])
}

#[test]
fn a_token_is_signed_for_anybody_and_only_a_token() {
    use base64::Engine as _;
    let source = Verifier::new(settings(acme(X), &[KEY])).expect("right settings");
    for token in ["a", "MDk5Nzc5ZTItYjYxMi00NjI=", "Zm8+bw/_~.-==", &"x".repeat(256)] {
        let encoded = token.replace('+', "%2B");
        let signature = base64::engine::general_purpose::STANDARD.encode(tag(token.as_bytes()));
        let expected = format!("{{\"response_token\":\"sha256={signature}\"}}");
        assert_eq!(told(&source, &format!("crc_token={encoded}")), expected);
    }
    for bad in [
        "%7B%22a%22%3A1%7D",
        "a=1%26b",
        "a%3Db",
        "a%3D%3D%3D",
        "%3D",
        "%3D%3D",
        "a+b",
        "v0:1:x",
        "%0a",
        "%c3%a9",
        "[1]",
        &"x".repeat(257),
    ] {
        assert_eq!(told(&source, &format!("crc_token={bad}")), "handshake-unfit", "{bad}");
    }
    let pending = Verifier::new(settings(acme(X), &[])).expect("right settings");
    assert_eq!(told(&pending, "crc_token=a"), "source-not-ready");
}

#[test]
fn what_was_signed_for_a_stranger_is_never_a_delivery() {
    use base64::Engine as _;
    let source = Verifier::new(settings(acme(X), &[KEY])).expect("right settings");
    let judged = |body: &[u8]| {
        let signature = format!("sha256={}", base64::engine::general_purpose::STANDARD.encode(tag(body)));
        super::judge(&source, &fields(&[("X-Signature", &signature)]), body)
    };
    for token in ["", "a", "1234", "true", "null", "MDk5Nzc5ZTItYjYxMi00NjI=", "a.b.c", "a=b", "===", &"x".repeat(1000)] {
        assert_eq!(judged(token.as_bytes()), "body-signable", "{token}");
    }
    assert_eq!(judged(b"{\"for_user_id\":\"1\"}"), "accepted");
    assert_eq!(judged(b"a&b"), "accepted", "no token has that");
}

#[test]
fn a_proven_challenge_is_answered_with_its_signature() {
    let source = Verifier::new(settings(acme(ZOOM), &["an older one", KEY])).expect("right settings");
    let body = br#"{"event":"endpoint.url_validation","payload":{"plainToken":"qgg8vlvZRS6UYooatFL8Aw"}}"#;
    let sign = |secret: &str, body: &[u8]| {
        let slack = sender::slack(secret, NOW_S, JSON, body);
        let signature = slack.iter().find(|(name, _)| name == "X-Slack-Signature").expect("signed").1.clone();
        fields(&[("x-zm-request-timestamp", &NOW_S.to_string()), ("x-zm-signature", &signature)])
    };
    let answer = reply(&source, &delivery(&sign(KEY, body), body)).expect("a handshake");
    let newest = sender::tag(ring::hmac::HMAC_SHA256, b"an older one", &[b"qgg8vlvZRS6UYooatFL8Aw"]);
    let said: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
    let expected = serde_json::json!({"plainToken": "qgg8vlvZRS6UYooatFL8Aw", "encryptedToken": sender::hex_text(&newest)});
    assert_eq!(said, expected, "by the first of the list");
    assert_eq!(reply(&source, &delivery(&sign("another", body), body)), Err(Refusal::SignatureMismatch));
}
