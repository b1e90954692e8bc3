//! The signature is judged over the raw bytes alone; JSON is read afterwards, and never guessed.

use super::{NOW_S, judge, samples, verify};
use crate::helpers::sender;

/// Judged as Stripe would sign these very bytes.
fn stripe(body: impl AsRef<[u8]>) -> &'static str {
    let [stripe, ..] = samples();
    judge(&stripe.verifier(), &sender::stripe(stripe.secret, NOW_S, body.as_ref()), body)
}

#[test]
fn json_that_means_the_same_in_other_bytes_does_not_pass() {
    let body = r#"{"id":"evt_1","n":1.0,"s":"é/"}"#;
    for other in [
        r#"{"id": "evt_1","n":1.0,"s":"é/"}"#,
        r#"{"n":1.0,"id":"evt_1","s":"é/"}"#,
        r#"{"id":"evt_1","n":1.0,"s":"\u00e9/"}"#,
        r#"{"id":"evt_1","n":1.0,"s":"é\/"}"#,
        r#"{"id":"evt_1","n":1,"s":"é/"}"#,
        "{\"id\":\"evt_1\",\"n\":1.0,\"s\":\"é/\"}\n",
        "\u{feff}{\"id\":\"evt_1\",\"n\":1.0,\"s\":\"é/\"}",
        "",
    ] {
        for sample in samples() {
            let fields = match sample.provider {
                "stripe" => sender::stripe(sample.secret, NOW_S, body.as_bytes()),
                "github" => sender::github(sample.secret, "d", "push", body.as_bytes()),
                _ => sender::standard_webhooks(sample.secret, "m", NOW_S, body.as_bytes()),
            };
            assert_eq!(judge(&sample.verifier(), &fields, body), "accepted");
            assert_eq!(judge(&sample.verifier(), &fields, other), "signature-mismatch", "{}: {other:?}", sample.provider);
        }
    }
}

#[test]
fn every_spelling_that_was_signed_passes() {
    for body in [
        r#"{"id":"evt_1"}"#,
        "\r\n\t{ \"type\" : 1e400, \"id\"\n:\"evt_1\" }\r\n",
        r#"{"big":123456789012345678901234567890.1e-7,"id":"evt_1"}"#,
        r#"{"id":"\u0065vt_1","s":"\ud83d\ude00"}"#,
    ] {
        let [sample, ..] = samples();
        let admitted = verify(&sample.verifier(), &sender::stripe(sample.secret, NOW_S, body.as_bytes()), body).expect(body);
        assert_eq!(admitted.event_id().as_str(), "evt_1", "{body}");
    }
}

#[test]
fn a_proven_body_that_is_no_json_is_malformed_where_the_id_is_inside() {
    for body in
        ["", " ", "id=evt_1", "{", r#"{"id":"evt_1"} x"#, r#"{"id":"evt_1"}{}"#, r#"{"id":"evt_1",}"#, "\u{feff}{\"id\":\"a\"}"]
    {
        assert_eq!(stripe(body), "malformed-body", "{body:?}");
    }
    assert_eq!(stripe(b"{\"id\":\"evt_1\",\"s\":\"\xff\"}"), "malformed-body", "not UTF-8");
    assert_eq!(stripe(b"\x1f\x8b\x08\x00"), "malformed-body", "gzip");
}

#[test]
fn a_proven_body_that_is_no_json_passes_where_the_id_is_in_a_header() {
    let [_, github, standard] = samples();
    for body in [&b""[..], b"Hello, World!", b"\xff\xfe\x00", b"{\"action\":"] {
        let fields = sender::github(github.secret, "d", "push", body);
        let admitted = verify(&github.verifier(), &fields, body).expect("proven");
        assert_eq!(&**admitted.event_type(), "push");
        let fields = sender::standard_webhooks(standard.secret, "m", NOW_S, body);
        let admitted = verify(&standard.verifier(), &fields, body).expect("proven");
        assert_eq!(&**admitted.event_type(), "unknown");
    }
}

#[test]
fn a_key_on_the_way_to_the_id_that_is_there_twice_is_refused() {
    for body in [
        r#"{"id":"a","id":"b"}"#,
        r#"{"id":"a","id":"a"}"#,
        r#"{"id":"a","\u0069d":"b"}"#,
        r#"{"\u0069\u0064":"a","i\u0064":"b"}"#,
        r#"{"id":null,"id":"b"}"#,
    ] {
        assert_eq!(stripe(body), "malformed-body", "{body}");
    }
    assert_eq!(stripe(r#"{"id":"a","data":{"id":"b","id":"c"}}"#), "accepted", "elsewhere is no matter");
}

#[test]
fn a_body_without_an_id_is_refused() {
    for body in [r#"{}"#, r#"[]"#, "1", r#"{"id":null}"#, r#"{"id":""}"#, r#"{"id":{}}"#, r#"{"id":[]}"#, r#"{"ID":"a"}"#] {
        assert_eq!(stripe(body), "event-id-missing", "{body}");
    }
}

#[test]
fn an_unreadable_type_is_unknown_and_never_a_refusal() {
    let [sample, ..] = samples();
    let long = format!("\"{}\"", "t".repeat(256));
    let printable = format!("\"{}\"", "t".repeat(255));
    for (value, expected) in [
        ("\"invoice.paid\"", "invoice.paid"),
        ("\"with blank\"", "with blank"),
        ("12", "12"),
        (&*printable, &"t".repeat(255)),
        (&*long, "unknown"),
        ("null", "unknown"),
        ("{}", "unknown"),
        ("\"\"", "unknown"),
        ("\"a\\nb\"", "unknown"),
        ("\"a\\u001b[31m\"", "unknown"),
        ("\"caf\u{e9}\"", "unknown"),
        ("\"\u{202e}\"", "unknown"),
        ("\"\\ud800\"", "unknown"),
        ("\"a\",\"type\":\"b\"", "unknown"),
    ] {
        let body = format!("{{\"id\":\"evt_1\",\"type\":{value}}}");
        let fields = sender::stripe(sample.secret, NOW_S, body.as_bytes());
        let admitted = verify(&sample.verifier(), &fields, &body).expect(value);
        assert_eq!(&**admitted.event_type(), expected, "{value}");
    }
}

#[test]
fn githubs_action_is_read_from_json_and_from_a_form() {
    let [_, github, _] = samples();
    let event_type = |content_type: &str, body: &str| {
        let mut fields = sender::github(github.secret, "d", "issues", body.as_bytes());
        fields[0].1 = content_type.to_owned();
        let admitted = verify(&github.verifier(), &fields, body).expect("proven");
        admitted.event_type().to_string()
    };
    let form = "application/x-www-form-urlencoded";
    assert_eq!(event_type("application/json", r#"{"action":"opened"}"#), "issues.opened");
    assert_eq!(event_type(form, "payload=%7B%22action%22%3A%22opened%22%7D"), "issues.opened");
    assert_eq!(event_type("application/json", "payload=%7B%22action%22%3A%22opened%22%7D"), "issues");
    assert_eq!(event_type("multipart/form-data; boundary=x", "payload=%7B%22action%22%3A%22opened%22%7D"), "issues");
    assert_eq!(event_type(form, "payload=%7B%7D"), "issues");
    assert_eq!(event_type(form, "payload=%7B%22action%22%3A%22a%22%7D&payload=1"), "unknown");
    assert_eq!(event_type("application/json", r#"{"action":"a","action":"b"}"#), "unknown");
}
